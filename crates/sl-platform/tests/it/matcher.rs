//! The matcher: who subscribed through which link, told once, before the counter is stored.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use serde_json::json;
use sl_core::{
    catalog::OverflowLink,
    click::{AdCookies, Class, Click, Device, Params, Place, RequestFacts, Rung, VisitorId, VisitorKeys},
    event::{EventBody, Position, WebhookReceived},
    ids::{ClickId, LinkKind, PoolLinkId},
    matching::Looks,
    pool::{Given, PoolState, StockKey},
    step::{Step, Unmatched},
    time::{Clock, Timestamp},
};
use sl_platform::{Lag, Matcher, MatcherHandle, MatcherSettings};
use sl_store::pool::{LeaseRequest, NewPoolLink, PoolLinkRef};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    upstream::until,
    world::{RULES, START, TEAM, World, smart_link},
};

mod unreadable;

pub(crate) fn request(world: &World, want: usize) -> LeaseRequest {
    let now = world.clock.now();
    LeaseRequest {
        stock: stock(),
        want,
        owner: "edge".into(),
        now,
        until: now.plus(Duration::from_secs(3600)),
        rules: RULES,
    }
}

fn stock() -> StockKey {
    StockKey { account: "acct_1".into(), kind: LinkKind::TrackingLink, trial_days: None }
}

/// Attribution says that visitors hold these links since now.
pub(crate) async fn give(world: &World, step: u64, links: &[PoolLinkId]) {
    let at = world.clock.now();
    let given = links.iter().map(|link| {
        let click = ClickId(ulid::Ulid(u128::from(link.number) + 1));
        ("acct_1".into(), *link, Given { click, at, last_hit_at: at, window: RULES.window })
    });
    apply(world, step, Step { given: given.collect(), ..Step::default() }).await;
}

async fn apply(world: &World, number: u64, step: Step) {
    let position = Position { epoch: 0, offset: number };
    world.store.ledger.apply(Step { position, ..step }).await.unwrap();
    world.applied.store(number, Ordering::SeqCst);
}

/// Makes links at the platform and in the pool.
async fn stocked(world: &World, count: usize) -> Vec<PoolLinkId> {
    let platform = world.client();
    let mut links = Vec::new();
    for number in 0..count {
        let wish = sl_platform::platform::LinkWish {
            kind: LinkKind::TrackingLink,
            trial_days: None,
            single_use: true,
            name: format!("link {number}"),
        };
        let made = platform.create(&"acct_1".into(), &wish, sl_platform::Priority::Rest).await.unwrap();
        links.push(made.id);
    }
    let new = links.iter().map(|id| NewPoolLink {
        team: TEAM,
        stock: stock(),
        id: *id,
        url: format!("https://onlyfans.com/creator/c{}", id.number * 2),
        created_at: START,
    });
    world.store.pool.add(new.collect()).await.unwrap();
    links
}

pub(crate) fn settings() -> MatcherSettings {
    MatcherSettings {
        poll: Duration::from_secs(60),
        debounce: Duration::from_millis(200),
        looks: Looks::new(RULES.window, RULES.quarantine),
    }
}

fn matcher(world: &World, lag: Lag) -> Matcher {
    let (log, clock): (Arc<_>, Arc<dyn Clock>) = (Arc::new(world.tape.clone()), world.clock.clone());
    let applied = Arc::clone(&world.applied);
    let position = move || Position { epoch: 0, offset: applied.load(Ordering::SeqCst) };
    Matcher::new(settings(), world.client(), world.store.clone(), log, lag, clock)
        .following(Arc::new(position))
}

pub(crate) fn start(world: &World) -> JoinHandle<()> {
    started(world).0
}

fn started(world: &World) -> (JoinHandle<()>, MatcherHandle) {
    let matcher = matcher(world, Arc::new(|| Duration::ZERO));
    let handle = matcher.handle();
    (tokio::spawn(matcher.run(world.stop.clone())), handle)
}

