//! Metrics of the edge (surface 4), as handles that are looked up once per thread. A busy thread adds up what it answers and
//! says it once for many: a counter or a sample that other threads can see costs more than the rest of an answer.

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use metrics::{Counter, Histogram, counter, histogram};
use sl_core::click::{Class, Rung};
use sl_journal::LostReason;

/// The handles of one thread.
pub(crate) struct Meters {
    clicks: [[Hits; 5]; 4],
    lost: Vec<(LostReason, Counter)>,
    /// Answered before the disk had it.
    pub(crate) late: Counter,
    /// Seconds from the parsed request to the answer.
    redirect_seconds: Histogram,
    /// Those times of answers that the histogram does not have yet.
    waits: RefCell<Vec<Duration>>,
    /// Connections refused because there were too many.
    pub(crate) refused: Counter,
    /// Visits of a Smart Link that was deleted.
    pub(crate) deleted: Counter,
    /// Visits of `/go/…` that name no Smart Link.
    pub(crate) unknown: Counter,
    /// Requests whose header took too long.
    pub(crate) slow: Counter,
    /// Accepting failed; usually there are no more file descriptors.
    pub(crate) accept_errors: Counter,
}

/// Hits of one class and rung.
struct Hits {
    said: Counter,
    unsaid: Cell<u64>,
}

/// Answers that are said together.
const TOGETHER: usize = 256;

const CLASSES: [Class; 4] = [Class::Person, Class::Repeat, Class::Bot, Class::Speculative];
const RUNGS: [Rung; 4] = [Rung::Fresh, Rung::Recycled, Rung::Overflow, Rung::Profile];
const REASONS: [LostReason; 6] = [
    LostReason::DiskFull,
    LostReason::MaxDisk,
    LostReason::DiskError,
    LostReason::QueueFull,
    LostReason::TooLarge,
    LostReason::Closed,
];
/// Rung label of a refused prefetch: it was sent nowhere.
const NOWHERE: &str = "none";

impl Meters {
    pub(crate) fn new() -> Self {
        let clicks = |class: Class, rung: &'static str| Hits {
            said: counter!("smartlinks_clicks_total", "class" => class.as_str(), "rung" => rung),
            unsaid: Cell::new(0),
        };
        let rungs = [RUNGS[0].as_str(), RUNGS[1].as_str(), RUNGS[2].as_str(), RUNGS[3].as_str(), NOWHERE];
        let unjournaled = |kind: &'static str, reason: &'static str| counter!("smartlinks_clicks_unjournaled_total", "kind" => kind, "reason" => reason);
        let sent_away = |answer: &'static str| counter!("smartlinks_edge_refused_total", "answer" => answer);
        Self {
            clicks: CLASSES.map(|class| rungs.map(|rung| clicks(class, rung))),
            lost: REASONS.iter().map(|reason| (*reason, unjournaled("lost", reason.as_str()))).collect(),
            late: unjournaled("late", "slow_disk"),
            redirect_seconds: histogram!("smartlinks_redirect_seconds"),
            waits: RefCell::new(Vec::with_capacity(TOGETHER)),
            refused: counter!("smartlinks_edge_connections_refused_total"),
            deleted: sent_away("deleted"),
            unknown: sent_away("unknown"),
            slow: counter!("smartlinks_edge_slow_headers_total"),
            accept_errors: counter!("smartlinks_edge_accept_errors_total"),
        }
    }

    /// One hit of a class that was sent to `rung`; `None` was sent nowhere.
    pub(crate) fn hit(&self, class: Class, rung: Option<Rung>) {
        self.hits(class, rung).said.increment(1);
    }

    /// One hit that is answered after `waited`, to be said with others.
    pub(crate) fn answered(&self, class: Class, rung: Rung, waited: Duration) {
        let unsaid = &self.hits(class, Some(rung)).unsaid;
        unsaid.set(unsaid.get() + 1);
        let mut waits = self.waits.borrow_mut();
        waits.push(waited);
        let full = waits.len() >= TOGETHER;
        drop(waits);
        if full {
            self.say();
        }
    }

    /// Says what has not been said.
    pub(crate) fn say(&self) {
        let mut waits = self.waits.borrow_mut();
        if waits.is_empty() {
            return;
        }
        for wait in waits.drain(..) {
            self.redirect_seconds.record(wait.as_secs_f64());
        }
        for hits in self.clicks.iter().flatten().filter(|hits| hits.unsaid.get() > 0) {
            hits.said.increment(hits.unsaid.take());
        }
    }

    fn hits(&self, class: Class, rung: Option<Rung>) -> &Hits {
        let row = match class {
            Class::Person => &self.clicks[0],
            Class::Repeat => &self.clicks[1],
            Class::Bot => &self.clicks[2],
            Class::Speculative => &self.clicks[3],
        };
        let [fresh, recycled, overflow, profile, nowhere] = row;
        match rung {
            Some(Rung::Fresh) => fresh,
            Some(Rung::Recycled) => recycled,
            Some(Rung::Overflow) => overflow,
            Some(Rung::Profile) => profile,
            None => nowhere,
        }
    }

    /// A click, or a repeat, that the journal does not have.
    pub(crate) fn lost(&self, reason: LostReason) {
        if let Some((_, counter)) = self.lost.iter().find(|(known, _)| *known == reason) {
            counter.increment(1);
        }
    }
}
