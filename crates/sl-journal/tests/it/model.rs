//! Random appends, faults and crashes against the simplest model there is: a list of what was reported stored.

use std::collections::BTreeSet;

use proptest::prelude::*;
use sl_journal::{ClickLog, Fate, Journal, LostReason, suite};

use crate::{
    sim::{Fault, SimDisk},
    world,
};

#[derive(Debug, Clone)]
enum Act {
    /// Appends this many at once and waits for all of them.
    Append(u64),
    Fault(Fault),
    Heal,
    Room(u64),
    /// Ends with so many appends in flight; the pattern says which unsynced sectors survive.
    Crash {
        in_flight: u64,
        power_cut: bool,
        pattern: u64,
    },
    Close,
}

fn act() -> impl Strategy<Value = Act> {
    let fault = prop_oneof![
        Just(Fault::ShortWrite),
        Just(Fault::TornWrite),
        Just(Fault::SyncFails),
        Just(Fault::SyncLies)
    ];
    prop_oneof![
        8 => (1..40_u64).prop_map(Act::Append),
        4 => fault.prop_map(Act::Fault),
        1 => Just(Act::Heal),
        1 => (0..40_000_u64).prop_map(Act::Room),
        2 => (0..30_u64, any::<bool>(), any::<u64>())
            .prop_map(|(in_flight, power_cut, pattern)| Act::Crash { in_flight, power_cut, pattern }),
        1 => Just(Act::Close),
    ]
}

#[derive(Default)]
struct Model {
    next: u64,
    stored: Vec<u64>,
    lost: BTreeSet<u64>,
    /// Lost since the disk last took anything: no seal may stand behind them yet.
    unsealed: BTreeSet<u64>,
}

impl Model {
    async fn append(&mut self, journal: &Journal, count: u64) {
        let numbers = self.next..self.next + count;
        self.next = numbers.end;
        let tickets: Vec<_> = numbers.map(|n| (n, journal.append(suite::event(n)))).collect();
        for (n, ticket) in tickets {
            let fate = match ticket {
                Ok(ticket) => journal.fate(ticket).await,
                Err(reason) => Fate::Lost(reason),
            };
            match fate {
                Fate::Stored => {
                    self.stored.push(n);
                    self.unsealed.clear();
                }
                Fate::Lost(reason) => {
                    self.lost.insert(n);
                    if reason != LostReason::DiskError {
                        self.unsealed.insert(n);
                    }
                }
            }
        }
    }

    fn check(&mut self, journal: &Journal) -> Result<(), TestCaseError> {
        let found = world::numbers(journal);
        prop_assert!(found.windows(2).all(|pair| pair[0] < pair[1]), "once and in order: {found:?}");
        for n in &self.stored {
            prop_assert!(found.binary_search(n).is_ok(), "{n} was reported stored and is gone");
        }
        for n in &found {
            prop_assert!(
                !self.lost.contains(n) || self.unsealed.contains(n),
                "{n} was reported lost and came up"
            );
        }
        // Whatever survived counts as stored from now on.
        self.lost.retain(|n| found.binary_search(n).is_err());
        self.stored = found;
        self.unsealed.clear();
        Ok(())
    }
}

fn play(acts: &[Act]) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut disk = SimDisk::default();
    let mut journal = world::open(&disk);
    let mut model = Model::default();
    for act in acts {
        match act {
            Act::Append(count) => runtime.block_on(model.append(&journal, *count)),
            Act::Fault(fault) => disk.fail_next(*fault),
            Act::Heal => disk.heal(),
            Act::Room(bytes) => disk.set_room(*bytes),
            Act::Crash { in_flight, power_cut, pattern } => {
                for _ in 0..*in_flight {
                    let _ = journal.append(suite::event(model.next)).map(|ticket| ticket.0);
                    model.next += 1;
                }
                let mut pattern = *pattern;
                let found = disk.reborn(*power_cut, || {
                    pattern = pattern.rotate_left(1);
                    pattern & 1 == 1
                });
                disk.stop();
                disk = found;
                journal = world::open(&disk);
                model.check(&journal)?;
            }
            Act::Close => {
                disk.heal();
                journal.close().unwrap();
                journal = world::open(&disk);
                prop_assert!(journal.was_clean());
                model.check(&journal)?;
            }
        }
    }
    let disk = disk.reborn(true, || false);
    model.check(&world::open(&disk))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_was_reported_stored_is_there_once_and_what_was_reported_lost_is_not(
        acts in proptest::collection::vec(act(), 1..30),
    ) {
        play(&acts)?;
    }
}
