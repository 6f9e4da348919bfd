//! A store with destinations and jobs, a receiver that does as it is told, a worker.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::value::RawValue;
use sl_core::platforms::{Answer, CreatorTraffic, Meta, Platforms, Snapchat, TikTok};
use sl_core::{
    catalog::{AnswerTexts, EventMap, HeaderTemplate, Pixel, Postback, PostbackMethod, PostbackScope, Team},
    click::Click,
    conversion::{Conversion, ConversionKind},
    delivery::{Delivery, DeliveryKind, DeliveryState, Destination, EventName, Job},
    ids::{DeliveryId, PixelId, PostbackId},
    pace::Pace,
    seal::{PIXEL_TOKEN, SealKeys, Secret},
    step::Step,
    time::{Clock, ManualClock, Timestamp},
};
use sl_fjall::{FjallHandle, FjallOptions};
use sl_postback::{Egress, Tester, Unrecorded, Worker, WorkerSettings};
use sl_store::{
    Store,
    suite::sample::{self, HOUR, TEAM, after},
};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Age up to which events are sent.
pub(crate) const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// An answer with this status and body.
pub(crate) fn answer(status: u16, body: &str) -> Answer {
    Answer { status, headers: HeaderMap::new(), body: body.as_bytes().to_vec(), whole: true }
}

/// A pixel with nothing of its own.
pub(crate) fn a_pixel() -> Pixel {
    sample::pixel(1, TEAM)
}

/// The pixel's token.
pub(crate) const TOKEN: &str = "META-TOKEN-A";

/// One request as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) uri: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

type Answers = Arc<dyn Fn(usize, &Received) -> Response + Send + Sync>;

/// A real HTTP server that keeps what it gets.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    pub(crate) got: Arc<Mutex<Vec<Received>>>,
}

impl Receiver {
    /// `answer` gets how many came before.
    pub(crate) async fn start(answer: impl Fn(usize, &Received) -> Response + Send + Sync + 'static) -> Self {
        Self::start_at(IpAddr::V4(Ipv4Addr::LOCALHOST), 0, answer).await.unwrap()
    }

    /// The same at an address of this machine.
    pub(crate) async fn start_at(
        ip: IpAddr,
        port: u16,
        answer: impl Fn(usize, &Received) -> Response + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let listener = tokio::net::TcpListener::bind((ip, port)).await?;
        let address = listener.local_addr().unwrap();
        let got = Arc::default();
        let answers: Answers = Arc::new(answer);
        let router = Router::new().fallback(receive).with_state((Arc::clone(&got), answers));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, got })
    }

    pub(crate) fn all(&self) -> Vec<Received> {
        self.got.lock().unwrap().clone()
    }
}

async fn receive(
    State((got, answers)): State<(Arc<Mutex<Vec<Received>>>, Answers)>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let one = Received { uri: uri.to_string(), headers, body };
    let before = {
        let mut got = got.lock().unwrap();
        got.push(one.clone());
        got.len() - 1
    };
    answers(before, &one)
}

/// As Meta confirms one event.
pub(crate) fn confirmed() -> Response {
    received(1)
}

/// As Meta confirms all events of a request.
pub(crate) fn all_confirmed(one: &Received) -> Response {
    received(one.events().len())
}

/// As Meta confirms so many events.
pub(crate) fn received(events: usize) -> Response {
    let body = format!("{{\"events_received\":{events},\"messages\":[],\"fbtrace_id\":\"T\"}}");
    (StatusCode::OK, body).into_response()
}

/// As Meta refuses a request.
pub(crate) fn refused(code: u32, subcode: u32) -> Response {
    let error = serde_json::json!({ "message": "Invalid parameter", "code": code, "error_subcode": subcode });
    (StatusCode::BAD_REQUEST, serde_json::json!({ "error": error }).to_string()).into_response()
}

impl Received {
    /// The events of a platform's request, as they came.
    pub(crate) fn events(&self) -> Vec<Box<RawValue>> {
        let mut body: HashMap<String, Box<RawValue>> = serde_json::from_slice(&self.body).unwrap();
        serde_json::from_str(body.remove("data").unwrap().get()).unwrap()
    }
}

