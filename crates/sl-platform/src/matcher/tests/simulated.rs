//! What a click costs in requests to the simulated platform, over real HTTP and on a clock that leaps: links are made,
//! handed out, people subscribe through some of them, and every link has its last look.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use sl_core::{
    ids::{ClickId, LinkKind, PoolLinkId},
    pool::Given,
    seal::Secret,
    time::{Clock, Timestamp},
};
use sl_sim::platform::{AccountSetup, Faults, PlatformConfig, PlatformSim};

use super::rig::{ACCOUNT, HOUR, Rig};
use crate::{
    CreatorPlatform, OfApi, OfApiConfig, Priority,
    platform::{LinkSeen, LinkWish},
};

const DAY: u64 = 86_400_000;
/// Between two readings of the pool.
const STEP: Duration = Duration::from_secs(30);
/// One visitor in so many subscribes ...
const SUBSCRIBES: u64 = 25;
/// ... after this time.
const THINKS: Duration = Duration::from_secs(300);
/// Made one after the other a simulated day would take too long.
const AT_ONCE: usize = 16;

struct Simulated {
    sim: PlatformSim,
    client: Arc<OfApi>,
    http: reqwest::Client,
}

impl Simulated {
    async fn start(clock: Arc<dyn Clock>) -> Self {
        let config = PlatformConfig::new(clock, 1, Secret::new("key"), Secret::new("webhooks"));
        let accounts = vec![AccountSetup::new(ACCOUNT, "creator", 120)];
        let config = PlatformConfig { accounts, faults: Faults::none(), ..config };
        let sim = PlatformSim::bind(config).await.unwrap();
        let client = OfApi::new(OfApiConfig {
            base_url: sim.url().parse().unwrap(),
            api_key: Secret::new("key"),
            requests_per_minute: 600_000,
            timeout: Duration::from_secs(20),
        });
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { sim, client: Arc::new(client.unwrap()), http }
    }

    async fn make(&self, count: u64) -> Vec<LinkSeen> {
        use futures_util::{StreamExt, stream};
        let account = ACCOUNT.into();
        let make = |number: u64| {
            let (client, account) = (Arc::clone(&self.client), &account);
            let wish = LinkWish {
                kind: LinkKind::TrackingLink,
                trial_days: None,
                single_use: true,
                name: format!("sl-c-{number}"),
            };
            async move { client.create(account, &wish, Priority::Rest).await.unwrap() }
        };
        let mut links: Vec<_> = stream::iter(0..count).map(make).buffer_unordered(AT_ONCE).collect().await;
        links.sort_by_key(|link| link.id);
        links
    }

    async fn subscribe(&self, link: &LinkSeen, fan: u64) {
        let body = json!({"link": link.address(Some("creator")), "fan": {"id": fan}}).to_string();
        let answer = self.http.post(format!("{}/_sim/subscribe", self.sim.url())).body(body).send();
        let answer = answer.await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }

    /// Requests so far, those that make links first.
    fn requests(&self) -> (u64, u64, String) {
        let state = self.sim.state();
        let of = |statuses: &std::collections::BTreeMap<u16, u64>| statuses.values().sum::<u64>();
        let all: u64 = state.requests.values().map(of).sum();
        let made: u64 =
            state.requests.iter().filter(|(name, _)| name.contains("create")).map(|(_, all)| of(all)).sum();
        (made, all - made, format!("{:?}", state.requests))
    }
}

/// Requests for one click beside the one that makes its link.
async fn requests_per_click(per_day: u64, span: Duration) -> f64 {
    let gap = DAY / per_day;
    let clicks = u64::try_from(span.as_millis()).unwrap() / gap;
    let mut rig = Rig::new(0).await;
    let platform = Simulated::start(rig.clock.clone()).await;
    let links = platform.make(clicks).await;
    let ids: Vec<PoolLinkId> = links.iter().map(|link| link.id).collect();
    rig.stock(&ids).await;
    let mut role = rig.role_at(platform.client.clone());
    let at = |number: u64| Timestamp(i64::try_from(number * gap).unwrap());
    let mut subscribers = Vec::new();
    let (mut given, mut subscribed) = (0, 0);
    let last = at(clicks).plus(THINKS);
    while rig.clock.now() < last {
        rig.clock.advance(STEP);
        let due = (u64::try_from(rig.clock.now().0).unwrap() / gap).min(clicks);
        let hand_outs = (given..due).map(|number| {
            let click = ClickId::from_bytes(u128::from(number + 1).to_be_bytes());
            let at = at(number);
            let place = usize::try_from(number).unwrap();
            (ids[place], Given { click, at, last_hit_at: at, window: HOUR * 6 })
        });
        rig.give(hand_outs.collect()).await;
        given = due;
        while subscribed < given && at(subscribed).plus(THINKS) <= rig.clock.now() {
            if subscribed % SUBSCRIBES == 0 {
                let link = &links[usize::try_from(subscribed).unwrap()];
                platform.subscribe(link, 1_000 + subscribed).await;
                subscribers.push((link.id.number, 1_000 + subscribed));
            }
            subscribed += 1;
        }
        while role.turn().await.unwrap() {}
    }
    while let Some(at) = role.watch.next_due() {
        rig.clock.set(rig.clock.now().plus(Duration::from_secs(1)).max(at));
        while role.turn().await.unwrap() {}
    }
    assert_eq!(rig.live().await, 0, "every link had its last look");
    let mut told = rig.log.told();
    told.sort_unstable();
    assert_eq!(told, subscribers, "everybody is found, by the looks alone");
    let (made, other, all) = platform.requests();
    assert_eq!(made, clicks, "{all}");
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let figure = other as f64 / clicks as f64;
    println!(
        "{per_day} clicks a day ({clicks} of them simulated, {} subscribe): {figure:.3} requests for a click \
         beside the one that makes its link; {all}",
        subscribers.len()
    );
    platform.sim.shutdown().await;
    figure
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_click_costs_the_simulated_platform_about_a_tenth_of_a_request() {
    // A subscriber's link is read once: a twenty-fifth of a request.
    for (per_day, span, most) in [(10_000, HOUR * 6 / 5, 0.25), (100_000, HOUR / 6, 0.18)] {
        let figure = requests_per_click(per_day, span).await;
        assert!(figure < most, "{figure} at {per_day} clicks a day");
    }
}
