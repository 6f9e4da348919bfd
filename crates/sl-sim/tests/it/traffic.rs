//! Traffic against an edge of a few lines and the platform simulator.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, OnceLock},
    time::Duration,
};

use sl_core::{
    ids::{LinkKind, PoolLinkId, SmartLinkId},
    seal::Secret,
};
use sl_sim::{
    platform::{AccountSetup, Faults, PlatformConfig, PlatformSim},
    server::Server,
    traffic::{Pace, Present, Target, Traffic, TrafficConfig, TrafficError, book, discover},
};
use tokio_util::sync::CancellationToken;

use crate::{
    edge::Edge,
    people::{ACCOUNT, SECRET, http, localhost},
    virtual_time::VirtualTime,
};

pub(crate) struct Stage {
    pub(crate) platform: Arc<PlatformSim>,
    pub(crate) edge: Arc<Edge>,
    pub(crate) server: Server,
    pub(crate) config: TrafficConfig,
    told: Told,
}

impl Stage {
    /// From now on no time passes while a webhook is under way.
    pub(crate) fn tell(&self, url: url::Url) {
        self.platform.set_webhook(url);
        assert!(self.told.set(Arc::clone(&self.platform)).is_ok());
    }

    /// Waits until no webhook is under way.
    pub(crate) async fn all_told(&self) {
        all_told(Arc::clone(&self.told)).await;
    }
}

/// Whose webhooks are waited for.
type Told = Arc<OnceLock<Arc<PlatformSim>>>;

async fn all_told(told: Told) {
    while told.get().is_some_and(|platform| platform.state().webhooks.waiting > 0) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Two Smart Links with 24 s to subscribe, a pool of `links`; time passes when everybody sleeps and no webhook is under way.
pub(crate) async fn stage(links: usize, dry_every: usize, faults: Faults) -> Stage {
    let told = Told::default();
    let waited_for = Arc::clone(&told);
    let clock = VirtualTime::start(move || all_told(Arc::clone(&waited_for)));
    let platform = PlatformConfig {
        accounts: vec![AccountSetup::new(ACCOUNT, "nova", 1)],
        faults,
        ..PlatformConfig::new(clock.clone(), 1, Secret::new("key"), Secret::new(SECRET))
    };
    let platform = PlatformSim::bind(platform).await.unwrap();
    let http = http();
    let mut made = Vec::new();
    for number in 0..links + 2 {
        let url = format!("{}/api/{ACCOUNT}/tracking-links", platform.url());
        let name = serde_json::json!({"name": format!("pool {number}")});
        let answer = http.post(url).bearer_auth("key").json(&name).send().await.unwrap();
        let link: serde_json::Value = answer.json().await.unwrap();
        let id = PoolLinkId { kind: LinkKind::TrackingLink, number: link["data"][0]["id"].as_u64().unwrap() };
        made.push((id, format!("https://onlyfans.com/nova/c{}", link["data"][0]["campaignCode"])));
    }
    let target = |number: u8| Target {
        id: SmartLinkId::from_bytes([number; 16]),
        account: ACCOUNT.to_owned(),
        username: "nova".to_owned(),
        window: Duration::from_secs(24),
    };
    let targets = vec![target(1), target(2)];
    let edge = Arc::new(Edge {
        clock: clock.clone(),
        targets: targets.clone(),
        overflow: made.drain(..2).collect(),
        pool: made.into(),
        dry_every,
        clicks: HashMap::new().into(),
        seen: Vec::new().into(),
        log: Vec::new().into(),
    });
    let server = edge.listen().await;
    let url = |addr| format!("http://{addr}").parse().unwrap();
    let config = TrafficConfig {
        rate: 6.0,
        timer: clock.clone(),
        pace: Pace { margin: Duration::from_secs(6), ..Pace::default() },
        ..TrafficConfig::new(clock.clone(), url(server.addr()), url(platform.addr()), targets)
    };
    let platform = Arc::new(platform);
    Stage { platform, edge, server, config, told }
}

#[tokio::test]
async fn the_book_holds_what_edge_and_platform_saw() {
    let stage = stage(400, 0, Faults::none()).await;
    let traffic = Traffic::new(TrafficConfig { visitors: Some(200), ..stage.config }).unwrap();
    traffic.run(CancellationToken::new()).await;
    assert_eq!(traffic.arrived(), 200);
    let figures = traffic.book().figures();
    let seen = stage.edge.seen.lock().clone();
    let clicks = figures.clicks;
    assert_eq!(clicks.person + clicks.repeat + clicks.bot + clicks.speculative, seen.len() as u64);
    assert_eq!(clicks.person, stage.edge.clicks.lock().len() as u64);
    assert_eq!((figures.rungs.fresh, figures.rungs.overflow), (clicks.person, 0));
    assert!(clicks.repeat > 0 && clicks.bot > 0 && clicks.speculative > 4, "{clicks:?}");
    assert!(figures.broken.is_empty(), "{:?}", figures.broken);
    assert_eq!(figures.troubles, book::Troubles::default());
    let account = stage.platform.state().accounts[ACCOUNT].clone();
    assert_eq!(figures.subscribers.simulated, i64::try_from(account.fans).unwrap());
    assert_eq!(figures.revenue_cents.simulated, account.gross_cents);
    assert!(figures.subscribers.expected > 0 && account.reversed_cents > 0, "{figures:?}");
    assert!(figures.subscribers.expected < figures.subscribers.simulated, "some were late");
    // Programs are answered with a redirect too, and timed; a prefetch is refused.
    let refused = seen.iter().filter(|one| !one.header("sec-purpose").is_empty()).count();
    assert_eq!(traffic.latency().count, (seen.len() - refused) as u64);
    stage.server.shutdown().await;
}

#[tokio::test]
async fn the_same_seed_makes_the_same_choices() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let stage = stage(200, 0, Faults::none()).await;
        let config = TrafficConfig { visitors: Some(80), seed: 7, ..stage.config };
        let traffic = Traffic::new(config).unwrap();
        traffic.run(CancellationToken::new()).await;
        let figures = traffic.book().figures();
        let mut asked: Vec<String> =
            stage.edge.seen.lock().iter().map(|one| format!("{} {}", one.method, one.uri)).collect();
        asked.sort();
        runs.push((asked, figures.clicks, figures.subscribers.simulated, figures.revenue_cents.simulated));
    }
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test]
async fn people_keep_their_cookie_and_an_address_of_their_own() {
    let stage = stage(300, 0, Faults::none()).await;
    let config = TrafficConfig { seed: 2, visitors: Some(120), ..stage.config };
    Traffic::new(config).unwrap().run(CancellationToken::new()).await;
    let seen = stage.edge.seen.lock().clone();
    let mut agents: HashMap<String, HashSet<String>> = HashMap::new();
    for request in &seen {
        let agent = request.header("user-agent").to_owned();
        agents.entry(request.header("x-forwarded-for").to_owned()).or_default().insert(agent);
    }
    assert!(agents.values().all(|agents| agents.len() == 1), "an address is one device");
    let back = seen.iter().filter(|one| one.header("cookie").starts_with("sl_v=")).count();
    assert!(back > 0, "some came back with their cookie");
    assert!(seen.iter().any(|one| one.header("user-agent").contains("Instagram")));
}

