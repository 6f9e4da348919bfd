//! Where the time of an event goes: decoding, deciding, applying, and the whole role from the journal on disk to the
//! embedded store. Beside the time on the clock stands the CPU time of all threads of the process, flushes and
//! compactions of the store included: its inverse is what one core sustains.
//!
//! `SMARTLINKS_TEST_EVENTS=1000000 cargo bench -p sl-attribution --bench stages`; `SMARTLINKS_TEST_STAGES=clicks` or `mix` for one of
//! the two.
#![expect(clippy::unwrap_used, reason = "a bench that can't set up has nothing to measure")]
#![expect(clippy::print_stdout, reason = "its result")]

mod mix;
mod records;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};
use sl_attribution::{Attribution, AttributionSettings};
use sl_core::{
    attribution::{Destinations, Key, Memory, Names, guess, needs, needs_behind},
    event::{Event, Recorded},
    ids::{LinkKind, PoolLinkId, TeamId},
    pool::StockKey,
    time::{ManualClock, Timestamp},
};
use sl_fjall::FjallOptions;
use sl_journal::{ClickLog, Durability, Journal, JournalConfig, codec};
use sl_store::{Store, pool::NewPoolLink};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use self::records::START;

/// Records decided at once, where the role is not there to choose.
const SLICE: usize = 2048;

/// Adds up time on the clock, and CPU time of the whole process.
#[derive(Default)]
struct Meter {
    wall: Duration,
    busy: Duration,
}

impl Meter {
    fn run<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let cpu = || {
            let time = clock_gettime(ClockId::ProcessCPUTime);
            Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
        };
        let (clock, before) = (Instant::now(), cpu());
        let result = work();
        self.wall += clock.elapsed();
        self.busy += cpu().saturating_sub(before);
        result
    }

    /// Prints what one of `count` events took.
    fn tell(&self, what: &str, count: usize) {
        let each = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
        let (wall, busy) = (each(self.wall), each(self.busy));
        println!(
            "  {what:<12} {wall:>7.2} us on the clock {:>9.0}/s   {busy:>7.2} us of CPU {:>9.0}/s per core",
            1e6 / wall,
            1e6 / busy,
        );
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap()
}

/// A store that knows the pool links of so many records.
fn store(dir: &TempDir, runtime: &Runtime, count: u64) -> Store {
    let store = sl_fjall::open(dir.path(), FjallOptions::default()).unwrap().store();
    let link = |number| {
        let id = PoolLinkId { kind: LinkKind::TrackingLink, number };
        let stock =
            StockKey { account: records::ACCOUNT.into(), kind: LinkKind::TrackingLink, trial_days: None };
        let url = format!("https://onlyfans.com/creator/c{number}");
        NewPoolLink { id, team: TeamId(1), stock, url, created_at: Timestamp(START) }
    };
    for from in (0..count).step_by(10_000) {
        let links = (from..count.min(from + 10_000)).map(link).collect();
        runtime.block_on(store.pool.add(links)).unwrap();
    }
    store
}

fn decoding(events: &[Vec<u8>]) {
    let mut meter = Meter::default();
    for slice in events.chunks(SLICE) {
        let decode = || slice.iter().map(|bytes| codec::decode(bytes).unwrap()).collect::<Vec<_>>();
        drop(meter.run(decode));
    }
    meter.tell("decode", events.len());
}

