//! The keeper: stock ahead of need, overflow links, no link made twice.

use std::{collections::BTreeSet, time::Duration};

use sl_core::{
    catalog::{Account, Usable},
    ids::LinkKind,
    pool::PoolState,
    step::AccountSignal,
    time::Clock as _,
};
use sl_platform::KeeperSettings;
use sl_store::pool::LeaseRequest;
use tokio_util::sync::CancellationToken;

use crate::{
    upstream::{Fault, until},
    world::{RULES, START, World, account},
};

#[tokio::test]
async fn every_stock_is_filled_to_its_target_and_every_link_gets_its_overflow_link() {
    let world = World::start().await;
    let tracking = world.link(1, |_| {}).await;
    let trial = world.link(2, |link| (link.kind, link.trial_days) = (LinkKind::FreeTrial, Some(7))).await;
    world.link(3, |link| link.paused = true).await;
    let mut keeper = world.keeper();
    let (snapshot, stop) = (keeper.snapshot(), CancellationToken::new());
    while keeper.turn(&stop).await.unwrap() {}
    assert_eq!(world.count(&[PoolState::Fresh]).await, 40, "both stocks are full");
    for (id, list) in [(tracking, "tracking-links"), (trial, "trial-links")] {
        let link = world.store.catalog.link(id).await.unwrap().unwrap();
        let overflow = link.overflow.clone().unwrap();
        assert!(world.upstream.links(list).iter().any(|row| row.id == overflow.id.number), "{list}");
        assert!(snapshot.status(&link.stock()).last_refill_at.is_some());
    }
    let trials = world.upstream.links("trial-links");
    assert!(trials.iter().all(|row| row.days == Some(7)));
    let limits: Vec<_> = trials.iter().map(|row| row.limit.unwrap()).collect();
    assert_eq!(limits.iter().sum::<u64>(), 20, "single use, but for the one overflow link without a limit");
    // Three overflow links, one of them of the paused link, and nothing beyond.
    assert_eq!(world.upstream.count("POST"), 43);
    let mut block = world.store.pool.lease(crate::matcher::request(&world, 20)).await.unwrap();
    let urls: BTreeSet<_> = block.links.iter().map(|(link, _)| link.url.clone()).collect();
    assert_eq!(urls.len(), 20);
    let (link, _) = block.links.remove(0);
    assert_eq!(link.url, format!("https://onlyfans.com/creator/c{}", link.id.number * 2));
}

#[tokio::test]
async fn what_one_edge_has_leased_is_not_all_that_the_next_one_finds() {
    let world = World::start().await;
    world.link(1, |_| {}).await;
    let stop = CancellationToken::new();
    let mut of_one = world.keeper();
    while of_one.turn(&stop).await.unwrap() {}
    let mut of_many = world.keeper_with(KeeperSettings { many_edges: true, ..World::keeper_settings() });
    let lease = async |owner: &str, want| {
        let request = LeaseRequest { owner: owner.into(), ..crate::matcher::request(&world, want) };
        world.store.pool.lease(request).await.unwrap().links.len()
    };
    // More than its share.
    assert_eq!(lease("edge-1", 256).await, 20);
    assert!(!of_one.turn(&stop).await.unwrap());
    assert_eq!(lease("edge-2", 10).await, 0, "the only edge there is has what there is");
    for edge in ["edge-2", "edge-3"] {
        while of_many.turn(&stop).await.unwrap() {}
        assert_eq!(lease(edge, 10).await, 10, "{edge}");
    }
    while of_many.turn(&stop).await.unwrap() {}
    assert_eq!((world.count(&[PoolState::Fresh]).await, world.count(&[PoolState::Leased]).await), (10, 40));
}

