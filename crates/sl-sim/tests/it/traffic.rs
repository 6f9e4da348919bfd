//! Traffic against an edge of a few lines and the platform simulator; and the book against the attribution of the
//! service, which it was written apart from.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use sl_core::{
    attribution::{Destinations, Memory, Missing, Rules, decide},
    catalog::{
        EventMap, Pixel, PlatformKind, Postback, PostbackMethod, PostbackScope, SmartLink, ValueBasis,
    },
    conversion::{ConversionKind, FanProfile},
    delivery::{Destination as Told, EventName},
    event::{EventBody, JournalId, Recorded, SubscriberSeen, WebhookReceived},
    ids::{AccountId, FanId, LinkKind, PixelId, PoolLinkId, PostbackId, SmartLinkId, TeamId},
    seal::Secret,
    step::{LinkTotals, StateBytes, StateKey},
    time::{Clock, Timestamp},
    webhook::{envelope, verify},
};
use sl_sim::{
    platform::{AccountSetup, Faults, PlatformConfig, PlatformSim},
    server::Server,
    traffic::{
        Pace, Target, Traffic, TrafficConfig, TrafficError,
        book::{self, Destination},
        discover,
    },
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    edge::Edge,
    people::{ACCOUNT, NOW, SECRET, http, localhost},
};

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

/// A stall of the machine of 240 ms is within the margin of 6 s.
const SPEED: u32 = 25;

struct Stage {
    platform: PlatformSim,
    edge: Arc<Edge>,
    server: Server,
    config: TrafficConfig,
}

