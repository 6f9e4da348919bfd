//! Waiting after failures: each by itself, twice as long each time, and nobody waits with it.

use std::{collections::HashMap, hash::Hash, time::Duration};

use sl_core::time::Timestamp;

/// Who waits. What the platform refuses for good is thus asked for ever more seldom, and never keeps anything else from being done.
#[derive(Debug)]
pub(crate) struct Waits<K> {
    first: Duration,
    longest: Duration,
    begun: HashMap<K, Wait>,
}

#[derive(Debug, Clone, Copy)]
struct Wait {
    from: Timestamp,
    span: Duration,
}

// === impl Waits ===

impl<K: Eq + Hash> Waits<K> {
    /// Nobody waits yet. `first` is the wait after one failure, `longest` the one after many.
    pub(crate) fn new((first, longest): (Duration, Duration)) -> Self {
        Self { first, longest, begun: HashMap::new() }
    }

    /// Whether somebody still waits.
    pub(crate) fn has(&self, who: &K, now: Timestamp) -> bool {
        self.begun.get(who).is_some_and(|wait| !now.is_past(wait.from, wait.span))
    }

    /// When the wait of somebody ends, or ended: a failure that nothing has mended since.
    pub(crate) fn until(&self, who: &K) -> Option<Timestamp> {
        self.begun.get(who).map(|wait| wait.from.plus(wait.span))
    }

    /// Begins one, twice as long as the one before, at most `most`; says how long. After a failure that has cost some time at least
    /// twice that: most of the time is left to others.
    pub(crate) fn begin(&mut self, who: K, now: Timestamp, cost: Duration, most: Duration) -> Duration {
        let longest = self.longest;
        // Nobody has asked for it since: it is not wanted any more.
        self.begun.retain(|_, wait| !now.is_past(wait.from, wait.span + longest));
        let span = self.begun.get(&who).map_or(self.first, |wait| wait.span * 2);
        let span = span.min(most).max(cost * 2).min(longest);
        self.begun.insert(who, Wait { from: now, span });
        span
    }

    /// It works again: the next wait is a first one.
    pub(crate) fn end(&mut self, who: &K) {
        self.begun.remove(who);
    }

    /// Forgets whoever is not to be kept.
    pub(crate) fn retain(&mut self, is_kept: impl Fn(&K) -> bool) {
        self.begun.retain(|who, _| is_kept(who));
    }

    /// The clock was set back: nobody waits for a time of before.
    pub(crate) fn forget_times(&mut self) {
        self.begun.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// After a failure that came at once.
    fn begin(waits: &mut Waits<&'static str>, who: &'static str, now: Timestamp) -> Duration {
        waits.begin(who, now, Duration::ZERO, Duration::MAX)
    }

    #[test]
    fn each_waits_by_itself_and_longer_each_time_until_it_works() {
        let mut waits = Waits::new((SECOND, SECOND * 5));
        let mut now = Timestamp(0);
        for seconds in [1, 2, 4, 5, 5] {
            assert!(!waits.has(&"one", now));
            assert_eq!(begin(&mut waits, "one", now), SECOND * seconds);
            let end = now.plus(SECOND * seconds);
            assert_eq!(waits.until(&"one"), Some(end));
            assert!(waits.has(&"one", Timestamp(end.0 - 1)) && !waits.has(&"other", now));
            now = end;
        }
        waits.end(&"one");
        assert_eq!((begin(&mut waits, "one", now), waits.until(&"other")), (SECOND, None));
        assert!(!waits.has(&"one", Timestamp(-3_600_000)), "the clock was set back");
    }

    #[test]
    fn a_failure_that_took_long_is_waited_after_for_longer_within_the_longest() {
        let mut waits = Waits::new((SECOND, SECOND * 20));
        let mut begin = |cost, most| waits.begin("one", Timestamp(0), SECOND * cost, SECOND * most);
        let spans = [begin(3, 20), begin(3, 20), begin(0, 15), begin(8, 15), begin(30, 15), begin(0, 15)];
        assert_eq!(spans, [6, 12, 15, 16, 20, 15].map(|seconds| SECOND * seconds));
    }

    #[test]
    fn what_is_not_asked_for_any_more_is_forgotten() {
        let mut waits = Waits::new((SECOND, SECOND * 5));
        begin(&mut waits, "one", Timestamp(0));
        begin(&mut waits, "other", Timestamp(5999));
        assert!(waits.until(&"one").is_some());
        begin(&mut waits, "other", Timestamp(6000));
        assert_eq!(waits.until(&"one"), None);
    }
}