/// The role without its stream: loads, decides and applies, slice by slice.
fn by_hand(records: &[Recorded]) {
    let (dir, runtime) = (TempDir::new().unwrap(), runtime());
    let ledger = store(&dir, &runtime, records.len() as u64).ledger;
    runtime.block_on(ledger.open(0)).unwrap();
    let AttributionSettings { rules, cache, slice: size, .. } = AttributionSettings::default();
    let (destinations, mut memory) = (Destinations::default(), Memory::new(cache));
    let [mut load, mut deciding, mut apply, mut sync] =
        [const { Meter { wall: Duration::ZERO, busy: Duration::ZERO } }; 4];
    let fetch = |memory: &mut Memory, keys: Vec<Key>| {
        let mut names = Names::default();
        let names = keys.iter().map(|key| names.of(key)).collect();
        let values = runtime.block_on(ledger.load(0, names)).unwrap();
        let present = values.iter().flatten().count();
        for (key, value) in keys.into_iter().zip(values) {
            memory.insert(key, value.as_ref()).unwrap();
        }
        present
    };
    let mut rest = records;
    while !rest.is_empty() {
        let (slice, _) = rest.split_at(size.min(rest.len()));
        let wanted = deciding.run(|| needs(slice, &memory));
        load.run(|| fetch(&mut memory, wanted));
        let wanted = deciding.run(|| needs_behind(slice, &memory));
        load.run(|| fetch(&mut memory, wanted));
        let decision = loop {
            let guess = deciding.run(|| guess(slice, &memory, &rules, &destinations));
            if load.run(|| fetch(&mut memory, guess.missing)) == 0 {
                break guess.decision;
            }
        };
        rest = rest.get(decision.taken..).unwrap_or_default();
        deciding.run(|| memory.absorb(decision.changes));
        let mut step = decision.step;
        step.position.offset = (records.len() - rest.len()) as u64;
        apply.run(|| runtime.block_on(ledger.apply(step)).unwrap());
    }
    sync.run(|| runtime.block_on(ledger.sync(0)).unwrap());
    for (what, meter) in [("load", load), ("decide", deciding), ("apply", apply), ("sync", sync)] {
        meter.tell(what, records.len());
    }
}

/// A journal with all events on disk.
fn journal(runtime: &Runtime, dir: &TempDir, events: impl Iterator<Item = Event>) -> Arc<Journal> {
    let config = JournalConfig {
        dir: dir.path().to_owned(),
        durability: Durability::Buffered,
        max_disk: 64 << 30,
        ..JournalConfig::default()
    };
    let journal = Journal::open(config, Arc::new(ManualClock::at(Timestamp(START)))).unwrap();
    // A consumer that never moves: nothing is thrown away before it was read.
    let _keeper = journal.stream("bench");
    runtime.block_on(async {
        for (number, event) in events.enumerate() {
            let ticket = journal.append(event).unwrap();
            if number % 1000 == 0 {
                journal.fate(ticket).await;
            }
        }
        while journal.status().synced < journal.status().head.offset {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    journal
}

fn role(runtime: &Runtime, journal: &Arc<Journal>, store: Store, count: usize) {
    let (token, clock) = (CancellationToken::new(), Arc::new(ManualClock::at(Timestamp(START))));
    let stream = Box::new(journal.stream("attribution"));
    let log: Arc<dyn ClickLog> = journal.clone();
    let role = Attribution::new(stream, store, log, AttributionSettings::default(), clock);
    let mut progress = role.progress();
    let mut meter = Meter::default();
    meter.run(|| {
        runtime.block_on(async {
            let running = tokio::spawn(role.run(token.clone()));
            progress.wait_for(|progress| progress.position.offset >= count as u64).await.unwrap();
            token.cancel();
            running.await.unwrap().unwrap();
        });
    });
    meter.tell("whole role", count);
}

fn stages(name: &str, count: u64, event: fn(u64) -> Recorded) {
    println!("{count} {name}");
    let total = usize::try_from(count).unwrap();
    let part = total.min(200_000);
    let records: Vec<_> = (0..part as u64).map(event).collect();
    let mut bytes = vec![Vec::new(); part];
    for (record, into) in records.iter().zip(&mut bytes) {
        codec::encode(record.event.clone(), into);
    }
    decoding(&bytes);
    by_hand(&records);
    drop((records, bytes));
    let (runtime, dirs) = (runtime(), [TempDir::new().unwrap(), TempDir::new().unwrap()]);
    let journal = journal(&runtime, &dirs[0], (0..count).map(|number| event(number).event));
    let store = store(&dirs[1], &runtime, count);
    role(&runtime, &journal, store, total);
    journal.close().unwrap();
}

fn main() {
    let count = std::env::var("SMARTLINKS_TEST_EVENTS").ok().and_then(|count| count.parse().ok());
    let count = count.unwrap_or(200_000);
    let only = std::env::var("SMARTLINKS_TEST_STAGES").unwrap_or_default();
    if only != "mix" {
        stages("clicks by new visitors, without pixels", count, records::record);
    }
    if only != "clicks" {
        stages("events of every sort", count, mix::mixed);
    }
}

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
