//! Links that were deleted at the creator platform: they lead to a dead page, so nobody is sent there. Pure.
//!
//! A list that lacks a link makes it a suspect and no more: lists are partial, shifted by what left them, late. It is deleted when
//! the platform says of that very link that it knows none such (404, contract E.1, E.2), and of a neighbour that the list shows says
//! otherwise: where both are unknown it is the account that is (contract E.6), or nobody answers that question.

use std::collections::VecDeque;

use crate::{
    ended::{LinkEnd, retires},
    ids::{LinkKind, PoolLinkId},
    matching::LATE,
    pool::PoolFacts,
    time::Timestamp,
};

/// How a link ends that was deleted: there is no time from which on it is over, it is.
pub const DELETED: LinkEnd = LinkEnd { at: None, is_finished: true };

/// Whether a link that its list lacks is worth a question: somebody might get it, or has it and is still followed, and it is not so
/// new that the list may be late.
#[must_use]
pub fn is_suspect(
    kind: LinkKind,
    facts: &PoolFacts,
    created_at: Timestamp,
    is_followed: bool,
    now: Timestamp,
) -> bool {
    now.is_past(created_at, LATE) && (is_followed || retires(kind, &DELETED, facts, now))
}

/// What the platform says about one link. What is no answer (no connection, 401, 403, 429, 5xx) is none of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It shows the link.
    There,
    /// 404: it knows none such.
    Unknown,
}

/// The questions about the links that one page lacks. Few requests: one link is asked about first, and only when that one is deleted
/// the others are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inquiry {
    suspects: VecDeque<PoolLinkId>,
    /// A link that the page shows. `None` where it shows none.
    witness: Option<PoolLinkId>,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing is known yet.
    First,
    /// The first suspect is unknown; is the witness?
    Witness,
    /// The first suspect is deleted: the list lacks what the platform lacks. So many links in a row were there all the same.
    Proven { there: u8 },
}

/// Links in a row that are there, after which a list is taken for partial: few of those that it lacks are deleted.
const ENOUGH: u8 = 3;

/// What an answer has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// This link is deleted.
    Deleted(PoolLinkId),
    /// Nothing that anybody acts on.
    Nothing,
    /// The list lacks links that are there: no more is asked about this page.
    Partial,
    /// The platform does not know a link either that its list shows: nothing it says counts.
    Contradiction,
}

// === impl Inquiry ===

impl Inquiry {
    /// About these links, in this order.
    #[must_use]
    pub fn new(suspects: impl IntoIterator<Item = PoolLinkId>, witness: Option<PoolLinkId>) -> Self {
        Self { suspects: suspects.into_iter().collect(), witness, stage: Stage::First }
    }

    /// The page was read again and lacks these: what was shown about those before them holds.
    #[must_use]
    pub fn renewed(
        &self,
        suspects: impl IntoIterator<Item = PoolLinkId>,
        witness: Option<PoolLinkId>,
    ) -> Self {
        let renewed = Self::new(suspects, witness);
        let is_same = renewed.suspects.front() == self.suspects.front();
        match self.stage {
            Stage::First => renewed,
            // Nobody is left who could contradict.
            Stage::Witness if !is_same || witness.is_none() => renewed,
            Stage::Witness | Stage::Proven { .. } => Self { stage: self.stage, ..renewed },
        }
    }

    /// The link that is asked about next; `None` when there is no question left.
    #[must_use]
    pub fn next(&self) -> Option<PoolLinkId> {
        let first = self.suspects.front().copied()?;
        Some(self.witness.filter(|_| self.stage == Stage::Witness).unwrap_or(first))
    }

    /// Takes the answer about [`next`](Self::next).
    pub fn answered(&mut self, answer: Answer) -> Shown {
        match (self.stage, answer) {
            (Stage::First, Answer::Unknown) if self.witness.is_some() => {
                self.stage = Stage::Witness;
                Shown::Nothing
            }
            (Stage::First, Answer::Unknown) | (Stage::Witness, Answer::There) => self.deleted(),
            (Stage::Proven { .. }, Answer::Unknown) => self.deleted(),
            (Stage::Proven { there }, Answer::There) if there + 1 < ENOUGH => {
                self.stage = Stage::Proven { there: there + 1 };
                self.suspects.pop_front();
                Shown::Nothing
            }
            (Stage::First | Stage::Proven { .. }, Answer::There) => {
                self.suspects.clear();
                Shown::Partial
            }
            (Stage::Witness, Answer::Unknown) => {
                self.suspects.clear();
                Shown::Contradiction
            }
        }
    }

