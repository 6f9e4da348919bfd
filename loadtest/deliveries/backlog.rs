//! One pixel with everything waiting for it already: how fast its queue drains, one by one and with several events in a
//! request.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use sl_core::{
    delivery::Destination,
    ids::PixelId,
    time::{Clock, Timestamp},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Outcome,
    house::{House, SystemClock},
    process,
    receivers::Simulator,
};

/// Events of one step of attribution.
const STEP: u64 = 1_000;
/// Longest that a queue may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// What waits, and how it goes.
#[derive(Clone, Copy)]
pub(crate) struct Backlog {
    pub(crate) events: u64,
    /// Most events in a request.
    pub(crate) max_batch: usize,
    /// How long the receiver takes to answer, milliseconds.
    pub(crate) latency: u64,
}

/// Fills `dir`, then starts a worker on it. Gives deliveries per second.
pub(crate) fn measure(dir: &Path, backlog: Backlog) -> Outcome<f64> {
    let Backlog { events, max_batch, latency } = backlog;
    let simulator = Simulator::start()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let mut house = House::open(dir)?;
        house.max_batch = max_batch;
        house.furnish(&simulator.url(), &simulator.url()).await?;
        simulator.switch("latency", &format!("{{\"ms\": {latency}}}"))?;
        let at = SystemClock.now().minus(Duration::from_secs(60));
        for first in (0..events).step_by(usize::try_from(STEP)?) {
            let numbers = first..(first + STEP).min(events);
            house.happen(numbers, at, Destination::Pixel(PixelId(1))).await?;
        }
        let (stop, used, begun) = (CancellationToken::new(), process::cpu()?, Instant::now());
        let worker = tokio::spawn(house.worker(&simulator.url())?.run(stop.clone()));
        while house.store.deliveries.counts(Timestamp(0)).await?.delivered < events {
            if begun.elapsed() > PATIENCE {
                return Err(format!("{events} events were not delivered in {PATIENCE:?}").into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let (took, used) = (begun.elapsed().as_secs_f64(), process::cpu()?.saturating_sub(used));
        let ((distinct, changed), requests) = (simulator.books()?, simulator.requests()?);
        let memory = process::resident_mib();
        house.close(stop, worker).await?;
        if (distinct, changed) != (events, 0) {
            return Err(format!("the simulator has {distinct} of {events}, {changed} of them changed").into());
        }
        let count = f64::from(u32::try_from(events)?);
        println!(
            "{events} waiting, answers after {latency} ms, at most {max_batch} in a request: {:.0}/s in {requests} requests; \
             {:.0} µs of CPU each; {memory} MiB",
            count / took,
            used.as_secs_f64() * 1e6 / count,
        );
        Ok(count / took)
    })
}
