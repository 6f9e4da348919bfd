//! The book against the attribution of the service, which it was written apart from.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use sl_core::{
    attribution::{Destinations, Memory, Missing, Rules, decide},
    catalog::{
        AnswerTexts, EventMap, ExternalIdSource, Pixel, PlatformKind, Postback, PostbackMethod,
        PostbackScope, SmartLink, ValueBasis,
    },
    conversion::{ConversionKind, FanProfile},
    delivery::{Destination as Told, EventName},
    event::{EventBody, JournalId, Recorded, SubscriberSeen, WebhookReceived},
    ids::{AccountId, FanId, LinkKind, PixelId, PoolLinkId, PostbackId, SmartLinkId, TeamId},
    step::{LinkTotals, StateBytes, StateKey},
    time::Timestamp,
    webhook::{envelope, verify},
};
use sl_sim::{
    platform::Faults,
    server::Server,
    traffic::{
        Present, Target, Timer, Traffic, TrafficConfig,
        book::{self, Destination},
    },
};
use tokio_util::sync::CancellationToken;

use crate::{
    edge::Edge,
    people::{ACCOUNT, SECRET, http, localhost},
};

use crate::traffic::{Stage, stage};

/// The book says who should be credited; the service's state machine, fed with what edge, intake and matcher would have
/// written, says who was. Every link agrees to the cent, and so does every destination.
#[tokio::test]
async fn the_book_and_the_state_machine_agree_to_the_cent() {
    // Webhooks overtake each other; no time passes until all are there.
    let longest_delay = Duration::from_millis(4);
    let (retry_after, settles_after) = (longest_delay, longest_delay);
    let usual = Faults { failing: 0.0, unanswered: 0.0, ..Faults::usual() };
    let faults = Faults { longest_delay, retry_after, settles_after, ..usual };
    let stage = stage(900, 9, faults).await;
    let ear = listen(&stage).await;
    let url = format!("http://{}/webhooks", ear.addr()).parse().unwrap();
    stage.tell(url);
    let traffic = Traffic::new(TrafficConfig { visitors: Some(400), rate: 8.0, ..stage.config.clone() });
    let traffic = traffic.unwrap();
    let matching = keep_matching(Arc::clone(&stage.edge), stage.platform.url(), stage.config.timer.clone());
    let matching = tokio::spawn(matching);
    traffic.run(CancellationToken::new()).await;
    matching.abort();
    let _ = matching.await;
    stage.all_told().await;
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
async fn keep_matching(edge: Arc<Edge>, platform: String, timer: Arc<dyn Timer>) {
    let mut known = HashSet::new();
    let _here = Present::enter(&timer);
    loop {
        timer.sleep(Duration::from_millis(2500)).await;
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
        for (key, value) in step.state.pieces() {
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
        external_id_source: ExternalIdSource::Ecid,
        in_order: false,
        pace: None,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        is_deleted: false,
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
        answers: AnswerTexts::default(),
        in_order: false,
        pace: None,
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