#[tokio::test]
async fn links_that_were_handed_out_are_replaced_and_demand_raises_the_target() {
    let world = World::start().await;
    world.link(1, |_| {}).await;
    let mut keeper = world.keeper();
    let stop = CancellationToken::new();
    while keeper.turn(&stop).await.unwrap() {}
    assert_eq!(world.count(&[PoolState::Fresh]).await, 20);
    let block = world.store.pool.lease(crate::matcher::request(&world, 20)).await.unwrap();
    crate::matcher::give(&world, 1, &block.links.iter().map(|(link, _)| link.id).collect::<Vec<_>>()).await;
    world.clock.advance(Duration::from_secs(300));
    while keeper.turn(&stop).await.unwrap() {}
    // 20 in 5 minutes are 240 an hour, for 2 hours.
    let fresh = world.count(&[PoolState::Fresh]).await;
    assert!((400..=560).contains(&fresh), "{fresh}");
    assert_eq!(world.upstream.links("tracking-links").len() as u64, 20 + fresh + 1);
}

#[tokio::test]
async fn a_create_that_goes_unanswered_is_found_by_its_name_and_not_made_twice() {
    for fault in [Fault::Mute, Fault::Broken] {
        let world = World::start().await;
        world.link(1, |_| {}).await;
        let mut keeper = world.keeper();
        let stop = CancellationToken::new();
        world.upstream.fault("POST", fault);
        for _ in 0..40 {
            if !keeper.turn(&stop).await.unwrap() {
                break;
            }
            world.clock.advance(Duration::from_secs(60));
        }
        assert_eq!(world.count(&[PoolState::Fresh]).await, 20);
        let rows = world.upstream.links("tracking-links");
        let names: BTreeSet<_> = rows.iter().map(|row| row.name.clone()).collect();
        assert_eq!((rows.len(), names.len()), (21, 21), "{fault:?}: 20 in stock and the overflow link");
    }
}

#[tokio::test]
async fn a_doubtful_create_that_shows_up_later_is_taken_over() {
    let world = World::start().await;
    world.link(1, |_| {}).await;
    let mut keeper = world.keeper();
    let stop = CancellationToken::new();
    // The create has its effect, the answer is lost, and the list can't be read either.
    world.upstream.fault("POST", Fault::Broken);
    world.upstream.fault("GET", Fault::Status(400));
    assert!(keeper.turn(&stop).await.unwrap());
    for _ in 0..40 {
        world.clock.advance(Duration::from_secs(10));
        if !keeper.turn(&stop).await.unwrap() {
            break;
        }
    }
    assert_eq!(world.count(&[PoolState::Fresh]).await, 20);
    assert_eq!(world.upstream.links("tracking-links").len(), 21);
}

#[tokio::test]
async fn a_doubtful_create_of_an_account_that_is_logged_out_is_looked_for_when_it_is_back() {
    let world = World::start().await;
    world.link(1, |_| {}).await;
    let (mut keeper, stop) = (world.keeper(), CancellationToken::new());
    world.upstream.fault("POST", Fault::Broken);
    world.upstream.fault("GET", Fault::Status(400));
    assert!(keeper.turn(&stop).await.unwrap());
    let calls = world.upstream.count("");
    let signal = |usable| AccountSignal { account: "acct_1".into(), usable, as_of: world.clock.now() };
    world.clock.advance(Duration::from_secs(900));
    world.store.catalog.signal(signal(false)).await.unwrap();
    assert!(keeper.turn(&stop).await.unwrap());
    assert_eq!(world.upstream.count(""), calls, "nothing is asked of the platform");
    world.clock.advance(Duration::from_secs(10));
    world.store.catalog.signal(signal(true)).await.unwrap();
    while keeper.turn(&stop).await.unwrap() {}
    assert_eq!(world.count(&[PoolState::Fresh]).await, 20);
    assert_eq!(world.upstream.links("tracking-links").len(), 21, "none was made twice");
}

