//! Which pieces of memory may go by themselves some time after they were last written.
//!
//! There is a piece for each visitor and each pool link ever given out, and most of them never matter again: what a click can
//! still be asked is asked inside its link's window. Where the store can let rows go by age, it does. Everything else has
//! no age: a bound visitor is known to its fan for life, sums are absolute and are written again by whatever comes late,
//! and fingerprints, holds and idempotency keys are forgotten by the machine itself, at their time.

use std::time::Duration;

use super::{
    key::{TRACKING, TRIAL, UNKNOWN, VISITOR},
    record::{VERSION, VisitorRecord},
};

/// How long a click may still be asked about once it is applied: 30 days, the longest window of a link, two days for which
/// subscribers wait for it, and as much again for a clock that is off, a look that comes late and a stream that stands
/// still. What waits longer in the stream than that must be added.
pub const ASKED_FOR: Duration = Duration::from_secs(45 * 24 * 3600);

/// Whether the store may forget this piece [`ASKED_FOR`] after this value was written: a visitor bound to no fan, or who held
/// a pool link.
#[must_use]
pub fn may_go(key: &[u8], value: &[u8]) -> bool {
    match key.last() {
        Some(&(TRACKING | TRIAL)) => true,
        Some(&(VISITOR | UNKNOWN)) => is_unbound(value),
        _ => false,
    }
}

fn is_unbound(value: &[u8]) -> bool {
    let Some((&VERSION, body)) = value.split_first() else { return false };
    postcard::from_bytes::<VisitorRecord>(body).is_ok_and(|visitor| visitor.fans.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        attribution::{
            Key, Who,
            record::{Kept as _, Record},
        },
        click::VisitorId,
        ids::{AccountId, FanId, LinkKind, PoolLinkId, SmartLinkId},
        time::Timestamp,
    };

    fn account() -> AccountId {
        AccountId::from("acct")
    }

    fn goes(key: &Key, record: Record) -> bool {
        let mut value = Vec::new();
        record.encode(&mut value);
        may_go(&key.to_state_key().0, &value)
    }

    #[test]
    fn a_visitor_goes_unless_a_fan_is_bound_to_it() {
        let keys =
            [Who::Cookie(VisitorId(7)), Who::Print(VisitorId(7))].map(|who| Key::Visitor(account(), who));
        for key in keys {
            let mut visitor = VisitorRecord::default();
            assert!(goes(&key, visitor.clone().record()));
            visitor.fans.push(FanId::from("fan"));
            assert!(!goes(&key, visitor.record()));
            assert!(!may_go(&key.to_state_key().0, b"\xff"), "what can't be read stays");
        }
    }

    #[test]
    fn what_has_no_age_or_is_forgotten_by_the_machine_stays() {
        let link = SmartLinkId(ulid::Ulid(3));
        let keys = [
            Key::Due,
            Key::Account(account()),
            Key::Print(account(), VisitorId(7)),
            Key::Fan(account(), FanId::from("fan")),
            Key::Applied(account(), "webhook:1".into()),
            Key::Page(account(), 1, 0),
            Key::Link(link),
            Key::Hour(link, Timestamp(0)),
            Key::Spread(link, Timestamp(0)),
        ];
        for key in keys {
            assert!(!goes(&key, VisitorRecord::default().record()), "{key:?}");
        }
        for kind in [LinkKind::TrackingLink, LinkKind::FreeTrial] {
            assert!(goes(
                &Key::Holder(account(), PoolLinkId { kind, number: 9 }),
                VisitorRecord::default().record()
            ));
        }
    }
}
