//! A journal that fails as it is told, and what visitors and books see of it.

use std::{
    future::Future,
    io::Write as _,
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;
use sl_core::event::Event;
use sl_journal::{ClickLog, Fate, LostReason, Ticket};
use tokio::sync::watch;

/// How records fare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Kept at once.
    Keep,
    /// Their fate is open until the mode changes.
    Stall,
    /// The same of the record with this ticket and those behind it; the others are kept.
    StallFrom(u64),
    /// Who brings the record behind so many panics.
    PanicAt(u64),
    /// Who waits for a fate panics.
    PanicWaiting,
    /// Refused at the door.
    Refuse(LostReason),
    /// Taken in, then lost.
    Lose(LostReason),
}

pub(crate) struct TestLog {
    mode: watch::Sender<Mode>,
    events: Mutex<Vec<Event>>,
    next: AtomicU64,
    /// Records that were brought, taken in or not.
    brought: AtomicU64,
}

impl Default for TestLog {
    fn default() -> Self {
        Self {
            mode: watch::channel(Mode::Keep).0,
            events: Mutex::default(),
            next: AtomicU64::new(0),
            brought: AtomicU64::new(0),
        }
    }
}

impl TestLog {
    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Whoever brings a record waits until this is dropped.
    pub(crate) fn hold(&self) -> impl Drop + '_ {
        self.events.lock()
    }

    pub(crate) fn brought(&self) -> u64 {
        self.brought.load(Ordering::Relaxed)
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.lock().clone()
    }
}

impl ClickLog for TestLog {
    fn append(&self, event: Event) -> Result<Ticket, LostReason> {
        let brought = self.brought.fetch_add(1, Ordering::Relaxed);
        assert_ne!(Mode::PanicAt(brought), *self.mode.borrow(), "as the test wants it");
        if let Mode::Refuse(reason) = *self.mode.borrow() {
            return Err(reason);
        }
        self.events.lock().push(event);
        Ok(Ticket(self.next.fetch_add(1, Ordering::Relaxed)))
    }

    fn fate(&self, ticket: Ticket) -> Pin<Box<dyn Future<Output = Fate> + Send>> {
        let mut mode = self.mode.subscribe();
        Box::pin(async move {
            let is_open = |mode: &Mode| {
                *mode == Mode::Stall || matches!(mode, Mode::StallFrom(first) if *first <= ticket.0)
            };
            let decided = mode.wait_for(|mode| !is_open(mode)).await;
            match decided.map(|mode| *mode) {
                Ok(Mode::Lose(reason)) => Fate::Lost(reason),
                Ok(Mode::PanicWaiting) => panic!("as the test wants it"),
                Ok(_) => Fate::Stored,
                Err(_) => Fate::Lost(LostReason::Closed),
            }
        })
    }
}

use std::time::Duration;

use sl_core::click::Rung;

use sl_edge::EdgeError;

use crate::rig::{OVERFLOW, Rig, go};

#[test]
fn a_click_the_journal_refuses_gets_the_shared_link_and_its_own_stays_in_stock() {
    let rig = Rig::start();
    for reason in [LostReason::MaxDisk, LostReason::QueueFull, LostReason::Closed] {
        rig.log.set(Mode::Refuse(reason));
        let answer = rig.visit(&go(""), &[]);
        assert_eq!((answer.status, answer.location(), answer.cookie()), (302, OVERFLOW, None));
    }
    rig.log.set(Mode::Keep);
    let answer = rig.visit(&go(""), &[]);
    assert!(answer.location().ends_with("/c1"), "nothing was remembered, nothing was used up: {answer:?}");
    assert_eq!((rig.clicks().len(), rig.repeats().len()), (1, 0));
}

#[test]
fn a_click_lost_on_its_way_gets_the_shared_link_and_its_own_is_never_handed_out() {
    let rig = Rig::start();
    rig.log.set(Mode::Lose(LostReason::DiskError));
    assert_eq!(rig.visit(&go(""), &[]).location(), OVERFLOW);
    rig.log.set(Mode::Keep);
    let answer = rig.visit(&go(""), &[]);
    assert!(answer.location().ends_with("/c2"), "a new click with the next link: {answer:?}");
    let left = rig.stock.drain_unused();
    assert!(
        !left[0].unused.contains(&crate::rig::number(1)),
        "the lost click's link is not given back as unused"
    );
}

#[test]
fn a_late_click_keeps_its_link_and_a_repeat_finds_it() {
    let rig = Rig::with(|config| config.durable_wait = Duration::from_millis(5));
    rig.log.set(Mode::Stall);
    let late = rig.visit(&go(""), &[]);
    assert!(late.location().ends_with("/c1"), "{late:?}");
    rig.log.set(Mode::Keep);
    assert_eq!(rig.visit(&go(""), &[]).location(), late.location());
    assert_eq!((rig.clicks()[0].rung, rig.repeats().len()), (Rung::Fresh, 1));
}

#[test]
fn a_late_click_whose_write_fails_is_forgotten_and_its_link_goes_to_quarantine() {
    let rig = Rig::with(|config| config.durable_wait = Duration::from_millis(5));
    rig.log.set(Mode::Stall);
    assert!(rig.visit(&go(""), &[]).location().ends_with("/c1"));
    rig.log.set(Mode::Lose(LostReason::DiskFull));
    // The loss is noticed by a task of its own.
    while rig.window.keys() > 0 {
        std::thread::yield_now();
    }
    rig.log.set(Mode::Keep);
    assert!(rig.visit(&go(""), &[]).location().ends_with("/c2"));
    assert!(!rig.stock.drain_unused()[0].unused.contains(&crate::rig::number(1)));
}

#[test]
fn a_lost_repeat_keeps_the_link_of_its_click() {
    let rig = Rig::start();
    let first = rig.visit(&go(""), &[]);
    for mode in [Mode::Refuse(LostReason::QueueFull), Mode::Lose(LostReason::DiskError)] {
        rig.log.set(mode);
        assert_eq!(rig.visit(&go(""), &[]).location(), first.location(), "{mode:?}");
    }
}

#[test]
fn a_thread_that_can_answer_nobody_any_more_ends_the_edge() {
    let mut rig = Rig::with(|config| config.threads = 1);
    rig.log.set(Mode::Stall);
    let visitors = [(); 2].map(|()| {
        let mut visitor = rig.connect();
        visitor.write_all(format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", go("")).as_bytes()).unwrap();
        visitor
    });
    // One thread: when the second comes, the first one waits.
    while rig.log.brought() < 2 {
        std::thread::yield_now();
    }
    rig.log.set(Mode::PanicWaiting);
    assert!(matches!(rig.ended(), Err(EdgeError::Died)));
    drop(visitors);
}

#[test]
fn a_lost_bot_ends_where_bots_end() {
    let rig = Rig::start();
    rig.log.set(Mode::Refuse(LostReason::DiskFull));
    assert_eq!(rig.ask("GET", &go(""), &[("User-Agent", crate::rig::BOT)]).location(), OVERFLOW);
}