    fn deleted(&mut self) -> Shown {
        self.stage = Stage::Proven { there: 0 };
        self.suspects.pop_front().map_or(Shown::Nothing, Shown::Deleted)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{ids::ClickId, pool::Given};

    const NOW: Timestamp = Timestamp(10_000_000);
    const OLD: Timestamp = Timestamp(0);

    fn id(number: u64) -> PoolLinkId {
        PoolLinkId { kind: LinkKind::FreeTrial, number }
    }

    /// Asks until nobody is left, of a platform that knows all but some; whom it asked about, and what that has shown.
    fn ask(mut inquiry: Inquiry, is_there: impl Fn(u64) -> bool) -> (Vec<u64>, Vec<Shown>) {
        let (mut asked, mut shown) = (Vec::new(), Vec::new());
        while let Some(id) = inquiry.next() {
            asked.push(id.number);
            let answer = if is_there(id.number) { Answer::There } else { Answer::Unknown };
            shown.push(inquiry.answered(answer));
        }
        (asked, shown)
    }

    fn deleted(shown: &[Shown]) -> Vec<u64> {
        let number = |shown: &Shown| match shown {
            Shown::Deleted(id) => Some(id.number),
            _ => None,
        };
        shown.iter().filter_map(number).collect()
    }

    #[test]
    fn a_link_that_is_there_ends_the_questions_about_its_page() {
        let (asked, shown) = ask(Inquiry::new((1..50).map(id), Some(id(90))), |_| true);
        assert_eq!((asked, shown), (vec![1], vec![Shown::Partial]));
    }

    #[test]
    fn when_the_first_is_deleted_and_a_listed_one_is_not_the_others_are_asked_about() {
        let (asked, shown) =
            ask(Inquiry::new((1..5).map(id), Some(id(90))), |number| number == 3 || number > 5);
        assert_eq!(asked, [1, 90, 2, 3, 4]);
        assert_eq!(deleted(&shown), [1, 2, 4], "each by its own answer");
    }

    #[test]
    fn a_platform_that_knows_no_link_says_nothing_about_any() {
        let (asked, shown) = ask(Inquiry::new((1..5).map(id), Some(id(90))), |_| false);
        assert_eq!((asked, shown), (vec![1, 90], vec![Shown::Nothing, Shown::Contradiction]));
    }

    #[test]
    fn of_a_page_that_shows_nothing_at_all_each_link_speaks_for_itself() {
        let (asked, shown) = ask(Inquiry::new((1..4).map(id), None), |_| false);
        assert_eq!((asked, deleted(&shown)), (vec![1, 2, 3], vec![1, 2, 3]));
        assert_eq!(ask(Inquiry::new(std::iter::empty(), Some(id(90))), |_| false).0, [0_u64; 0]);
    }

    #[test]
    fn a_page_that_is_read_again_meanwhile_costs_no_question_twice() {
        let suspects = || (1..7).map(id);
        let mut inquiry = Inquiry::new(suspects(), Some(id(90)));
        assert_eq!(inquiry.answered(Answer::Unknown), Shown::Nothing);
        let mut inquiry = inquiry.renewed(suspects(), Some(id(91)));
        assert_eq!(inquiry.next(), Some(id(91)), "the first one is known");
        assert_eq!(inquiry.answered(Answer::There), Shown::Deleted(id(1)));
        let inquiry = inquiry.renewed((2..7).map(id), Some(id(92)));
        assert_eq!(ask(inquiry, |number| number > 7).0, [2, 3, 4, 5, 6]);
        // Another is the first one now.
        let mut inquiry = Inquiry::new(suspects(), Some(id(90)));
        inquiry.answered(Answer::Unknown);
        assert_eq!(ask(inquiry.renewed((3..4).map(id), Some(id(90))), |number| number > 7).0, [3, 90]);
    }

    #[test]
    fn three_links_in_a_row_that_are_there_make_a_list_partial() {
        let is_there = |number| number == 2 || number == 3 || (5..80).contains(&number) || number == 90;
        let (asked, shown) = ask(Inquiry::new((1..80).map(id), Some(id(90))), is_there);
        assert_eq!((asked, deleted(&shown)), (vec![1, 90, 2, 3, 4, 5, 6, 7], vec![1, 4]));
        assert_eq!(shown.last(), Some(&Shown::Partial));
    }

    #[test]
    fn whom_nobody_gets_and_nobody_follows_is_not_asked_about_nor_what_is_too_new() {
        for kind in [LinkKind::TrackingLink, LinkKind::FreeTrial] {
            let suspect = |facts: &PoolFacts, at, is_followed| is_suspect(kind, facts, at, is_followed, NOW);
            let fresh = PoolFacts::default();
            assert!(suspect(&fresh, OLD, false));
            assert!(
                !suspect(&fresh, NOW.minus(LATE / 2), false) && suspect(&fresh, NOW.minus(LATE * 2), false)
            );
            for past in [
                PoolFacts { used_at: Some(OLD), ..PoolFacts::default() },
                PoolFacts { retired_at: Some(OLD), ..PoolFacts::default() },
            ] {
                assert!(!suspect(&past, OLD, false) && suspect(&past, OLD, true));
            }
        }
    }

    #[test]
    fn a_trial_link_that_was_handed_out_matters_only_while_it_is_followed() {
        let window = Duration::from_secs(3600);
        let given = Given { click: ClickId::from_bytes([7; 16]), at: OLD, last_hit_at: OLD, window };
        let facts = PoolFacts { given: Some(given), ..PoolFacts::default() };
        assert!(!is_suspect(LinkKind::FreeTrial, &facts, OLD, false, NOW));
        assert!(is_suspect(LinkKind::FreeTrial, &facts, OLD, true, NOW));
        assert!(is_suspect(LinkKind::TrackingLink, &facts, OLD, false, NOW), "it would come back");
    }
}
