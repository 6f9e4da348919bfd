//! All three roles against the simulated platform with its quirks: no address for tracking links, undated subscribers,
//! faults on demand.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use sl_core::{
    event::EventBody,
    ids::{LinkKind, PoolLinkId},
    pool::PoolState,
    seal::Secret,
    time::Clock as _,
};
use sl_platform::{
    EndedOverflows, Keeper, KeeperSettings, Matcher, MatcherSettings, OfApi, OfApiConfig, Reconcile,
    ReconcileSettings,
};
use sl_sim::platform::{AccountSetup, Faults, PlatformConfig, PlatformSim};
use tokio::task::JoinSet;

use crate::{
    matcher::{announced, click, request, settings},
    upstream::{KEY, until},
    world::{RULES, START, World},
};

pub(crate) async fn simulator(world: &World) -> PlatformSim {
    let secret = Secret::new("webhooks");
    let config = PlatformConfig::new(world.clock.clone(), 1, Secret::new(KEY), secret);
    let accounts = vec![AccountSetup::new("acct_1", "creator", 120)];
    PlatformSim::bind(PlatformConfig { accounts, faults: Faults::none(), ..config }).await.unwrap()
}

/// Something that people do there.
pub(crate) async fn does(sim: &PlatformSim, what: &str, body: Value) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.post(format!("{}/_sim/{what}", sim.url())).json(&body).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
}

