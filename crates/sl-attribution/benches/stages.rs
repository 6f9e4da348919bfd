//! Where the time of an event goes: decoding, deciding, applying, and the whole role from the journal on disk to the
//! embedded store. Beside the time on the clock stands the CPU time of all threads of the process, flushes and
//! compactions of the store included: its inverse is what one core sustains.
//!
//! `SMARTLINKS_EVENTS=1000000 cargo bench -p sl-attribution --bench stages`
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
    attribution::{Destinations, Memory, Missing, Rules, decide, needs},
    event::{Event, Recorded},
    step::{StateKey, Step},
    time::{ManualClock, Timestamp},
};
use sl_fjall::FjallOptions;
use sl_journal::{ClickLog, Durability, Journal, JournalConfig, codec};
use sl_store::Store;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use self::records::START;

/// Records decided at once, where the role is not there to choose.
const SLICE: usize = 1024;

/// Runs `work` on `count` events and prints what one of them took.
fn measured<T>(what: &str, count: usize, work: impl FnOnce() -> T) -> T {
    let cpu = || {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
    };
    let (clock, before) = (Instant::now(), cpu());
    let result = work();
    let (wall, busy) = (clock.elapsed(), cpu().saturating_sub(before));
    let each = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
    println!(
        "{what:<28} {:>7.2} us on the clock {:>9.0}/s   {:>7.2} us of CPU {:>9.0}/s per core",
        each(wall),
        1e6 / each(wall),
        each(busy),
        1e6 / each(busy),
    );
    result
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap()
}

fn decoding(events: &[Vec<u8>]) {
    let decode = |bytes: &Vec<u8>| codec::decode(bytes).unwrap();
    measured("decode", events.len(), || {
        for bytes in events {
            std::hint::black_box(decode(bytes));
        }
    });
}

/// Decides about everything, with memory that has nothing behind it, and keeps the steps.
fn deciding(records: &[Recorded]) -> Vec<Step> {
    let (rules, destinations) = (Rules::default(), Destinations::default());
    let mut memory = Memory::new(10_000_000);
    let mut steps = Vec::new();
    measured("decide", records.len(), || {
        let mut done = 0;
        while done < records.len() {
            let slice = &records[done..records.len().min(done + SLICE)];
            let mut wanted = needs(slice, &memory);
            let decision = loop {
                for key in wanted {
                    memory.insert(key, None).unwrap();
                }
                match decide(slice, &memory, &rules, &destinations) {
                    Ok(decision) => break decision,
                    Err(Missing(keys)) => wanted = keys,
                }
            };
            memory.absorb(decision.changes);
            done += decision.taken;
            let mut step = decision.step;
            step.position.offset = done as u64;
            steps.push(step);
        }
    });
    steps
}

/// Applies what was decided, and syncs once.
fn applying(count: usize, steps: Vec<Step>) {
    let (dir, runtime) = (TempDir::new().unwrap(), runtime());
    let store = sl_fjall::open(dir.path(), FjallOptions::default()).unwrap().store();
    runtime.block_on(store.ledger.open(0)).unwrap();
    let keys: Vec<Vec<StateKey>> =
        steps.iter().map(|step| step.state.iter().map(|(key, _)| key.clone()).collect()).collect();
    measured("load what is not there", count, || {
        for keys in keys {
            runtime.block_on(store.ledger.load(0, keys)).unwrap();
        }
    });
    measured("apply", count, || {
        for step in steps {
            runtime.block_on(store.ledger.apply(step)).unwrap();
        }
        runtime.block_on(store.ledger.sync(0)).unwrap();
    });
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
        while journal.status().synced < journal.status().head {
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
    measured("whole role", count, || {
        runtime.block_on(async {
            let running = tokio::spawn(role.run(token.clone()));
            progress.wait_for(|progress| progress.position.offset >= count as u64).await.unwrap();
            token.cancel();
            running.await.unwrap().unwrap();
        });
    });
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
    applying(part, deciding(&records));
    drop((records, bytes));
    let (runtime, dirs) = (runtime(), [TempDir::new().unwrap(), TempDir::new().unwrap()]);
    let journal = journal(&runtime, &dirs[0], (0..count).map(|number| event(number).event));
    let handle = sl_fjall::open(dirs[1].path(), FjallOptions::default()).unwrap();
    role(&runtime, &journal, handle.store(), total);
    journal.close().unwrap();
}

fn main() {
    let count = std::env::var("SMARTLINKS_EVENTS").ok().and_then(|count| count.parse().ok());
    let count = count.unwrap_or(200_000);
    let only = std::env::var("SMARTLINKS_STAGES").unwrap_or_default();
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