#[tokio::test]
async fn an_account_that_is_logged_out_is_left_alone_until_it_is_back() {
    let world = World::start().await;
    let id = world.link(1, |_| {}).await;
    let signal = |usable| AccountSignal { account: "acct_1".into(), usable, as_of: world.clock.now() };
    world.clock.advance(Duration::from_secs(1));
    world.store.catalog.signal(signal(false)).await.unwrap();
    let keeper = world.keeper();
    let snapshot = keeper.snapshot();
    let stock = world.store.catalog.link(id).await.unwrap().unwrap().stock();
    let role = tokio::spawn(keeper.run(world.stop.clone()));
    until("the reason is shown", async || snapshot.status(&stock).last_error.is_some()).await;
    assert!(snapshot.status(&stock).last_error.unwrap().contains("logged out"));
    assert_eq!(world.upstream.count(""), 0, "nothing is asked of the platform");
    world.clock.advance(Duration::from_secs(1));
    world.store.catalog.signal(signal(true)).await.unwrap();
    until("refill goes on", async || world.count(&[PoolState::Fresh]).await == 20).await;
    until("the reason is gone", async || snapshot.status(&stock).last_error.is_none()).await;
    world.stop.cancel();
    role.await.unwrap();
}

#[tokio::test]
async fn for_an_account_whose_handle_is_not_known_no_link_is_made_that_would_lead_nowhere() {
    let world = World::start().await;
    let account = world.store.catalog.account(&"acct_1".into()).await.unwrap().unwrap();
    world.store.catalog.put_account(Account { username: None, ..account.clone() }).await.unwrap();
    world.link(1, |_| {}).await;
    let (mut keeper, stop) = (world.keeper(), CancellationToken::new());
    for _ in 0..3 {
        assert!(keeper.turn(&stop).await.unwrap(), "links are missing");
        world.clock.advance(Duration::from_secs(10));
    }
    assert_eq!(world.upstream.count("POST"), 0);
    world.store.catalog.put_account(account).await.unwrap();
    while keeper.turn(&stop).await.unwrap() {}
    assert_eq!(world.upstream.links("tracking-links").len(), 21);
}

#[tokio::test]
async fn after_a_link_that_leads_nowhere_the_account_waits_before_another_is_made() {
    let world = World::start().await;
    world.link(1, |_| {}).await;
    let (mut keeper, stop) = (world.keeper(), CancellationToken::new());
    world.upstream.fault("POST", Fault::Nowhere);
    assert!(keeper.turn(&stop).await.unwrap(), "links are missing");
    let calls = world.upstream.count("POST");
    assert!(calls < 20, "{calls} calls: those under way, not the whole round");
    for _ in 0..3 {
        assert!(keeper.turn(&stop).await.unwrap(), "links are missing");
        assert_eq!(world.upstream.count("POST"), calls, "neither for the stock nor as overflow link");
    }
    world.clock.advance(Duration::from_secs(60));
    while keeper.turn(&stop).await.unwrap() {}
    assert_eq!(world.count(&[PoolState::Fresh]).await, 20);
    assert_eq!(
        world.upstream.links("tracking-links").len(),
        22,
        "with the overflow link and the one for nobody"
    );
}

#[tokio::test]
async fn an_overflow_link_that_is_refused_for_good_keeps_no_stock_and_no_other_link_from_being_made() {
    let world = World::start().await;
    let refused = world.link(1, |_| {}).await;
    let other = world.link(2, |_| {}).await;
    world.upstream.refuse(format!("o-{refused}"), 422);
    let (mut keeper, stop) = (world.keeper(), CancellationToken::new());
    assert!(keeper.turn(&stop).await.unwrap(), "one is missing");
    let has_overflow = async |id| world.store.catalog.link(id).await.unwrap().unwrap().overflow.is_some();
    assert!(has_overflow(other).await && !has_overflow(refused).await);
    assert_eq!(world.count(&[PoolState::Fresh]).await, 20);
    // It is asked for ever more seldom, and the stock is refilled all the while.
    for round in 1..=5 {
        let block = world.store.pool.lease(crate::matcher::request(&world, 20)).await.unwrap();
        crate::matcher::give(&world, round, &block.links.iter().map(|(link, _)| link.id).collect::<Vec<_>>())
            .await;
        world.clock.advance(Duration::from_secs(60));
        assert!(keeper.turn(&stop).await.unwrap());
        assert!(world.count(&[PoolState::Fresh]).await >= 20, "round {round}");
        // The time has not come again.
        keeper.turn(&stop).await.unwrap();
    }
    let made = world.upstream.links("tracking-links").len();
    let asked = world.upstream.count("POST") - made;
    assert_eq!(asked, 6, "once a minute, and not in every turn");
    world.upstream.change(|rows| rows.refusals.clear());
    world.clock.advance(Duration::from_secs(300));
    while keeper.turn(&stop).await.unwrap() {}
    assert!(has_overflow(refused).await);
}

