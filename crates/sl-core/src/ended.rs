//! Links that were ended at the creator platform: nobody can subscribe through them any more, so nobody is sent there. Pure.
//!
//! Only what the platform says of a link itself ends it. A link that a list does not show may have moved to another page, or
//! is too new to be shown: nothing follows from that but a question ([`deleted`](crate::deleted)).

use crate::{ids::LinkKind, pool::PoolFacts, time::Timestamp};

/// What the platform says about the end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkEnd {
    /// `endDate` of a tracking link (contract E.1), `expiredAt` of a trial link (contract E.2): from then on it is over.
    pub at: Option<Timestamp>,
    /// `isFinished` of a trial link (contract E.2): claimed by as many as may, or ended.
    pub is_finished: bool,
}

impl LinkEnd {
    /// Whether the link is over at `now`.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.is_finished || self.at.is_some_and(|at| at <= now)
    }
}

/// Whether a link with that end is to be taken out of its stock: it is over, and somebody might still get it. Who has it
/// keeps it: it is looked at as long as any other, so that whoever subscribed before its end is credited.
///
/// A trial link is finished by the visitor who claims it, and handed out once only: it is over before its time only while
/// nobody has it.
#[must_use]
pub fn retires(kind: LinkKind, end: &LinkEnd, facts: &PoolFacts, now: Timestamp) -> bool {
    let had = facts.given.is_some() || facts.orphaned_at.is_some();
    let comes_back = kind == LinkKind::TrackingLink || !had;
    end.is_over(now) && facts.retired_at.is_none() && facts.used_at.is_none() && comes_back
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{ids::ClickId, pool::Given};

    const NOW: Timestamp = Timestamp(1_000_000);
    const KINDS: [LinkKind; 2] = [LinkKind::TrackingLink, LinkKind::FreeTrial];
    const FINISHED: LinkEnd = LinkEnd { at: None, is_finished: true };

    fn ends(at: i64) -> LinkEnd {
        LinkEnd { at: Some(Timestamp(at)), is_finished: false }
    }

    fn given() -> PoolFacts {
        let window = Duration::from_secs(3600);
        let given = Given { click: ClickId::from_bytes([7; 16]), at: NOW, last_hit_at: NOW, window };
        PoolFacts { given: Some(given), ..PoolFacts::default() }
    }

    #[test]
    fn a_link_is_over_from_its_end_on_and_never_without_one() {
        assert!(!LinkEnd::default().is_over(NOW));
        assert!(!ends(1_000_001).is_over(NOW), "it ends later");
        assert!(ends(1_000_000).is_over(NOW) && FINISHED.is_over(NOW));
    }

    #[test]
    fn whatever_is_over_leaves_its_stock_while_nobody_has_it() {
        for kind in KINDS {
            for end in [FINISHED, ends(0)] {
                let leased = PoolFacts { leased_until: Some(NOW), ..PoolFacts::default() };
                assert!(retires(kind, &end, &PoolFacts::default(), NOW) && retires(kind, &end, &leased, NOW));
            }
            assert!(!retires(kind, &LinkEnd::default(), &PoolFacts::default(), NOW));
        }
    }

    #[test]
    fn a_tracking_link_that_somebody_had_does_not_come_back_and_a_claimed_trial_link_is_nothing_odd() {
        let orphan = PoolFacts { orphaned_at: Some(NOW), ..PoolFacts::default() };
        for facts in [given(), orphan] {
            assert!(retires(LinkKind::TrackingLink, &ends(0), &facts, NOW));
            assert!(!retires(LinkKind::FreeTrial, &FINISHED, &facts, NOW));
        }
    }

    #[test]
    fn what_is_never_handed_out_again_is_left_alone() {
        let used = PoolFacts { used_at: Some(NOW), ..given() };
        let retired = PoolFacts { retired_at: Some(NOW), ..PoolFacts::default() };
        for facts in [used, retired] {
            assert!(!retires(LinkKind::TrackingLink, &ends(0), &facts, NOW));
        }
    }
}
