//! From the conversion to its acceptance, at a steady rate.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use sl_core::{
    delivery::{Delivery, DeliveryState, Destination},
    ids::PostbackId,
};
use sl_store::{outbox::DeliveryFilter, suite::sample::TEAM};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::{
    Outcome,
    house::{EACH, House, destinations},
    receivers::{Simulator, silent},
};

/// Between two steps of attribution.
const STEP: Duration = Duration::from_millis(20);
/// Longest wait for the last ones.
const PATIENCE: Duration = Duration::from_secs(60);
/// Read at once.
const PAGE: usize = 1_000;
/// The one that may stall; it is left out of the figures of both kinds of runs.
const LAST: Destination = Destination::Postback(PostbackId(EACH));

/// What the last destination does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Last {
    /// As all others.
    Answers,
    /// It never answers.
    Stalls,
    /// Nothing is told to it: the others have as much to do as beside one that stalls.
    Absent,
}

impl Last {
    pub(crate) const ALL: [Self; 3] = [Self::Answers, Self::Stalls, Self::Absent];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Answers => "all answer",
            Self::Stalls => "one stalls",
            Self::Absent => "one absent",
        }
    }
}

/// Milliseconds from conversion to acceptance.
pub(crate) struct Lags {
    millis: Histogram<u64>,
    per_second: f64,
    runs: u32,
}

impl Lags {
    pub(crate) fn new() -> Outcome<Self> {
        Ok(Self { millis: Histogram::new(3)?, per_second: 0.0, runs: 0 })
    }

    pub(crate) fn add(&mut self, other: &Self) -> Outcome<()> {
        self.millis.add(&other.millis)?;
        self.per_second += other.per_second;
        self.runs += other.runs;
        Ok(())
    }

    pub(crate) fn print(&self, what: &str) {
        let at = |share| self.millis.value_at_quantile(share);
        println!(
            "{what}: {} deliveries, {:.0}/s accepted of those that answer; lag p50 {} ms, p95 {} ms, p99 {} ms, most {} ms",
            self.millis.len(),
            self.per_second / f64::from(self.runs.max(1)),
            at(0.5),
            at(0.95),
            at(0.99),
            self.millis.max()
        );
    }

    /// Lag of those that answer while one stalls, against other runs.
    pub(crate) fn compare(&self, calm: &Self, what: Last) {
        let ratio = |share| {
            let [mine, theirs] = [self, calm].map(|lags| lags.millis.value_at_quantile(share).max(1));
            // Milliseconds: far below what a double holds exactly.
            f64::from(u32::try_from(mine).unwrap_or(u32::MAX))
                / f64::from(u32::try_from(theirs).unwrap_or(u32::MAX))
        };
        println!(
            "lag of the others while one stalls, to that of the runs \"{}\": p50 {:.2}, p95 {:.2}, p99 {:.2}",
            what.name(),
            ratio(0.5),
            ratio(0.95),
            ratio(0.99)
        );
    }
}

/// One run in `dir`: `rate` deliveries a second for `span`, then until all are accepted.
pub(crate) fn measure(dir: &Path, rate: u64, span: Duration, last: Last) -> Outcome<Lags> {
    let simulator = Simulator::start()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let mut house = House::open(dir)?;
        let place = if last == Last::Stalls { silent()? } else { simulator.url() };
        house.furnish(&simulator.url(), &place).await?;
        let stop = CancellationToken::new();
        let worker = tokio::spawn(house.worker(&simulator.url())?.run(stop.clone()));
        let begun = Instant::now();
        let conversions = offer(&mut house, rate, span, last).await?;
        let answering = conversions * (2 * EACH - u64::from(last != Last::Answers));
        until(&house, answering).await?;
        let took = begun.elapsed().as_secs_f64();
        let mut lags = Lags::new()?;
        for destination in destinations().filter(|to| *to != LAST) {
            read(&house, destination, &mut lags).await?;
        }
        if lags.millis.len() != conversions * (2 * EACH - 1) {
            return Err(format!("{} of {conversions} conversions' deliveries", lags.millis.len()).into());
        }
        (lags.per_second, lags.runs) = (f64::from(u32::try_from(answering)?) / took, 1);
        house.close(stop, worker).await?;
        let (distinct, changed) = simulator.books()?;
        if (distinct, changed) != (answering, 0) {
            return Err(
                format!("the simulator has {distinct} of {answering}, {changed} of them changed").into()
            );
        }
        Ok(lags)
    })
}

/// Conversions at a steady rate, whether deliveries keep up or not.
async fn offer(house: &mut House, rate: u64, span: Duration, last: Last) -> Outcome<u64> {
    let mut tick = tokio::time::interval(STEP);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let told = destinations().filter(|to| last != Last::Absent || *to != LAST).count();
    let (begun, mut made) = (Instant::now(), 0);
    while begun.elapsed() < span {
        tick.tick().await;
        let millis = u64::try_from(begun.elapsed().min(span).as_millis())?;
        let due = rate * millis / (2 * EACH * 1_000);
        if due > made {
            house.convert(due - made, told).await?;
            made = due;
        }
    }
    Ok(made)
}

async fn until(house: &House, delivered: u64) -> Outcome<()> {
    let begun = Instant::now();
    loop {
        let counts = house.store.deliveries.counts(sl_core::time::Timestamp(0)).await?;
        if counts.delivered >= delivered {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("{PATIENCE:?} after the end {counts:?}, wanted {delivered}").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn read(house: &House, destination: Destination, lags: &mut Lags) -> Outcome<()> {
    let mut filter = DeliveryFilter {
        state: Some(DeliveryState::Delivered),
        destination: Some(destination),
        limit: PAGE,
        after: None,
    };
    loop {
        let page = house.store.deliveries.list(TEAM, filter.clone()).await?;
        let Some(last) = page.last() else { return Ok(()) };
        filter.after = Some(last.job.id);
        for delivery in &page {
            lags.millis.record(lag(delivery))?;
        }
    }
}

fn lag(delivery: &Delivery) -> u64 {
    let accepted = delivery.progress.updated_at.since(delivery.job.created_at);
    u64::try_from(accepted.as_millis()).unwrap_or(u64::MAX)
}