#[tokio::test]
async fn a_stock_that_the_page_does_not_allow_waits_alone_and_says_why() {
    let world = World::start().await;
    let tracking = world.link(1, |_| {}).await;
    let trial = world.link(2, |link| (link.kind, link.trial_days) = (LinkKind::FreeTrial, Some(7))).await;
    world.upstream.refuse("POST /api/acct_1/trial-links", 400);
    let (mut keeper, stop) = (world.keeper(), CancellationToken::new());
    let snapshot = keeper.snapshot();
    assert!(keeper.turn(&stop).await.unwrap());
    assert_eq!(
        world.upstream.links("tracking-links").len(),
        21,
        "the other stock is whole, and has its overflow link"
    );
    let link = async |id| world.store.catalog.link(id).await.unwrap().unwrap();
    assert!(link(tracking).await.overflow.is_some());
    let why = snapshot.status(&link(trial).await.stock()).last_error.unwrap();
    assert!(why.contains("400"), "{why}");
    let asked = world.upstream.count("trial-links");
    keeper.turn(&stop).await.unwrap();
    assert_eq!(world.upstream.count("trial-links"), asked, "it waits");
}

#[tokio::test]
async fn what_concerns_the_account_puts_all_its_places_off() {
    for status in [402, 403, 503] {
        let world = World::start().await;
        world.link(1, |_| {}).await;
        world.link(2, |link| (link.kind, link.trial_days) = (LinkKind::FreeTrial, Some(7))).await;
        world.upstream.refuse("POST", status);
        let (mut keeper, stop) = (world.keeper(), CancellationToken::new());
        keeper.turn(&stop).await.unwrap();
        let lists = ["tracking-links", "trial-links"].map(|list| world.upstream.count(list) > 0);
        assert_eq!(lists.iter().filter(|asked| **asked).count(), 1, "{status}: the first refusal is enough");
    }
}

#[tokio::test]
async fn a_stock_that_runs_dry_is_refilled_before_many_overflow_links_are_made() {
    let world = World::start().await;
    for number in 1..=10 {
        world.link(number, |_| {}).await;
    }
    let (mut keeper, stop) = (world.keeper(), CancellationToken::new());
    keeper.turn(&stop).await.unwrap();
    let names = world.upstream.links("tracking-links").into_iter().map(|row| row.name);
    let overflow = names.enumerate().filter(|(_, name)| name.starts_with("sl-o-"));
    let places: Vec<_> = overflow.map(|(place, _)| place).collect();
    assert_eq!(places, [0, 1, 2, 3, 24, 25, 26, 27, 28, 29], "a few, the stock of 20, the rest");
    // What is full enough can wait for an overflow link.
    world.link(11, |_| {}).await;
    let block = world.store.pool.lease(crate::matcher::request(&world, 2)).await.unwrap();
    crate::matcher::give(&world, 1, &block.links.iter().map(|(link, _)| link.id).collect::<Vec<_>>()).await;
    world.clock.advance(Duration::from_secs(600));
    keeper.turn(&stop).await.unwrap();
    let names: Vec<_> = world.upstream.links("tracking-links").into_iter().map(|row| row.name).collect();
    assert!(names[30].starts_with("sl-o-") && names.len() > 31, "{names:?}");
}

