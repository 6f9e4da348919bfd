//! The pool ladder (architecture 4): fresh → recycled → overflow → profile. Pure; taking a link from stock is the
//! caller's, and happens only when [`wants_own`] says so.

use crate::click::{Class, Rung};

/// Whether this hit is to get a pool link of its own: people on a link that is not paused. Bots, previews and
/// prefetches never take one (promise 4); a repeat keeps the link of its click.
#[must_use]
pub fn wants_own(class: Class, paused: bool) -> bool {
    class == Class::Person && !paused
}

/// Where a hit ends.
///
/// `own` is the link taken for it, if any: `Some(true)` when it was recycled. `has_overflow` says whether the Smart
/// Link has its shared link already. A paused link leads to the profile, whoever asks (decisions 8).
#[must_use]
pub fn rung(paused: bool, own: Option<bool>, has_overflow: bool) -> Rung {
    match own {
        _ if paused => Rung::Profile,
        Some(false) => Rung::Fresh,
        Some(true) => Rung::Recycled,
        None if has_overflow => Rung::Overflow,
        None => Rung::Profile,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_people_take_a_link_of_their_own() {
        assert!(wants_own(Class::Person, false));
        for class in [Class::Bot, Class::Speculative, Class::Repeat] {
            assert!(!wants_own(class, false));
        }
        assert!(!wants_own(Class::Person, true), "a paused link hands nothing out");
    }

    #[test]
    fn the_ladder_is_climbed_down_in_order() {
        assert_eq!(rung(false, Some(false), true), Rung::Fresh);
        assert_eq!(rung(false, Some(true), true), Rung::Recycled);
        assert_eq!(rung(false, None, true), Rung::Overflow);
        assert_eq!(rung(false, None, false), Rung::Profile);
        assert_eq!(rung(true, None, true), Rung::Profile);
    }
}