pub(crate) fn click(number: u64, link: PoolLinkId, at: Timestamp) -> Click {
    let cookie = VisitorId(u128::from(number) + 1);
    Click {
        id: ClickId(ulid::Ulid(0xC000 + u128::from(number))),
        team: TEAM,
        account: "acct_1".into(),
        link: smart_link(1).id,
        at,
        window: RULES.window,
        class: Class::Person,
        rung: Rung::Fresh,
        pool_link: Some(link),
        sent_to: None,
        visitor: VisitorKeys {
            came_with: Some(cookie),
            given: Some(cookie),
            daily: cookie,
            lasting: Some(cookie),
        },
        request: RequestFacts::default(),
        device: Device::default(),
        place: Place::default(),
        params: Params::default(),
        cookies: AdCookies::default(),
    }
}

pub(crate) fn announced(fan: u64, at: Timestamp) -> EventBody {
    let body = json!({"event": "subscriptions.new", "account_id": "acct_1", "payload": {
        "id": format!("n{fan}"), "subType": "new_subscriber", "createdAt": at.iso(),
        "replacePairs": {"{PRICE}": "$4.99"}, "user_id": "1", "user": {"id": fan, "name": "Sam"}}});
    EventBody::Webhook(WebhookReceived {
        event: "subscriptions.new".into(),
        key: format!("evt_{fan}"),
        received_at: at,
        body: body.to_string().into_bytes(),
        retry_of: None,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_announced_subscriber_is_credited_to_the_click_without_waiting_for_the_schedule() {
    let world = World::start().await;
    let id = world.link(1, |_| {}).await;
    let links = stocked(&world, 5).await;
    for (number, link) in (0..5).zip(&links) {
        world.tape.push(START, EventBody::click(click(number, *link, START)));
    }
    world.attribute();
    let (_role, handle) = started(&world);
    let at = START.plus(Duration::from_secs(5));
    world.clock.set(at);
    world.upstream.subscribe("tracking-links", links[3].number, 77, Some(at.iso()));
    world.tape.push(at, announced(77, at));
    until("the subscriber waits for a link", async || handle.backlog() > 0).await;
    assert_eq!(world.tape.seen(), [], "others that come at the same time are sought with it");
    world.clock.advance(Duration::from_millis(200));
    until("the subscriber counts", async || {
        world.store.reports.totals(&[id]).await.unwrap()[0].subscribers == 1
    })
    .await;
    until("nothing is left", async || handle.backlog() == 0).await;
    let seen = world.tape.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].pool_link, seen[0].fan.as_str()), (links[3], "77"));
    assert_eq!((seen[0].subscribed_at, seen[0].price.map(|price| price.0)), (Some(at), Some(499)));
    assert_eq!(world.upstream.count("/subscribers"), 1, "only the list of the link whose counter moved");
    assert_eq!(world.store.pool.unmatched().await.unwrap(), []);
}

#[tokio::test]
async fn a_subscriber_whose_webhook_never_came_is_found_by_the_schedule() {
    let world = World::start().await;
    let links = stocked(&world, 3).await;
    give(&world, 1, &links).await;
    let role = start(&world);
    world.upstream.subscribe("tracking-links", links[1].number, 5, None);
    world.clock.advance(Duration::from_secs(61));
    until("the look at one minute", async || world.tape.seen().len() == 1).await;
    let first = PoolLinkRef { account: "acct_1".into(), id: links[1] };
    until("the counter is stored", async || {
        world.store.pool.get(first.clone()).await.unwrap().unwrap().facts.subscribers_seen == 1
    })
    .await;
    world.clock.advance(Duration::from_secs(120));
    let pages = world.upstream.count("GET /api/acct_1/tracking-links");
    until("another look", async || world.upstream.count("GET /api/acct_1/tracking-links") > pages).await;
    assert_eq!(world.tape.seen().len(), 1, "told once");
    world.stop.cancel();
    role.await.unwrap();
}

