//! Who was told of the subscribers of a link, and by how much that differs from its counter: pure.

use std::collections::HashSet;

use sl_core::{ids::FanId, matching::LATE, time::Timestamp};

/// What is known of a link with subscribers; in memory only, some 60 bytes a subscriber: after a start the list of a
/// shared link is read once more, and attribution knows the repetitions.
#[derive(Debug, Default)]
pub(super) struct Told {
    fans: HashSet<FanId>,
    /// The rest is about shared links. The counter at the last look.
    counted: u32,
    /// How many more were told than counted: the list may be ahead of the counter. Below zero the list lacks somebody.
    ahead: i64,
    /// The same at the last look, and when it was last more than at the look before.
    was_ahead: i64,
    grew_at: Timestamp,
    /// The whole list was read once.
    is_known: bool,
    /// What is left of a reading that was cut off.
    plan: Option<Plan>,
    /// The last look at which nobody was missing.
    looked_at: Option<Timestamp>,
}

/// A reading of the long list of a shared link, the newest subscribers first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    /// Rows to skip.
    pub(super) from: u32,
    /// To the end of the list, not only until everybody is there whom its counter has added.
    pub(super) is_whole: bool,
}

// === impl Told ===

impl Told {
    pub(super) fn has(&self, fan: &FanId) -> bool {
        self.fans.contains(fan)
    }

    /// Somebody who was not told before.
    pub(super) fn tell(&mut self, fan: FanId) {
        self.fans.insert(fan);
        self.ahead += 1;
    }

    pub(super) fn count(&self) -> usize {
        self.fans.len()
    }

    pub(super) fn looked_at(&self) -> Option<Timestamp> {
        self.looked_at
    }

    /// How many the list must have who are not told, now that the counter shows so many.
    fn missing(&self, counter: u32) -> i64 {
        (self.added(counter) - self.ahead).max(0)
    }

    /// A counter may go down; nobody is told less for it.
    fn added(&self, counter: u32) -> i64 {
        i64::from(counter.saturating_sub(self.counted))
    }

    /// What is to be read of the list. A late one `is_waiting`, until it `is_over`: then all of it is read once more, and the
    /// counter is believed.
    pub(super) fn plan(&self, counter: u32, is_waiting: bool, is_over: bool) -> Option<Plan> {
        let missing = self.missing(counter) > 0;
        let is_whole = !self.is_known || (missing && is_over);
        let wanted = self.added(counter) > 0 || (missing && !is_waiting);
        self.plan.or_else(|| wanted.then_some(Plan { from: 0, is_whole }))
    }

    /// It is being read.
    pub(super) fn begin(&mut self, plan: Plan) {
        self.plan = Some(plan);
    }

    /// Whether that ends with a page that held so many, of whom so many were new. Nobody is new behind a page on which nobody is,
    /// but behind one on which everybody is.
    pub(super) fn is_enough(&self, plan: Plan, counter: u32, rows: usize, new: usize) -> bool {
        !plan.is_whole && (new == 0 || (new < rows && self.missing(counter) == 0))
    }

    /// The reading is over.
    pub(super) fn end(&mut self, plan: Plan) {
        self.is_known |= plan.is_whole;
        self.plan = None;
    }

    /// A look is over; `passed` is its time as [`super::counter`] has it. `false` when the list lacks somebody.
    pub(super) fn settle(&mut self, counter: u32, now: Timestamp, passed: Timestamp) -> bool {
        self.ahead -= self.added(counter);
        self.counted = counter;
        if self.ahead > self.was_ahead {
            self.grew_at = now;
        } else if self.ahead > 0 && now.is_past(self.grew_at, LATE) {
            // The counter has not followed and will not: whoever it adds now is somebody else.
            self.ahead = 0;
        }
        self.was_ahead = self.ahead;
        if self.ahead < 0 {
            return false;
        }
        self.looked_at = Some(passed);
        true
    }

    /// Whoever is missing will not come.
    pub(super) fn believe(&mut self, passed: Timestamp) {
        (self.ahead, self.was_ahead) = (0, 0);
        self.looked_at = Some(passed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: Option<Plan> = Some(Plan { from: 0, is_whole: true });
    const NEWEST: Option<Plan> = Some(Plan { from: 0, is_whole: false });

    /// A list of so many that was read.
    fn read(fans: u32, counter: u32) -> Told {
        let mut told = Told::default();
        tell(&mut told, 0..fans);
        told.end(Plan { from: 0, is_whole: true });
        told.settle(counter, Timestamp(0), Timestamp(0));
        told
    }

    fn tell(told: &mut Told, fans: std::ops::Range<u32>) {
        fans.for_each(|fan| told.tell(fan.to_string().into()));
    }

    #[test]
    fn a_list_is_read_whole_once_and_then_as_far_as_its_counter_has_moved() {
        assert_eq!(Told::default().plan(0, false, false), None);
        assert_eq!(Told::default().plan(5, false, false), WHOLE);
        let mut told = read(5, 5);
        assert_eq!((told.plan(5, false, false), told.plan(6, false, false)), (None, NEWEST));
        let Some(plan) = told.plan(7, false, false) else { panic!("two are new") };
        tell(&mut told, 5..6);
        assert!(!told.is_enough(plan, 7, 100, 1), "one more is there");
        tell(&mut told, 6..7);
        assert!(told.is_enough(plan, 7, 100, 2) && !told.is_enough(plan, 7, 2, 2));
        assert!(told.settle(7, Timestamp(1), Timestamp(1)));
    }

    #[test]
    fn a_reading_that_was_cut_off_goes_on() {
        let mut told = Told::default();
        let plan = Plan { from: 400, is_whole: true };
        told.begin(plan);
        assert_eq!(told.plan(1000, true, false), Some(plan));
        told.end(plan);
        assert!(told.is_known);
    }

    #[test]
    fn a_list_that_is_ahead_of_its_counter_lacks_nobody_when_that_follows() {
        let mut told = read(5, 5);
        tell(&mut told, 5..7);
        assert!(told.settle(6, Timestamp(1), Timestamp(1)));
        assert_eq!(told.plan(7, false, false), NEWEST, "somebody else may be counted");
        assert!(told.is_enough(Plan { from: 0, is_whole: false }, 7, 100, 0));
        assert!(told.settle(7, Timestamp(2), Timestamp(2)));
        assert_eq!(told.plan(7, false, false), None);
    }

    #[test]
    fn a_counter_that_does_not_follow_hides_nobody_for_long() {
        let mut told = read(6, 5);
        let now = Timestamp(0).plus(LATE);
        assert!(told.settle(5, now, now));
        assert!(!told.settle(6, now, now), "the list lacks the one who is counted");
    }

    #[test]
    fn a_late_list_is_read_again_after_its_wait_and_whole_at_the_end() {
        let mut told = read(4, 5);
        assert_eq!(told.plan(5, true, false), None);
        assert_eq!((told.plan(5, false, false), told.plan(6, true, false)), (NEWEST, NEWEST));
        assert_eq!(told.plan(5, false, true), WHOLE);
        assert_eq!(told.looked_at(), None);
        told.believe(Timestamp(7));
        assert_eq!((told.plan(5, false, false), told.looked_at()), (None, Some(Timestamp(7))));
    }

    #[test]
    fn a_counter_that_goes_down_and_up_again_shows_somebody_new() {
        let mut told = read(5, 5);
        assert!(told.settle(4, Timestamp(1), Timestamp(1)));
        assert_eq!(told.plan(5, false, false), NEWEST);
        assert!(!told.settle(5, Timestamp(2), Timestamp(2)));
    }
}
