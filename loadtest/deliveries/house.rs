//! A store with destinations, and a worker on it, as the service puts them together.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sl_core::platforms::{Meta, Platforms};
use sl_core::{
    catalog::{AnswerTexts, EventMap, Postback, PostbackMethod, PostbackScope, Team},
    conversion::{ConversionKind, Purchase},
    delivery::{Destination, Job},
    ids::{DeliveryId, PixelId, PostbackId},
    seal::{PIXEL_TOKEN, SealKeys, Secret},
    step::Step,
    time::{Clock, Timestamp},
};
use sl_fjall::{FjallHandle, FjallOptions};
use sl_postback::{Egress, Unrecorded, Worker, WorkerSettings};
use sl_store::{
    Store,
    suite::sample::{self, TEAM},
};
use tokio_util::sync::CancellationToken;

use crate::Outcome;

/// Half of the destinations are pixels, half postbacks; the last postback is the one that may stall.
pub(crate) const EACH: u64 = 4;
/// As the service has them by default.
const CONCURRENCY: usize = 64;
const PER_DESTINATION: usize = 8;
const TIMEOUT: Duration = Duration::from_secs(10);

/// The system's clock.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "a program of its own, which owns its clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// An open store with its destinations.
pub(crate) struct House {
    handle: FjallHandle,
    pub(crate) store: Store,
    /// Most events in a request.
    pub(crate) max_batch: usize,
    next: u64,
}

impl House {
    pub(crate) fn open(dir: &Path) -> Outcome<Self> {
        let handle = sl_fjall::open(dir, FjallOptions::default())?;
        let store = handle.store();
        Ok(Self { handle, store, max_batch: 200, next: 1 })
    }

    /// Enters team, link and destinations. Pixels are told at `ads`, postbacks too, except the last one: at `last`.
    pub(crate) async fn furnish(&self, ads: &str, last: &str) -> Outcome<()> {
        let now = SystemClock.now();
        let catalog = &self.store.catalog;
        catalog
            .put_team(Team { id: TEAM, name: "Team".to_owned(), slug: "team".to_owned(), created_at: now })
            .await?;
        catalog.put_account(sample::account_row("acct_sample", TEAM)).await?;
        catalog.put_link(sample::smart_link(1, TEAM)).await?;
        for number in 1..=EACH {
            let mut pixel = sample::pixel(number, TEAM);
            pixel.events = EventMap::usual(pixel.platform);
            pixel.sealed_token = keys().seal(PIXEL_TOKEN, &Secret::new("a-token"), [3; 24]);
            catalog.put_pixel(pixel).await?;
            let host = if number == EACH { last } else { ads };
            catalog.put_postback(postback(number, host)).await?;
        }
        self.store.ledger.open(0).await?;
        Ok(())
    }

    /// The last postback has another address from now on.
    pub(crate) async fn move_last(&self, host: &str) -> Outcome<()> {
        Ok(self.store.catalog.put_postback(postback(EACH, host)).await?)
    }

    /// As attribution writes them: so many conversions with their clicks, each told to the first so many
    /// destinations.
    pub(crate) async fn convert(&mut self, conversions: u64, told: usize) -> Outcome<()> {
        let now = SystemClock.now();
        let mut step = sample::step(self.next);
        for number in self.next..self.next + conversions {
            let click = sample::click(number, sample::link_id(1), now.minus(Duration::from_secs(60)));
            let mut row = sample::conversion(
                number,
                sample::link_id(1),
                Some(click.click.id),
                ConversionKind::NewTransaction,
                now,
            );
            row.purchase = Purchase::Repeat;
            for (nth, destination) in (0..).zip(destinations().take(told)) {
                step.jobs.push(Job {
                    id: DeliveryId::from_bytes(sample::ulid(now, number * 2 * EACH + nth)),
                    event_id: row.id.to_string(),
                    conversion: Some(row.id),
                    click: Some(click.click.id),
                    ..sample::job(number, destination, now)
                });
            }
            step.clicks.push(click);
            step.conversions.push(row);
        }
        self.next += conversions;
        self.store.ledger.apply(step).await?;
        Ok(())
    }