#[tokio::test]
async fn a_counter_is_stored_only_when_the_journal_has_the_subscriber() {
    let mut world = World::start().await;
    let links = stocked(&world, 2).await;
    give(&world, 1, &links).await;
    world.upstream.subscribe("tracking-links", links[0].number, 5, Some(START.iso()));
    world.tape.is_full.store(true, Ordering::SeqCst);
    world.clock.advance(Duration::from_secs(61));
    let role = start(&world);
    until("the list was read", async || world.upstream.count("/subscribers") > 0).await;
    world.stop.cancel();
    role.await.unwrap();
    let of = |id| PoolLinkRef { account: "acct_1".into(), id };
    let entry = world.store.pool.get(of(links[0])).await.unwrap().unwrap();
    assert_eq!((entry.facts.subscribers_seen, entry.facts.last_look_at), (0, None));
    // The next process finds the subscriber again.
    world.tape.is_full.store(false, Ordering::SeqCst);
    world.stop = CancellationToken::new();
    let role = start(&world);
    until("told", async || world.tape.seen().len() == 1).await;
    world.stop.cancel();
    role.await.unwrap();
}

#[tokio::test]
async fn subscribers_of_an_overflow_link_are_told_with_its_smart_link_once_each() {
    let world = World::start().await;
    let id = world.link(1, |_| {}).await;
    let shared = stocked(&world, 1).await[0];
    let overflow = OverflowLink { id: shared, url: "https://onlyfans.com/creator/c1".into() };
    world.store.catalog.set_overflow(id, overflow).await.unwrap();
    for fan in 1..=150 {
        world.upstream.subscribe("tracking-links", shared.number, fan, None);
    }
    let role = start(&world);
    until("everybody of before the start", async || world.tape.seen().len() == 150).await;
    assert!(world.tape.seen().iter().all(|seen| seen.overflow_of == Some(id)));
    world.upstream.subscribe("tracking-links", shared.number, 151, None);
    world.clock.advance(Duration::from_secs(60));
    until("the new one", async || world.tape.seen().len() == 151).await;
    let lists = world.upstream.count("/subscribers");
    world.clock.advance(Duration::from_secs(60));
    let pages = world.upstream.count("GET /api/acct_1/tracking-links");
    until("another look", async || world.upstream.count("GET /api/acct_1/tracking-links") > pages).await;
    assert_eq!(world.upstream.count("/subscribers"), lists, "nothing moved");
    assert_eq!(world.tape.seen().len(), 151);
    world.stop.cancel();
    role.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_begins_with_the_newest_hand_outs_and_stops_at_the_match() {
    let world = World::start().await;
    let links = stocked(&world, 450).await;
    for (step, hundred) in (1..).zip(links.chunks(90)) {
        give(&world, step, hundred).await;
        world.clock.advance(Duration::from_secs(1));
    }
    let (role, handle) = started(&world);
    // Where the links are is learned by the looks at one minute.
    world.clock.advance(Duration::from_secs(70));
    for hundred in links.chunks(100) {
        until("a look at every page", async || looked(&world, hundred[0]).await).await;
    }
    until("all looks are done", async || handle.backlog() == 0).await;
    let before = world.upstream.count("GET /api/acct_1/tracking-links");
    world.upstream.subscribe("tracking-links", links[449].number, 9, Some(world.clock.now().iso()));
    wait_for(&world, 6, 9).await;
    until("found", async || world.tape.seen().len() == 1).await;
    let calls = world.upstream.count("GET /api/acct_1/tracking-links") - before;
    assert_eq!(calls, 2, "the newest page and the list of the link, and none of the four other pages");
    world.stop.cancel();
    role.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_that_no_link_shows_is_sought_four_times_and_left_as_organic() {
    let world = World::start().await;
    let links = stocked(&world, 3).await;
    give(&world, 1, &links).await;
    let (role, handle) = started(&world);
    wait_for(&world, 2, 9).await;
    for (search, seconds) in [(1, 0), (2, 30), (3, 90), (4, 480)] {
        world.clock.advance(Duration::from_secs(seconds));
        until("a search", async || handle.backlog() == 0).await;
        let left = world.store.pool.unmatched().await.unwrap().len();
        if search < 4 {
            assert_eq!(left, 1, "search {search}");
        }
    }
    until("given up", async || world.store.pool.unmatched().await.unwrap().is_empty()).await;
    assert_eq!(world.tape.seen(), []);
    world.stop.cancel();
    role.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_sought_before_the_late_click_is_applied_is_found_by_the_next_search() {
    let world = World::start().await;
    let links = stocked(&world, 3).await;
    world.upstream.subscribe("tracking-links", links[2].number, 9, Some(world.clock.now().iso()));
    wait_for(&world, 1, 9).await;
    // An outage: the webhook is minutes old when attribution reads it, and the click is still on its way.
    world.clock.advance(Duration::from_secs(150));
    let (role, handle) = started(&world);
    until("a search", async || handle.backlog() == 0).await;
    assert_eq!(world.tape.seen(), [], "no link is given yet");
    give(&world, 2, &links).await;
    world.clock.advance(Duration::from_secs(30));
    until("found", async || world.tape.seen().len() == 1).await;
    world.stop.cancel();
    role.await.unwrap();
}

async fn looked(world: &World, id: PoolLinkId) -> bool {
    let link = PoolLinkRef { account: "acct_1".into(), id };
    world.store.pool.get(link).await.unwrap().unwrap().facts.last_look_at.is_some()
}

/// Attribution says that a fan's link is unknown, a debounce ago.
async fn wait_for(world: &World, step: u64, fan: u64) {
    let now = world.clock.now();
    let row = Unmatched {
        team: TEAM,
        account: "acct_1".into(),
        fan: fan.to_string().into(),
        subscribed_at: now,
        known_at: now,
    };
    apply(world, step, Step { unmatched: vec![row], ..Step::default() }).await;
    world.clock.advance(settings().debounce);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_that_attribution_has_not_passed_recycles_nothing() {
    let mut world = World::start().await;
    let links = stocked(&world, 2).await;
    give(&world, 1, &links).await;
    world.clock.advance(RULES.window + RULES.quarantine + Duration::from_secs(60));
    let role = tokio::spawn(matcher(&world, Arc::new(|| Duration::from_secs(3600))).run(world.stop.clone()));
    until("a look", async || looked(&world, links[1]).await).await;
    world.stop.cancel();
    role.await.unwrap();
    assert_eq!(world.count(&[PoolState::Recycled]).await, 0, "clicks of the last hour are not applied yet");
    world.stop = CancellationToken::new();
    let role = start(&world);
    until("a look without lag", async || world.count(&[PoolState::Recycled]).await == 2).await;
    world.stop.cancel();
    role.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_dates_a_subscriber_however_far_attribution_was_behind_at_the_look() {
    let world = World::start().await;
    let id = world.link(1, |_| {}).await;
    let links = stocked(&world, 2).await;
    world.tape.push(START, EventBody::click(click(1, links[1], START)));
    world.attribute();
    // The clock stands still here, so the matcher looks once.
    until("the click counts", async || world.store.reports.totals(&[id]).await.unwrap()[0].clicks == 1).await;
    let at = START.plus(Duration::from_secs(90));
    world.clock.set(at);
    world.upstream.subscribe("tracking-links", links[1].number, 77, None);
    let behind = Arc::new(|| Duration::from_secs(3600));
    let role = tokio::spawn(matcher(&world, behind).run(world.stop.clone()));
    until("the look at one minute", async || world.tape.seen().len() == 1).await;
    assert_eq!(world.tape.seen()[0].seen_at, at, "when the list was read");
    world.tape.push(at, announced(77, at));
    until("the subscriber counts", async || {
        world.store.reports.totals(&[id]).await.unwrap()[0].subscribers == 1
    })
    .await;
    world.stop.cancel();
    role.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_backlog_is_never_empty_between_attribution_and_the_next_tick() {
    let world = World::start().await;
    let applied = Arc::clone(&world.applied);
    let role = matcher(&world, Arc::new(|| Duration::ZERO));
    let handle = role.handle();
    applied.store(1, Ordering::SeqCst);
    assert_eq!(handle.backlog(), 1, "nobody has looked since");
    let role = tokio::spawn(role.run(world.stop.clone()));
    until("the tick", async || handle.backlog() == 0).await;
    applied.store(2, Ordering::SeqCst);
    assert_eq!(handle.backlog(), 1);
    handle.wake();
    until("the next tick", async || handle.backlog() == 0).await;
    world.stop.cancel();
    role.await.unwrap();
}