/// The id of an event.
pub(crate) fn event_id(event: &RawValue) -> String {
    let event: serde_json::Value = serde_json::from_str(event.get()).unwrap();
    event["event_id"].as_str().unwrap().to_owned()
}

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) keys: SealKeys,
    pub(crate) meta: SocketAddr,
    /// `ad_platforms.creatortraffic.base_url`.
    pub(crate) creatortraffic: String,
    /// `egress.dns`.
    pub(crate) dns: Vec<SocketAddr>,
    /// `postback.max_per_minute`.
    pub(crate) pace: Option<Pace>,
    /// `postback.max_batch`.
    pub(crate) max_batch: usize,
    /// `postback.concurrency`.
    pub(crate) concurrency: usize,
    /// An installation of the days when there was no other.
    pub(crate) meta_only: bool,
    /// Of one attempt.
    pub(crate) timeout: Duration,
    unrecorded: Unrecorded,
    handle: FjallHandle,
    stop: Option<(CancellationToken, JoinHandle<()>)>,
    _dir: TempDir,
}

/// Pixel 1 and the postback of the same number.
pub(crate) const PIXEL: Destination = Destination::Pixel(PixelId(1));

pub(crate) fn postback(number: u64) -> Destination {
    Destination::Postback(PostbackId(number))
}

