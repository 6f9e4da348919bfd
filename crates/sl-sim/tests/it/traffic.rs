//! Traffic against an edge of a few lines and the platform simulator.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use axum::{body::Body, response::Response};
use http::Method;
use parking_lot::Mutex;
use sl_core::{
    ids::SmartLinkId,
    seal::Secret,
    time::{Clock, Timestamp},
};
use sl_sim::{
    platform::{AccountSetup, Faults, PlatformConfig, PlatformSim},
    server::{Server, Whole},
    traffic::{Pace, Target, Traffic, TrafficConfig, TrafficError},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::people::{ACCOUNT, NOW, localhost};

/// Runs `speed` times as fast as real time.
struct FastClock {
    began: Instant,
    speed: u32,
}

impl Clock for FastClock {
    fn now(&self) -> Timestamp {
        NOW.plus(self.began.elapsed() * self.speed)
    }
}

/// Hands out one link per visitor, link and `ecid`; programs share one.
#[derive(Default)]
struct Edge {
    links: Mutex<Vec<String>>,
    given: Mutex<HashMap<String, String>>,
    seen: Mutex<Vec<Whole>>,
}

async fn redirect(edge: Arc<Edge>, request: Whole) -> Response {
    let answer = answer(&edge, &request);
    edge.seen.lock().push(request);
    answer
}

fn answer(edge: &Edge, request: &Whole) -> Response {
    let response = Response::builder();
    if !request.header("sec-purpose").is_empty() {
        return response.status(503).body(Body::empty()).unwrap();
    }
    // Browsers of people say what they want to do with the page.
    let program = request.method == Method::HEAD || request.header("sec-fetch-mode").is_empty();
    let location = if program {
        "https://onlyfans.com/nova/c1".to_owned()
    } else {
        let query = request.query().into_iter().find(|(key, _)| key == "ecid").map(|(_, ecid)| ecid);
        let ecid = query.filter(|ecid| !ecid.starts_with("{{")).unwrap_or_default();
        let who = format!("{} {} {ecid}", request.header("x-forwarded-for"), request.uri.path());
        let mut given = edge.given.lock();
        given.entry(who).or_insert_with(|| edge.links.lock().pop().unwrap()).clone()
    };
    let response = response.status(302).header("location", location);
    response.header("set-cookie", "sl_v=0123; Path=/; Secure; HttpOnly").body(Body::empty()).unwrap()
}

struct Stage {
    platform: PlatformSim,
    edge: Arc<Edge>,
    server: Server,
    config: TrafficConfig,
}

/// `links` pool links at the platform, two Smart Links, a clock 40 times as fast as the wall's.
async fn stage(links: usize) -> Stage {
    let clock = Arc::new(FastClock { began: Instant::now(), speed: 40 });
    let platform = PlatformConfig {
        accounts: vec![AccountSetup::new(ACCOUNT, "nova", 1)],
        faults: Faults::none(),
        ..PlatformConfig::new(clock.clone(), 1, Secret::new("key"), Secret::new("secret"))
    };
    let platform = PlatformSim::bind(platform).await.unwrap();
    let http = crate::people::http();
    for number in 0..links {
        let url = format!("{}/api/{ACCOUNT}/tracking-links", platform.url());
        let name = serde_json::json!({"name": format!("pool {number}")});
        http.post(url).bearer_auth("key").json(&name).send().await.unwrap().error_for_status().unwrap();
    }
    // The first one is shared.
    let pool = (2..=links).rev().map(|code| format!("https://onlyfans.com/nova/c{code}")).collect();
    let edge = Arc::new(Edge { links: Mutex::new(pool), ..Edge::default() });
    let server = Server::bind(localhost(), Arc::clone(&edge), redirect).await.unwrap();
    let target = |number: u8| Target {
        id: SmartLinkId::from_bytes([number; 16]),
        account: ACCOUNT.to_owned(),
        username: "nova".to_owned(),
        window: Duration::from_secs(20),
    };
    let url = |addr| format!("http://{addr}").parse().unwrap();
    let config = TrafficConfig {
        rate: 2.0,
        time_scale: 40.0,
        pace: Pace { margin: Duration::from_secs(4), ..Pace::default() },
        ..TrafficConfig::new(clock, url(server.addr()), url(platform.addr()), vec![target(1), target(2)])
    };
    Stage { platform, edge, server, config }
}

#[tokio::test]
async fn the_book_holds_what_edge_and_platform_saw() {
    let stage = stage(400).await;
    let traffic = Traffic::new(stage.config).unwrap();
    let stop = CancellationToken::new();
    let timer = stop.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(3)).await;
        timer.cancel();
    });
    traffic.run(stop).await;
    let figures = traffic.book().figures();
    let seen = stage.edge.seen.lock().clone();
    let clicks = figures.clicks;
    assert_eq!(clicks.person + clicks.repeat + clicks.bot + clicks.speculative, seen.len() as u64);
    assert_eq!(clicks.person, stage.edge.given.lock().len() as u64);
    assert_eq!((figures.rungs.fresh, figures.rungs.overflow), (clicks.person, 0));
    assert!(clicks.repeat > 0 && clicks.bot > 0 && clicks.speculative > 4, "{clicks:?}");
    assert!(figures.broken.is_empty(), "{:?}", figures.broken);
    assert_eq!(figures.troubles, Default::default());
    let account = stage.platform.state().accounts[ACCOUNT].clone();
    assert_eq!(figures.subscribers.simulated, i64::try_from(account.fans).unwrap());
    assert_eq!(figures.revenue_cents.simulated, account.gross_cents);
    assert!(figures.subscribers.expected > 0 && account.reversed_cents > 0, "{figures:?}");
    assert!(figures.subscribers.expected <= figures.subscribers.simulated);
    // Bots are answered with a redirect too, and timed; a prefetch is refused.
    let refused = seen.iter().filter(|one| !one.header("sec-purpose").is_empty()).count();
    assert_eq!(traffic.latency().count, (seen.len() - refused) as u64);
    stage.server.shutdown().await;
}

