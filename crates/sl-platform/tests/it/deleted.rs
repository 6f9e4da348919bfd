//! Links that the creator deletes at the simulated platform: keeper and matcher against it, over HTTP.

use std::time::Duration;

use serde_json::json;
use sl_core::{
    ids::{LinkKind, SmartLinkId},
    matching::LATE,
    pool::{PoolLink, PoolState},
};
use sl_sim::platform::PlatformSim;
use sl_store::pool::PoolLinkRef;
use tokio::task::JoinSet;

use crate::{
    matcher::request,
    simulated::{does, simulator, start},
    upstream::{KEY, until},
    world::World,
};

const KINDS: [(LinkKind, Option<u16>); 2] = [(LinkKind::TrackingLink, None), (LinkKind::FreeTrial, Some(7))];

/// Two Smart Links whose stocks are full and which are no longer new, and what edges have of each stock.
struct Stage {
    world: World,
    sim: PlatformSim,
    roles: JoinSet<()>,
    smart_links: [SmartLinkId; 2],
    stocks: [Vec<PoolLink>; 2],
}

impl Stage {
    async fn set_up() -> Self {
        let world = World::start().await;
        let tracking = world.link(1, |_| {}).await;
        let trial = world.link(2, |link| (link.kind, link.trial_days) = (LinkKind::FreeTrial, Some(7))).await;
        let sim = simulator(&world).await;
        let roles = start(&world, &sim);
        until("both stocks", async || world.count(&[PoolState::Fresh]).await == 40).await;
        world.clock.advance(LATE * 2);
        let mut stocks = [Vec::new(), Vec::new()];
        for (stock, (kind, days)) in stocks.iter_mut().zip(KINDS) {
            let mut ask = request(&world, 20);
            (ask.stock.kind, ask.stock.trial_days) = (kind, days);
            let links = world.store.pool.lease(ask).await.unwrap().links;
            stock.extend(links.into_iter().map(|(link, _)| link));
        }
        let stage = Self { world, sim, roles, smart_links: [tracking, trial], stocks };
        stage.read_lists(3).await;
        stage
    }

    async fn delete(&self, link: &PoolLink) {
        let list = if link.id.kind == LinkKind::FreeTrial { "trial-links" } else { "tracking-links" };
        let url = format!("{}/api/acct_1/{list}/{}", self.sim.url(), link.id.number);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        assert!(client.delete(url).bearer_auth(KEY).send().await.unwrap().status().is_success());
    }

    /// Requests to these endpoints so far, by whatever answer.
    fn requests(&self, endpoint: &str) -> u64 {
        let all = self.sim.state().requests;
        let of = all.iter().filter(|(name, _)| name.contains(endpoint));
        of.flat_map(|(_, answers)| answers.values()).sum()
    }

    /// The clock goes on until both lists were read so many times more.
    async fn read_lists(&self, times: u64) {
        for list in ["list_tracking_links", "list_trial_links"] {
            let enough = self.requests(list) + times;
            until(list, async || {
                self.world.clock.advance(Duration::from_secs(2));
                self.requests(list) >= enough
            })
            .await;
        }
    }

    async fn is_retired(&self, link: &PoolLink) -> bool {
        let link = PoolLinkRef { account: "acct_1".into(), id: link.id };
        self.world.store.pool.get(link).await.unwrap().unwrap().facts.retired_at.is_some()
    }

    async fn until_retired(&self, count: u64) {
        until("they are retired", async || {
            self.world.clock.advance(Duration::from_secs(1));
            self.world.count(&[PoolState::Retired]).await == count
        })
        .await;
    }

    async fn end(self) {
        self.world.stop.cancel();
        self.roles.join_all().await;
        self.sim.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_of_both_kinds_that_were_deleted_are_retired_and_replaced() {
    let stage = Stage::set_up().await;
    let [tracking, trial] = &stage.stocks;
    let questions = stage.requests("get_");
    // As the creator tidies up; one list shows deleted links and its end, the other one lacks them, and it may be both.
    for link in &trial[3..11] {
        stage.delete(link).await;
    }
    stage.delete(&tracking[2]).await;
    for link in &tracking[3..11] {
        does(&stage.sim, "delete-link", json!({"link": link.url, "gone": true})).await;
    }
    stage.until_retired(17).await;
    for link in trial[3..11].iter().chain(&tracking[2..11]) {
        assert!(stage.is_retired(link).await, "{}", link.id);
    }
    let asked = stage.requests("get_") - questions;
    assert_eq!(asked, 18, "each link, and of each list one that it shows");
    until("others are made", async || {
        stage.world.clock.advance(Duration::from_secs(1));
        stage.world.count(&[PoolState::Fresh, PoolState::Leased]).await >= 40
    })
    .await;
    stage.read_lists(5).await;
    assert_eq!(stage.world.count(&[PoolState::Retired]).await, 17, "nothing else was touched");
    assert_eq!(stage.requests("get_") - questions, asked, "nor asked about");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_lacks_links_which_are_there_retires_none() {
    let stage = Stage::set_up().await;
    for link in stage.stocks.iter().flat_map(|stock| &stock[4..9]) {
        does(&stage.sim, "hide-link", json!({"link": link.url, "hidden": true})).await;
    }
    stage.read_lists(6).await;
    assert_eq!(stage.requests("get_"), 2, "one of each list is asked about, and is there");
    assert_eq!(stage.world.count(&[PoolState::Retired]).await, 0);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_is_refused_or_not_answered_retires_nothing_and_comes_again() {
    let stage = Stage::set_up().await;
    let [tracking, trial] = &stage.stocks;
    // The client waits two seconds for an answer.
    does(&stage.sim, "stall", json!({"ms": 4000, "count": 1, "only": "get_tracking"})).await;
    does(&stage.sim, "delete-link", json!({"link": tracking[5].url, "gone": true})).await;
    until("it is not answered", async || {
        stage.world.clock.advance(Duration::from_millis(100));
        stage.requests("get_tracking_link") == 1
    })
    .await;
    for status in [401, 403, 503] {
        does(&stage.sim, "fail", json!({"status": status, "only": "get_trial_link"})).await;
        if status == 401 {
            stage.delete(&trial[5]).await;
        }
        let enough = stage.requests("get_trial_link") + 2;
        until("it is asked again", async || {
            stage.world.clock.advance(Duration::from_secs(2));
            stage.requests("get_trial_link") >= enough
        })
        .await;
        assert!(!stage.is_retired(&trial[5]).await, "{status}");
    }
    does(&stage.sim, "fail", json!({})).await;
    stage.until_retired(2).await;
    assert!(stage.is_retired(&tracking[5]).await && stage.is_retired(&trial[5]).await);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_question_is_asked_while_nothing_is_missing() {
    let stage = Stage::set_up().await;
    stage.read_lists(20).await;
    assert_eq!(stage.requests("get_"), 0);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overflow_links_of_both_kinds_that_were_deleted_are_replaced() {
    let stage = Stage::set_up().await;
    let overflow =
        async |link| stage.world.store.catalog.link(link).await.unwrap().unwrap().overflow.unwrap();
    let mut before = Vec::new();
    for link in stage.smart_links {
        let shared = overflow(link).await;
        does(&stage.sim, "delete-link", json!({"link": shared.url, "gone": true})).await;
        before.push((link, shared.id));
    }
    for (link, id) in before {
        until("another one", async || {
            stage.world.clock.advance(Duration::from_secs(1));
            overflow(link).await.id != id
        })
        .await;
    }
    assert_eq!(stage.world.count(&[PoolState::Retired]).await, 0);
    stage.end().await;
}