#[tokio::test]
async fn the_few_overflow_links_made_before_a_dry_stock_are_some_that_can_be_made() {
    let world = World::start().await;
    // Of an account that nobody knows; of one that is logged out; refused before; and those that can be made.
    for number in 1..=3 {
        world.link(number, |link| link.account = "acct_3".into()).await;
    }
    let usable = Usable { yes: false, as_of: START };
    let away = Account { id: "acct_2".into(), usable, ..account() };
    world.store.catalog.put_account(away).await.unwrap();
    for number in 4..=6 {
        world.link(number, |link| link.account = "acct_2".into()).await;
    }
    for number in 7..=10 {
        let id = world.link(number, |link| link.paused = true).await;
        world.upstream.refuse(format!("o-{id}"), 422);
    }
    let (mut keeper, stop) = (world.keeper(), CancellationToken::new());
    assert!(keeper.turn(&stop).await.unwrap());
    assert_eq!(world.upstream.links("tracking-links").len(), 0);
    for number in 11..=16 {
        world.link(number, |_| {}).await;
    }
    assert!(keeper.turn(&stop).await.unwrap(), "those that can't be made are missing");
    let names = world.upstream.links("tracking-links").into_iter().map(|row| row.name);
    let overflow = names.enumerate().filter(|(_, name)| name.starts_with("sl-o-"));
    let places: Vec<_> = overflow.map(|(place, _)| place).collect();
    assert_eq!(places, [0, 1, 2, 3, 24, 25]);
}

#[tokio::test]
async fn a_link_nobody_used_comes_back_and_a_trial_link_does_not() {
    let world = World::start().await;
    world.link(1, |_| {}).await;
    world.link(2, |link| (link.kind, link.trial_days) = (LinkKind::FreeTrial, Some(7))).await;
    let mut keeper = world.keeper();
    let stop = CancellationToken::new();
    while keeper.turn(&stop).await.unwrap() {}
    let block = world.store.pool.lease(crate::matcher::request(&world, 2)).await.unwrap();
    let mut trials = crate::matcher::request(&world, 3);
    (trials.stock.kind, trials.stock.trial_days) = (LinkKind::FreeTrial, Some(7));
    let trials = world.store.pool.lease(trials).await.unwrap();
    let all: Vec<_> = block.links.iter().chain(&trials.links).map(|(link, _)| link.id).collect();
    crate::matcher::give(&world, 1, &all).await;
    world.clock.advance(RULES.window + RULES.quarantine);
    assert_eq!(world.count(&[PoolState::Retired]).await, 3);
    assert_eq!(world.count(&[PoolState::Recycled]).await, 0, "no look has proved it");
    let matcher = crate::matcher::start(&world);
    until("the look after quarantine", async || world.count(&[PoolState::Recycled]).await == 2).await;
    world.stop.cancel();
    matcher.await.unwrap();
    let before = world.upstream.count("POST");
    while keeper.turn(&stop).await.unwrap() {}
    let made = world.upstream.count("POST") - before;
    assert_eq!(made, 3, "the recycled ones count as stock, the trial links are replaced");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failure_what_is_under_way_is_kept_and_nothing_new_begins() {
    let world = World::start().await;
    world.link(1, |_| {}).await;
    let mut keeper = world.keeper();
    let stop = CancellationToken::new();
    // The first call makes the overflow link; the next one of the stock is refused.
    keeper.turn(&stop).await.unwrap();
    let block = world.store.pool.lease(crate::matcher::request(&world, 20)).await.unwrap();
    crate::matcher::give(&world, 1, &block.links.iter().map(|(link, _)| link.id).collect::<Vec<_>>()).await;
    world.clock.advance(Duration::from_secs(60));
    let before = world.upstream.count("POST");
    world.upstream.fault("POST", Fault::Status(402));
    assert!(keeper.turn(&stop).await.unwrap());
    let calls = world.upstream.count("POST") - before;
    assert!(calls < 20, "{calls} calls: those under way, not the whole round");
    let made = world.upstream.links("tracking-links").len() as u64;
    assert_eq!(world.count(&[PoolState::Fresh]).await, made - 21, "each link the platform made is in stock");
    assert!(keeper.turn(&stop).await.unwrap(), "it waits");
    assert_eq!(world.upstream.count("POST") - before, calls);
    world.clock.advance(Duration::from_secs(1));
    keeper.turn(&stop).await.unwrap();
    assert!(world.upstream.count("POST") - before > calls, "and goes on");
}
