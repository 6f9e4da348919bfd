//! A receiver that is down for a day of simulated time while events go on happening, and is back then.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use sl_core::{
    delivery::Destination,
    ids::PixelId,
    time::{Clock, ManualClock},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    Outcome,
    house::{House, SystemClock},
    process,
    receivers::Simulator,
};

/// The clock is put on by so much at a time: as long as a receiver that fails is left alone.
const TICK: Duration = Duration::from_secs(5 * 60);
const HOUR: Duration = Duration::from_secs(3600);
/// Events of one step of attribution.
const STEP: u64 = 1_000;
/// The longest wait of the schedule is 14 h and a fifth of it; what failed waits no longer than that.
const AFTERWARDS: u64 = 18;
/// How long the worker is watched beside a full queue.
const WATCHED: Duration = Duration::from_secs(5);

/// So many events a second for so many hours.
#[derive(Clone, Copy)]
pub(crate) struct Outage {
    pub(crate) hours: u64,
    pub(crate) per_second: u64,
    /// Most events in a request.
    pub(crate) max_batch: usize,
}

/// A store with its worker, whose clock only moves when it is told to.
struct Day<'a> {
    dir: &'a Path,
    simulator: Simulator,
    clock: Arc<ManualClock>,
    house: House,
    worker: (CancellationToken, JoinHandle<()>),
}

/// One outage in `dir`, from its first event to the last acceptance.
pub(crate) fn measure(dir: &Path, outage: Outage) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        // The simulator's clock is the system's: everything has happened a while ago, and nothing is too old.
        let begins = SystemClock.now().minus(HOUR * u32::try_from(outage.hours + AFTERWARDS + 4)?);
        let clock = Arc::new(ManualClock::at(begins));
        let mut day = Day::open(dir, clock, Simulator::start()?, outage.max_batch).await?;
        day.simulator.switch("fail", r#"{"status": 503}"#)?;
        let events = day.pass(outage).await?;
        day = day.restart(events).await?;
        day.simulator.switch("fail", "{}")?;
        day.deliver(events).await?;
        let (distinct, changed) = day.simulator.books()?;
        println!(
            "the receiver's books: {distinct} different events of {events}, {changed} with different bytes"
        );
        if (distinct, changed) != (events, 0) {
            return Err("they differ".into());
        }
        let (stop, worker) = day.worker;
        day.house.close(stop, worker).await
    })
}

// === impl Day ===

impl<'a> Day<'a> {
    async fn open(
        dir: &'a Path,
        clock: Arc<ManualClock>,
        simulator: Simulator,
        max_batch: usize,
    ) -> Outcome<Self> {
        let mut house = House::open(dir)?;
        house.max_batch = max_batch;
        house.furnish(&simulator.url(), &simulator.url()).await?;
        let stop = CancellationToken::new();
        let worker = house.worker_at(&simulator.url(), Arc::clone(&clock) as Arc<dyn Clock>)?;
        let worker = (stop.clone(), tokio::spawn(worker.run(stop)));
        Ok(Self { dir, simulator, clock, house, worker })
    }

    /// Everything happens while nobody listens. Gives how many events.
    async fn pass(&mut self, outage: Outage) -> Outcome<u64> {
        let (begun, each) = (Instant::now(), outage.per_second * TICK.as_secs());
        let mut events = 0;
        for _ in 0..outage.hours * HOUR.as_secs() / TICK.as_secs() {
            let end = events + each;
            while events < end {
                let numbers = events..(events + STEP).min(end);
                self.house.happen(numbers, self.clock.now(), Destination::Pixel(PixelId(1))).await?;
                events = (events + STEP).min(end);
            }
            self.clock.advance(TICK);
        }
        let counts = self.house.store.deliveries.counts(self.clock.now()).await?;
        println!(
            "{} h at {}/s: {events} events in {:.0} s, {} waiting, {} requests were refused meanwhile",
            outage.hours,
            outage.per_second,
            begun.elapsed().as_secs_f64(),
            counts.waiting,
            self.simulator.requests()?
        );
        Ok(events)
    }

    /// Watches the worker beside the full queue, closes, and goes on as a new process would.
    async fn restart(self, events: u64) -> Outcome<Self> {
        let before = process::cpu()?;
        tokio::time::sleep(WATCHED).await;
        let used = process::cpu()?.saturating_sub(before);
        println!(
            "beside {events} that wait for it: {:.1} ms of CPU a second, {} MiB",
            used.as_secs_f64() * 1_000.0 / WATCHED.as_secs_f64(),
            process::resident_mib()
        );
        let Self { dir, simulator, clock, house, worker: (stop, worker) } = self;
        let max_batch = house.max_batch;
        house.close(stop, worker).await?;
        let begun = Instant::now();
        let day = Self::open(dir, clock, simulator, max_batch).await?;
        println!("open again after {:.2} s", begun.elapsed().as_secs_f64());
        Ok(day)
    }

    /// The receiver is back. The clock stands still while anything is due.
    async fn deliver(&self, events: u64) -> Outcome<()> {
        let (begun, mut said) = (Instant::now(), Instant::now());
        let mut accepted_at_once = 0.0;
        self.clock.advance(TICK);
        for hour in 0..=AFTERWARDS {
            loop {
                let counts = self.house.store.deliveries.counts(self.clock.now()).await?;
                if counts.due_now == 0 {
                    break;
                }
                if said.elapsed() > Duration::from_secs(30) {
                    said = Instant::now();
                    println!("  {} delivered after {:.0} s", counts.delivered, begun.elapsed().as_secs_f64());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            if hour == 0 {
                accepted_at_once = begun.elapsed().as_secs_f64();
            }
            self.clock.advance(HOUR);
        }
        let counts = self.house.store.deliveries.counts(self.clock.now()).await?;
        println!(
            "back: {} of {events} delivered, {counts:?}; all that was due in {accepted_at_once:.0} s of this machine, \
             {:.0}/s; {} MiB",
            counts.delivered,
            f64::from(u32::try_from(events)?) / accepted_at_once,
            process::resident_mib()
        );
        if counts.delivered != events {
            return Err("not everything was delivered".into());
        }
        Ok(())
    }
}