    /// Jobs of one conversion for one destination, many of them, due now.
    pub(crate) async fn wait(&self, jobs: std::ops::Range<u64>, to: Destination) -> Outcome<()> {
        let now = SystemClock.now();
        let click = sample::click(1, sample::link_id(1), now);
        let row = sample::conversion(
            1,
            sample::link_id(1),
            Some(click.click.id),
            ConversionKind::NewTransaction,
            now,
        );
        let job = |number: u64| Job {
            event_id: format!("event{number}"),
            conversion: Some(row.id),
            click: Some(click.click.id),
            ..sample::job(number, to, now)
        };
        let jobs = jobs.clone().map(job).collect();
        let step = Step {
            jobs,
            clicks: vec![click.clone()],
            conversions: vec![row.clone()],
            ..sample::step(self.next)
        };
        self.store.ledger.apply(step).await?;
        Ok(())
    }

    /// As attribution writes them: conversions of a hundred fans each time, told to one destination.
    pub(crate) async fn happen(
        &mut self,
        numbers: std::ops::Range<u64>,
        at: Timestamp,
        to: Destination,
    ) -> Outcome<()> {
        self.next += 1;
        let mut step = sample::step(self.next);
        for number in numbers {
            let click = sample::click(number / 100, sample::link_id(1), at.minus(Duration::from_secs(60)));
            let of = Some(click.click.id);
            let kind = ConversionKind::NewTransaction;
            let mut row = sample::conversion(number, sample::link_id(1), of, kind, at);
            row.purchase = Purchase::Repeat;
            step.jobs.push(Job {
                id: DeliveryId::from_bytes(sample::ulid(at, number)),
                event_id: row.id.to_string(),
                conversion: Some(row.id),
                click: of,
                ..sample::job(number, to, at)
            });
            if number % 100 == 0 {
                step.clicks.push(click);
            }
            step.conversions.push(row);
        }
        self.store.ledger.apply(step).await?;
        Ok(())
    }

    /// A worker with Meta at `ads`.
    pub(crate) fn worker(&self, ads: &str) -> Outcome<Worker> {
        self.worker_at(ads, Arc::new(SystemClock))
    }

    /// The same, by another clock.
    pub(crate) fn worker_at(&self, ads: &str, clock: Arc<dyn Clock>) -> Outcome<Worker> {
        let settings = WorkerSettings {
            concurrency: CONCURRENCY,
            per_destination: PER_DESTINATION,
            pace: None,
            max_batch: self.max_batch,
            timeout: TIMEOUT,
            egress: Egress::new(&["127.0.0.0/8".to_owned()])?,
            public_url: "https://go.example".to_owned(),
        };
        let platforms = Platforms::default().with(Meta::new(ads, "v26.0"));
        let chance = Arc::new(|| 0.5);
        let unrecorded = Unrecorded::default();
        Ok(Worker::new(settings, self.store.clone(), platforms, keys(), clock, chance, unrecorded)?)
    }

    /// Closes in order, once `worker` has ended.
    pub(crate) async fn close(
        self,
        stop: CancellationToken,
        worker: tokio::task::JoinHandle<()>,
    ) -> Outcome<()> {
        stop.cancel();
        worker.await?;
        drop(self.store);
        Ok(self.handle.close().await?)
    }
}

/// All of them, the one that may stall last.
pub(crate) fn destinations() -> impl Iterator<Item = Destination> {
    let pixels = (1..=EACH).map(|number| Destination::Pixel(PixelId(number)));
    pixels.chain((1..=EACH).map(|number| Destination::Postback(PostbackId(number))))
}

fn keys() -> SealKeys {
    SealKeys::new([7; 32])
}

fn postback(number: u64, host: &str) -> Postback {
    let now = SystemClock.now();
    Postback {
        id: PostbackId(number),
        team: TEAM,
        url: format!(
            "{host}/tracker{number}?event_id={{event_id}}&event={{conversion_type}}&payout={{amount_net}}"
        ),
        method: PostbackMethod::Get,
        body: None,
        headers: Vec::new(),
        scope: PostbackScope::Global,
        conversion_types: ConversionKind::ALL.to_vec(),
        answers: AnswerTexts::default(),
        in_order: false,
        pace: None,
        created_at: now,
        updated_at: now,
    }
}