#[tokio::test]
async fn at_shutdown_people_leave_and_the_book_is_complete() {
    let stage = stage(400, 0, Faults::none()).await;
    let traffic = Traffic::new(stage.config.clone()).unwrap();
    let stop = CancellationToken::new();
    let (book, asking, timer) = (traffic.book(), stop.clone(), stage.config.timer.clone());
    let here = Present::enter(&timer);
    tokio::spawn(async move {
        let _here = here;
        while book.figures().subscribers.simulated < 3 {
            timer.sleep(Duration::from_millis(500)).await;
        }
        asking.cancel();
    });
    traffic.run(stop).await;
    let figures = traffic.book().figures();
    let account = stage.platform.state().accounts[ACCOUNT].clone();
    assert_eq!(figures.subscribers.simulated, i64::try_from(account.fans).unwrap());
    assert_eq!(figures.revenue_cents.simulated, account.gross_cents);
}

#[tokio::test]
async fn settings_that_cannot_be_are_refused_by_name() {
    let stage = stage(1, 0, Faults::none()).await;
    let none = TrafficConfig { targets: Vec::new(), ..stage.config.clone() };
    assert!(matches!(Traffic::new(none), Err(TrafficError::NoTargets)));
    let still = TrafficConfig { rate: 0.0, ..stage.config.clone() };
    assert!(Traffic::new(still).unwrap_err().to_string().starts_with("rate = 0"));
    let mut narrow = stage.config;
    narrow.targets[1].window = Duration::from_secs(17);
    let error = Traffic::new(narrow).unwrap_err().to_string();
    assert!(error.contains("make it at least 18s"), "{error}");
}

#[tokio::test]
async fn smart_links_are_read_from_the_management_api() {
    let api = Server::bind(localhost(), Arc::new(()), |_, request| async move {
        let known =
            request.header("authorization") == "Bearer slk_1" && request.uri.path() == "/api/smart-links";
        let body = serde_json::json!({"data": [{
            "id": "01KZ4M8Q2T7V9W3X5Y6B1C0DEF", "name": "hook 1", "link_type": "tracking_link",
            "account": {"id": ACCOUNT, "display_name": "Nova", "username": "nova"},
        }]});
        let response = http::Response::builder().status(if known { 200 } else { 401 });
        response.body(axum::body::Body::from(body.to_string())).unwrap()
    });
    let api = api.await.unwrap();
    let url = format!("http://{}", api.addr()).parse().unwrap();
    let window = Duration::from_secs(6 * 3600);
    let targets = discover(&url, &Secret::new("slk_1"), window).await.unwrap();
    let id = "01KZ4M8Q2T7V9W3X5Y6B1C0DEF".parse().unwrap();
    let nova = Target { id, account: ACCOUNT.to_owned(), username: "nova".to_owned(), window };
    assert_eq!(targets, [nova]);
    let error = discover(&url, &Secret::new("slk_2"), window).await.unwrap_err().to_string();
    assert!(error.contains("401") && !error.contains("slk_2"), "{error}");
}