pub(crate) fn start(world: &World, sim: &PlatformSim) -> JoinSet<()> {
    let client = OfApi::new(OfApiConfig {
        base_url: sim.url().parse().unwrap(),
        api_key: Secret::new(KEY),
        requests_per_minute: 60_000,
        timeout: Duration::from_secs(2),
    });
    let (client, store, clock) = (Arc::new(client.unwrap()), world.store.clone(), world.clock.clone());
    let keeper = KeeperSettings {
        cover: Duration::from_secs(7200),
        min: 20,
        max: 1000,
        requests_per_minute: 60_000,
        rules: RULES,
        many_edges: false,
    };
    let ended = EndedOverflows::default();
    let keeper =
        Keeper::new(keeper, client.clone(), store.clone(), clock.clone(), [7; 32]).replacing(ended.clone());
    let log = Arc::new(world.tape.clone());
    let settings = MatcherSettings { poll: Duration::from_secs(5), ..settings() };
    let lag = Arc::new(|| Duration::ZERO);
    let matcher =
        Matcher::new(settings, client.clone(), store.clone(), log.clone(), lag, clock.clone()).telling(ended);
    let reconcile = Reconcile::new(ReconcileSettings::default(), client, store, log, clock);
    let mut roles = JoinSet::new();
    roles.spawn(keeper.run(world.stop.clone()));
    roles.spawn(matcher.run(world.stop.clone()));
    roles.spawn(reconcile.run(world.stop.clone()));
    roles
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visitor_of_a_simulated_page_is_credited_whichever_link_they_came_through() {
    let world = World::start().await;
    let tracking = world.link(1, |_| {}).await;
    let trial = world.link(2, |link| (link.kind, link.trial_days) = (LinkKind::FreeTrial, Some(7))).await;
    let sim = simulator(&world).await;
    let roles = start(&world, &sim);
    world.attribute();
    until("both stocks", async || world.count(&[PoolState::Fresh]).await == 40).await;
    let mut held: Vec<(PoolLinkId, String)> = Vec::new();
    for (number, kind, days, link) in
        [(1, LinkKind::TrackingLink, None, tracking), (2, LinkKind::FreeTrial, Some(7), trial)]
    {
        let mut ask = request(&world, 1);
        (ask.stock.kind, ask.stock.trial_days) = (kind, days);
        let (given, _) = world.store.pool.lease(ask).await.unwrap().links.remove(0);
        let mut visit = click(number, given.id, START);
        visit.link = link;
        world.tape.push(START, EventBody::click(visit));
        held.push((given.id, given.url));
    }
    let shared = world.store.catalog.link(tracking).await.unwrap().unwrap().overflow.unwrap();
    assert!(shared.url.starts_with("https://onlyfans.com/creator/c"), "{}", shared.url);
    world.clock.advance(Duration::from_secs(3));
    for (fan, url) in [(1, &held[0].1), (2, &held[1].1), (3, &shared.url)] {
        does(&sim, "subscribe", json!({"link": url, "fan": {"id": fan}})).await;
        world.tape.push(world.clock.now(), announced(fan, world.clock.now()));
    }
    let subscribers = async |id| world.store.reports.totals(&[id]).await.unwrap()[0].subscribers;
    until("all three", async || {
        world.clock.advance(Duration::from_millis(50));
        subscribers(tracking).await == 2 && subscribers(trial).await == 1
    })
    .await;
    let seen = world.tape.seen();
    let of = |fan: &str| seen.iter().find(|seen| seen.fan.as_str() == fan).unwrap();
    assert_eq!((of("1").pool_link, of("1").subscribed_at), (held[0].0, None), "tracking lists have no dates");
    assert_eq!((of("2").pool_link, of("2").subscribed_at.is_some()), (held[1].0, true));
    assert_eq!(of("3").overflow_of, Some(tracking));
    world.stop.cancel();
    roles.join_all().await;
    sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stock_is_full_in_the_end_however_unruly_the_platform_is() {
    let world = World::start().await;
    world.link(1, |_| {}).await;
    let sim = simulator(&world).await;
    does(&sim, "login", json!({"account": "acct_1", "login": "reconnecting"})).await;
    let roles = start(&world, &sim);
    until("it was asked", async || sim.state().requests.values().any(|answers| answers.contains_key(&503)))
        .await;
    assert_eq!(world.count(&[PoolState::Fresh]).await, 0);
    does(&sim, "login", json!({"account": "acct_1", "login": "logged_in"})).await;
    until("the stock", async || {
        world.clock.advance(Duration::from_secs(1));
        world.count(&[PoolState::Fresh]).await == 20
    })
    .await;
    world.stop.cancel();
    roles.join_all().await;
    sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_that_were_ended_at_the_simulated_platform_are_retired_and_replaced() {
    let world = World::start().await;
    world.link(1, |_| {}).await;
    world.link(2, |link| (link.kind, link.trial_days) = (LinkKind::FreeTrial, Some(7))).await;
    let sim = simulator(&world).await;
    let roles = start(&world, &sim);
    until("both stocks", async || world.count(&[PoolState::Fresh]).await == 40).await;
    let mut urls = Vec::new();
    for (kind, days) in [(LinkKind::TrackingLink, None), (LinkKind::FreeTrial, Some(7))] {
        let mut ask = request(&world, 20);
        (ask.stock.kind, ask.stock.trial_days) = (kind, days);
        let links = world.store.pool.lease(ask).await.unwrap().links;
        urls.extend(links.into_iter().map(|(link, _)| link));
    }
    // The creator ends and deletes tracking links, ends a trial link, and somebody claims another one.
    for link in [3, 4, 5, 23].map(|place: usize| &urls[place].url) {
        does(&sim, "end-link", json!({"link": link})).await;
    }
    does(&sim, "subscribe", json!({"link": urls[25].url, "fan": {"id": 9}})).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let deleted = format!("{}/api/acct_1/tracking-links/{}", sim.url(), urls[6].id.number);
    assert!(client.delete(deleted).bearer_auth(KEY).send().await.unwrap().status().is_success());
    until("the ended ones are retired", async || {
        world.clock.advance(Duration::from_secs(1));
        world.count(&[PoolState::Retired]).await == 6
    })
    .await;
    for place in [3, 4, 5, 6, 23, 25] {
        let link = sl_store::pool::PoolLinkRef { account: "acct_1".into(), id: urls[place].id };
        assert!(world.store.pool.get(link).await.unwrap().unwrap().facts.retired_at.is_some());
    }
    until("others are made", async || {
        world.clock.advance(Duration::from_secs(1));
        world.count(&[PoolState::Fresh, PoolState::Leased]).await >= 40
    })
    .await;
    assert_eq!(world.count(&[PoolState::Retired]).await, 6, "nothing else was touched");
    world.stop.cancel();
    roles.join_all().await;
    sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overflow_link_that_was_ended_is_replaced_and_whoever_came_through_it_is_told() {
    let world = World::start().await;
    let link = world.link(1, |_| {}).await;
    let sim = simulator(&world).await;
    let roles = start(&world, &sim);
    let overflow = async || world.store.catalog.link(link).await.unwrap().unwrap().overflow;
    until("the overflow link", async || overflow().await.is_some()).await;
    let first = overflow().await.unwrap();
    does(&sim, "subscribe", json!({"link": first.url, "fan": {"id": 1}})).await;
    does(&sim, "end-link", json!({"link": first.url})).await;
    until("another one", async || {
        world.clock.advance(Duration::from_secs(1));
        overflow().await.is_some_and(|overflow| overflow.id != first.id)
    })
    .await;
    let second = overflow().await.unwrap();
    does(&sim, "subscribe", json!({"link": second.url, "fan": {"id": 2}})).await;
    until("both", async || {
        world.clock.advance(Duration::from_secs(1));
        world.tape.seen().len() == 2
    })
    .await;
    let links: Vec<_> = world.tape.seen().iter().map(|seen| (seen.pool_link, seen.overflow_of)).collect();
    assert_eq!(links, [(first.id, Some(link)), (second.id, Some(link))]);
    assert_eq!(overflow().await.unwrap().id, second.id, "once is enough");
    world.stop.cancel();
    roles.join_all().await;
    sim.shutdown().await;
}