#[tokio::test]
async fn people_keep_their_cookie_and_an_address_of_their_own() {
    let stage = stage(400).await;
    let traffic = Traffic::new(TrafficConfig { seed: 2, ..stage.config }).unwrap();
    let stop = CancellationToken::new();
    let timer = stop.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(2)).await;
        timer.cancel();
    });
    traffic.run(stop).await;
    let seen = stage.edge.seen.lock().clone();
    let mut agents: HashMap<String, HashSet<String>> = HashMap::new();
    for request in &seen {
        let agent = request.header("user-agent").to_owned();
        agents.entry(request.header("x-forwarded-for").to_owned()).or_default().insert(agent);
    }
    assert!(agents.values().all(|agents| agents.len() == 1), "an address is one device");
    let back = seen.iter().filter(|one| one.header("cookie") == "sl_v=0123").count();
    assert!(back > 0, "some came back with their cookie");
    assert!(seen.iter().any(|one| one.header("user-agent").contains("Instagram")));
}

#[tokio::test]
async fn settings_that_cannot_be_are_refused_by_name() {
    let stage = stage(1).await;
    let none = TrafficConfig { targets: Vec::new(), ..stage.config.clone() };
    assert!(matches!(Traffic::new(none), Err(TrafficError::NoTargets)));
    let still = TrafficConfig { rate: 0.0, ..stage.config.clone() };
    assert!(Traffic::new(still).unwrap_err().to_string().starts_with("rate = 0"));
    let mut narrow = stage.config;
    narrow.targets[1].window = Duration::from_secs(11);
    let error = Traffic::new(narrow).unwrap_err().to_string();
    assert!(error.contains("make it at least 12s"), "{error}");
}