/// Two Smart Links with 24 s to subscribe, a pool of `links`, a clock 25 times as fast as the wall's.
async fn stage(links: usize, dry_every: usize, faults: Faults) -> Stage {
    let clock = Arc::new(FastClock { began: Instant::now(), speed: SPEED });
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
        time_scale: f64::from(SPEED),
        pace: Pace { margin: Duration::from_secs(6), ..Pace::default() },
        ..TrafficConfig::new(clock, url(server.addr()), url(platform.addr()), targets)
    };
    Stage { platform, edge, server, config }
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
    let traffic = Traffic::new(stage.config).unwrap();
    let stop = CancellationToken::new();
    let (book, asking) = (traffic.book(), stop.clone());
    tokio::spawn(async move {
        while book.figures().subscribers.simulated < 3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
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

/// The book says who should be credited; the service's state machine, fed with what edge, intake and matcher would have
/// written, says who was. Every link agrees to the cent, and so does every destination.
#[tokio::test]
async fn the_book_and_the_state_machine_agree_to_the_cent() {
    // 50 ms are little more than a second here: less than any margin.
    let longest_delay = Duration::from_millis(50);
    let faults = Faults { longest_delay, failing: 0.0, unanswered: 0.0, ..Faults::usual() };
    let stage = stage(900, 9, faults).await;
    let ear = listen(&stage).await;
    let url = format!("http://{}/webhooks", ear.addr()).parse().unwrap();
    stage.platform.set_webhook(url);
    let traffic = Traffic::new(TrafficConfig { visitors: Some(400), rate: 8.0, ..stage.config.clone() });
    let traffic = traffic.unwrap();
    let matching = tokio::spawn(keep_matching(Arc::clone(&stage.edge), stage.platform.url()));
    traffic.run(CancellationToken::new()).await;
    while stage.platform.state().webhooks.waiting > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    matching.abort();
    let _ = matching.await;
    let mut known = HashSet::new();
    look(&stage.edge, &stage.platform.url(), &mut known).await;

    let figures = traffic.book().figures();
    assert!(figures.rungs.overflow > 5 && figures.rungs.profile > 5, "{:?}", figures.rungs);
    let attributed = attribute(&stage);
    assert_eq!(attributed.credits, traffic.book().credits(), "{:?}", figures.close_calls);
    for (id, expected) in &figures.links {
        let totals = attributed.totals[id];
        assert_eq!(totals.clicks, expected.clicks.person, "{id}");
        assert_eq!(totals.subscribers, expected.subscribers, "{id}");
        assert_eq!(totals.revenue.map_or(0, |cents| cents.0), expected.revenue_cents, "{id}");
        let count = |kind| attributed.conversions.get(&(id.clone(), kind)).copied().unwrap_or(0);
        assert_eq!(count(ConversionKind::NewSubscriber), expected.events.new_subscriber, "{id}");
        assert_eq!(count(ConversionKind::NewTransaction), expected.events.new_transaction, "{id}");
        assert_eq!(count(ConversionKind::MessageReceived), expected.events.message_received, "{id}");
        assert_eq!(count(ConversionKind::FanSent1Message), expected.events.fan_sent_1_message, "{id}");
        assert_eq!(count(ConversionKind::FanSent3Messages), expected.events.fan_sent_3_messages, "{id}");
    }
    let links: Vec<String> = figures.links.keys().cloned().collect();
    let pixel = Destination::usual_pixel(vec![links[0].clone()], true);
    let kinds = vec![book::ConversionKind::NewSubscriber, book::ConversionKind::NewTransaction];
    let due = figures.deliveries(&[pixel, Destination::Postback { links: None, kinds }]);
    assert_eq!((due.pixel, due.postback), (attributed.pixel_jobs, attributed.postback_jobs));
    assert!(figures.revenue_cents.expected > 0 && figures.events.without_click > 0, "{figures:?}");
    assert_eq!(attributed.dead_letters, stage.platform.state().webhooks.malformed);
}

/// An intake: signed webhooks go into the journal.
async fn listen(stage: &Stage) -> Server {
    let edge = Arc::clone(&stage.edge);
    let answer = |edge: Arc<Edge>, request: sl_sim::server::Whole| async move {
        let key = request.header("x-ofapi-idempotency-key").to_owned();
        let status = if verify(&[SECRET], &request.body, request.header("signature")) {
            let now = edge.clock.now();
            let seen = envelope(&request.body, Some(&key));
            edge.append(
                now,
                EventBody::Webhook(WebhookReceived {
                    event: seen.event,
                    key: seen.key,
                    received_at: now,
                    body: request.body.to_vec(),
                    retry_of: None,
                }),
            );
            200
        } else {
            401
        };
        http::Response::builder().status(status).body(axum::body::Body::empty()).unwrap()
    };
    Server::bind(localhost(), edge, answer).await.unwrap()
}

/// A matcher: looks at every link again and again.
async fn keep_matching(edge: Arc<Edge>, platform: String) {
    let mut known = HashSet::new();
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        look(&edge, &platform, &mut known).await;
    }
}

async fn look(edge: &Edge, platform: &str, known: &mut HashSet<(u64, u64)>) {
    let http = http();
    let get = async |path: String| -> serde_json::Value {
        let url = format!("{platform}/api/{ACCOUNT}/{path}");
        http.get(url).bearer_auth("key").send().await.unwrap().json().await.unwrap()
    };
    let links = get("stored/tracking-links?limit=1000".to_owned()).await;
    for link in links["data"]["list"].as_array().unwrap() {
        let number = link["id"].as_u64().unwrap();
        let count = link["subscribersCount"].as_u64().unwrap();
        let seen = known.iter().filter(|(of, _)| *of == number).count() as u64;
        if count == seen {
            continue;
        }
        let fans = get(format!("tracking-links/{number}/subscribers?limit=100&offset=0")).await;
        for fan in fans["data"]["list"].as_array().unwrap() {
            let fan = fan["id"].as_u64().unwrap();
            if !known.insert((number, fan)) {
                continue;
            }
            let pool_link = PoolLinkId { kind: LinkKind::TrackingLink, number };
            let overflow = edge.overflow.iter().position(|(id, _)| *id == pool_link);
            let now = edge.clock.now();
            edge.append(
                now,
                EventBody::SubscriberSeen(SubscriberSeen {
                    pool_link,
                    overflow_of: overflow.map(|index| edge.targets[index].id),
                    fan: FanId::from(fan.to_string()),
                    profile: FanProfile::default(),
                    subscribed_at: None,
                    price: None,
                    seen_at: now,
                    absent_at: None,
                }),
            );
        }
    }
}

#[derive(Default)]
struct Attributed {
    totals: BTreeMap<String, LinkTotals>,
    conversions: BTreeMap<(String, ConversionKind), u64>,
    pixel_jobs: u64,
    postback_jobs: u64,
    dead_letters: u64,
    credits: BTreeMap<String, SmartLinkId>,
}

/// Runs the log through the state machine.
fn attribute(stage: &Stage) -> Attributed {
    let log = stage.edge.log.lock().clone();
    let records: Vec<Recorded> =
        (0..).zip(log).map(|(sequence, event)| Recorded { journal: JournalId(1), sequence, event }).collect();
    let mut memory = Memory::new(100_000);
    let mut store: BTreeMap<StateKey, StateBytes> = BTreeMap::new();
    let destinations = destinations(&stage.edge.targets);
    let (mut result, mut rows) = (Attributed::default(), BTreeMap::new());
    let mut rest = records.as_slice();
    while !rest.is_empty() {
        let decision = loop {
            match decide(rest, &memory, &Rules::default(), &destinations) {
                Ok(decision) => break decision,
                Err(Missing(keys)) => {
                    for key in keys {
                        let value = store.get(&key.to_state_key());
                        memory.insert(key, value).unwrap();
                    }
                }
            }
        };
        let step = decision.step;
        for (key, value) in step.state {
            match value {
                Some(value) => store.insert(key, value),
                None => store.remove(&key),
            };
        }
        result.totals.extend(step.totals.into_iter().map(|(link, totals)| (link.to_string(), totals)));
        for row in &step.conversions {
            if let Some(facts) = &row.transaction {
                result.credits.insert(facts.id.to_string(), row.link);
            }
        }
        rows.extend(step.conversions.into_iter().map(|row| (row.id, (row.link.to_string(), row.kind))));
        result.dead_letters += step.dead_letters.len() as u64;
        for job in step.jobs {
            match job.destination {
                // Without a click a pixel is told nothing (decisions 55).
                Told::Pixel(_) => result.pixel_jobs += u64::from(job.click.is_some()),
                Told::Postback(_) => result.postback_jobs += 1,
            }
        }
        memory.absorb(decision.changes);
        rest = &rest[decision.taken..];
    }
    for row in rows.into_values() {
        *result.conversions.entry(row).or_default() += 1;
    }
    result
}

/// A pixel with the usual map on the first link; a postback URL of the team for subscribers and money.
fn destinations(targets: &[Target]) -> Destinations {
    let name = || Some(EventName("X".into()));
    let pixel = Pixel {
        id: PixelId(1),
        team: TeamId(1),
        platform: PlatformKind::Meta,
        pixel_id: "1".into(),
        sealed_token: Vec::new(),
        label: None,
        event_source_url: None,
        events: EventMap {
            event_click: name(),
            event_new_subscriber: name(),
            event_first_transaction: name(),
            event_new_transaction: name(),
            event_message_received_from_fan: None,
            event_fan_sent_1_message: None,
            event_fan_sent_3_messages: name(),
        },
        value_basis: ValueBasis::Gross,
        limited_data_use: false,
        api_version: None,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    };
    let postback = Postback {
        id: PostbackId(1),
        team: TeamId(1),
        url: "https://x.example/".into(),
        method: PostbackMethod::Get,
        body: None,
        headers: Vec::new(),
        scope: PostbackScope::Global,
        conversion_types: vec![ConversionKind::NewSubscriber, ConversionKind::NewTransaction],
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    };
    let link = |(index, target): (usize, &Target)| SmartLink {
        id: target.id,
        team: TeamId(1),
        account: AccountId::from(ACCOUNT),
        name: "x".into(),
        kind: LinkKind::TrackingLink,
        trial_days: None,
        window: None,
        user_list_id: None,
        paused: false,
        deleted_at: None,
        overflow: None,
        pixels: if index == 0 { vec![PixelId(1)] } else { Vec::new() },
        tags: Vec::new(),
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    };
    let links: Vec<SmartLink> = targets.iter().enumerate().map(link).collect();
    Destinations::new(&links, &[pixel], &[postback])
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