impl World {
    pub(crate) async fn new(meta: SocketAddr) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let handle = sl_fjall::open(dir.path(), FjallOptions::default()).unwrap();
        let store = handle.store();
        let team = Team { id: TEAM, name: "Team".to_owned(), slug: "team".to_owned(), created_at: HOUR };
        store.catalog.put_team(team).await.unwrap();
        store.catalog.put_account(sample::account_row("acct_sample", TEAM)).await.unwrap();
        let mut link = sample::smart_link(1, TEAM);
        link.account = sample::account();
        store.catalog.put_link(link).await.unwrap();
        let world = Self {
            store,
            clock: Arc::new(ManualClock::at(after(60))),
            keys: SealKeys::new([7; 32]),
            meta,
            creatortraffic: String::new(),
            dns: Vec::new(),
            pace: None,
            max_batch: 200,
            concurrency: 64,
            meta_only: false,
            timeout: Duration::from_secs(2),
            unrecorded: Unrecorded::default(),
            handle,
            stop: None,
            _dir: dir,
        };
        world.save_pixel(TOKEN, HOUR).await;
        world.store.ledger.open(0).await.unwrap();
        world
    }

    pub(crate) async fn save_pixel(&self, token: &str, updated_at: Timestamp) {
        let name = |name: &str| Some(EventName(name.to_owned()));
        let events = EventMap {
            event_new_subscriber: name("Subscribe"),
            event_first_transaction: name("Purchase"),
            event_new_transaction: name("Purchase"),
            ..EventMap::default()
        };
        let sealed_token = self.keys.seal(PIXEL_TOKEN, &Secret::new(token), [3; 24]);
        let pixel =
            Pixel { sealed_token, events, updated_at, pixel_id: "123".to_owned(), ..sample::pixel(1, TEAM) };
        self.store.catalog.put_pixel(pixel).await.unwrap();
    }

    pub(crate) async fn save_postback(&self, number: u64, url: String, secret: Option<&str>) {
        let header = |value: &str| HeaderTemplate { name: "X-Api-Key".to_owned(), value: value.to_owned() };
        let postback = Postback {
            id: PostbackId(number),
            team: TEAM,
            url,
            method: PostbackMethod::Get,
            body: None,
            headers: secret.map(header).into_iter().collect(),
            scope: PostbackScope::Global,
            conversion_types: ConversionKind::ALL.to_vec(),
            answers: AnswerTexts::default(),
            in_order: false,
            pace: None,
            created_at: HOUR,
            updated_at: HOUR,
        };
        self.store.catalog.put_postback(postback).await.unwrap();
    }

    /// Conversions with their clicks, and a job for each and every destination, as attribution writes them.
    pub(crate) async fn conversions(
        &self,
        numbers: std::ops::Range<u64>,
        to: &[Destination],
    ) -> Vec<DeliveryId> {
        self.told(numbers, to, ConversionKind::NewTransaction, |_, _| {}).await
    }

    /// The same of another kind, with clicks that are changed first.
    pub(crate) async fn told(
        &self,
        numbers: std::ops::Range<u64>,
        to: &[Destination],
        kind: ConversionKind,
        change: impl Fn(&mut Click, &mut Conversion),
    ) -> Vec<DeliveryId> {
        let told = match kind {
            ConversionKind::NewSubscriber => DeliveryKind::NewSubscriber,
            _ => DeliveryKind::NewTransaction,
        };
        let mut step = sample::step(numbers.end);
        for number in numbers {
            let mut click = sample::click(number, sample::link_id(1), HOUR);
            let mut row =
                sample::conversion(number, sample::link_id(1), Some(click.click.id), kind, after(30));
            change(std::sync::Arc::make_mut(&mut click.click), &mut row);
            for (nth, destination) in to.iter().enumerate() {
                let id = DeliveryId::from_bytes(sample::ulid(after(30), number * 100 + nth as u64));
                step.jobs.push(Job {
                    id,
                    team: row.team,
                    kind: told,
                    event_id: row.id.to_string(),
                    conversion: Some(row.id),
                    click: Some(click.click.id),
                    fan: Some(row.fan.clone()),
                    occurred_at: row.at,
                    ..sample::job(number, *destination, after(30))
                });
            }
            step.clicks.push(click);
            step.conversions.push(row);
        }
        let ids = step.jobs.iter().map(|job| job.id).collect();
        self.store.ledger.apply(Step { ..step }).await.unwrap();
        ids
    }

    /// Starts a worker; one that ran before is stopped first, as at a restart.
    pub(crate) async fn work(&mut self, allow: &[&str]) {
        self.rest().await;
        let stop = CancellationToken::new();
        self.stop = Some((stop.clone(), tokio::spawn(self.worker(allow).run(stop))));
    }

    /// Test events by hand.
    pub(crate) fn tester(&self, allow: &[&str]) -> Tester {
        self.worker(allow).tester()
    }

    fn worker(&self, allow: &[&str]) -> Worker {
        let allow: Vec<String> = allow.iter().map(|entry| (*entry).to_owned()).collect();
        let settings = WorkerSettings {
            concurrency: self.concurrency,
            per_destination: 8,
            pace: self.pace,
            max_batch: self.max_batch,
            timeout: self.timeout,
            egress: Egress::new(&allow).unwrap().asking(&self.dns).unwrap(),
            public_url: "https://go.example".to_owned(),
        };
        let base = format!("http://{}", self.meta);
        let mut platforms = Platforms::default().with(Meta::new(&base, "v26.0"));
        if !self.meta_only {
            platforms = platforms
                .with(TikTok::new(&base, WEEK))
                .with(Snapchat::new(&base, WEEK))
                .with(CreatorTraffic::new(&self.creatortraffic));
        }
        let clock: Arc<dyn Clock> = self.clock.clone();
        let (store, keys, unrecorded) = (self.store.clone(), self.keys.clone(), self.unrecorded.clone());
        Worker::new(settings, store, platforms, keys, clock, Arc::new(|| 0.5), unrecorded).unwrap()
    }

    pub(crate) async fn rest(&mut self) {
        if let Some((stop, task)) = self.stop.take() {
            stop.cancel();
            task.await.unwrap();
        }
    }

    pub(crate) async fn delivery(&self, id: DeliveryId) -> Delivery {
        self.store.deliveries.delivery(TEAM, id).await.unwrap().unwrap()
    }

    /// Waits until `ready` holds for the delivery.
    pub(crate) async fn until(&self, id: DeliveryId, ready: impl Fn(&Delivery) -> bool) -> Delivery {
        let looking = async {
            loop {
                let delivery = self.delivery(id).await;
                if ready(&delivery) {
                    return delivery;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        match tokio::time::timeout(Duration::from_secs(120), looking).await {
            Ok(delivery) => delivery,
            Err(_) => panic!("still {:?}", self.delivery(id).await.progress),
        }
    }

    pub(crate) async fn until_state(&self, id: DeliveryId, state: DeliveryState) -> Delivery {
        self.until(id, |delivery| delivery.progress.state == state).await
    }

    pub(crate) async fn close(mut self) {
        self.rest().await;
        drop(self.store);
        self.handle.close().await.unwrap();
    }
}
