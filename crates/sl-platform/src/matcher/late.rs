//! Lists that are late: the counter of a link shows subscribers whom its list lacks (contract B.5).

use std::{collections::HashMap, time::Duration};

use sl_core::{ids::PoolLinkId, matching::LATE, time::Timestamp};

/// Longest time between two readings of a late list.
const SELDOM: Duration = Duration::from_secs(300);

/// Links whose list is late. It is read again as long after as it has been late already: about eight times in all.
#[derive(Debug, Default)]
pub(super) struct Late(HashMap<PoolLinkId, Short>);

#[derive(Debug, Clone, Copy)]
struct Short {
    since: Timestamp,
    again_at: Timestamp,
}

// === impl Late ===

impl Late {
    /// Whether it is too soon to read the list again.
    pub(super) fn is_waiting(&self, id: &PoolLinkId, now: Timestamp) -> bool {
        self.until(id).is_some_and(|until| now < until)
    }

    /// When the list is read again.
    pub(super) fn until(&self, id: &PoolLinkId) -> Option<Timestamp> {
        self.0.get(id).map(|short| short.again_at)
    }

    /// Whether whoever is still missing from the list will not come.
    pub(super) fn is_over(&self, id: &PoolLinkId, now: Timestamp) -> bool {
        self.0.get(id).is_some_and(|short| now >= short.since.plus(LATE))
    }

    /// Somebody is missing from the list as it is `now`; when it `has_grown` its time begins anew. `first` is the shortest wait.
    pub(super) fn put_off(&mut self, id: PoolLinkId, now: Timestamp, has_grown: bool, first: Duration) {
        let since = self.0.get(&id).filter(|_| !has_grown).map_or(now, |short| short.since);
        let end = since.plus(LATE);
        let again_at = now.plus(now.since(since).max(first).min(SELDOM));
        let again_at = if now < end { again_at.min(end) } else { again_at };
        self.0.insert(id, Short { since, again_at });
    }

    /// Nobody is missing.
    pub(super) fn end(&mut self, id: &PoolLinkId) {
        self.0.remove(id);
    }

    /// Forgets whoever is not to be kept.
    pub(super) fn retain(&mut self, is_kept: impl Fn(&PoolLinkId) -> bool) {
        self.0.retain(|id, _| is_kept(id));
    }

    /// The clock was set back: nothing waits for a time of before.
    pub(super) fn forget_times(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use sl_core::ids::LinkKind;

    use super::*;

    const ID: PoolLinkId = PoolLinkId { kind: LinkKind::TrackingLink, number: 1 };
    const FIRST: Duration = Duration::from_secs(30);

    #[test]
    fn a_late_list_is_read_ever_more_seldom_until_its_counter_is_believed() {
        let (mut late, mut now, mut times) = (Late::default(), Timestamp(0), Vec::new());
        while !late.is_over(&ID, now) {
            times.push(now.seconds());
            late.put_off(ID, now, false, FIRST);
            assert!(late.is_waiting(&ID, Timestamp(now.0 + 1)));
            now = late.until(&ID).unwrap();
            assert!(!late.is_waiting(&ID, now));
        }
        assert_eq!((times, now.seconds()), (vec![0, 30, 60, 120, 240, 480, 780], 900));
        late.end(&ID);
        assert!(!late.is_over(&ID, now) && !late.is_waiting(&ID, now));
    }

    #[test]
    fn a_list_that_grows_is_given_its_time_anew() {
        let mut late = Late::default();
        late.put_off(ID, Timestamp(0), false, FIRST);
        late.put_off(ID, Timestamp(600_000), true, FIRST);
        assert_eq!(late.until(&ID), Some(Timestamp(630_000)));
        assert!(!late.is_over(&ID, Timestamp(1_499_999)) && late.is_over(&ID, Timestamp(1_500_000)));
    }
}
