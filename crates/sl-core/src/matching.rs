//! When the matcher looks where (decisions 48, 50, 51): pure scheduling.
//!
//! A look reads one page of the platform's link list, about a hundred links that were handed out one after the other. Each
//! link wants a look at certain ages; a page waits for the links that become due together, as long as none of them waits
//! longer than until its next age but one. A link that has no neighbours in the same state waits for nobody.

use std::time::Duration;

use crate::{ids::LinkKind, pool::PoolFacts, time::Timestamp};

const MINUTE: Duration = Duration::from_secs(60);

/// Whoever subscribes is shown by the platform 30 s to a few minutes later (contract B.5): three times as long nothing follows
/// from somebody missing there.
pub const LATE: Duration = Duration::from_secs(15 * 60);

/// The times of looks and searches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looks {
    /// Ages of a hand-out at which its page is looked at, ascending, before the look that follows the window. Default: 1,
    /// 2, 5, 10, 20, 40, 80, 160 and 320 minutes.
    pub ages: Vec<Duration>,
    /// Times of the searches for a subscriber after the first one, ascending. Default: 30 s, 2 min, 10 min.
    pub searches: Vec<Duration>,
    /// Attribution window of links whose hand-out is not known (`attribution.window`).
    pub window: Duration,
    /// `pool.quarantine`.
    pub quarantine: Duration,
}

impl Looks {
    /// The default ages and searches with the configured times.
    #[must_use]
    pub fn new(window: Duration, quarantine: Duration) -> Self {
        Self {
            ages: [1, 2, 5, 10, 20, 40, 80, 160, 320].map(|minutes| MINUTE * minutes).to_vec(),
            searches: vec![Duration::from_secs(30), MINUTE * 2, MINUTE * 10],
            window,
            quarantine,
        }
    }

    /// All ages and searches shorter by `factor`, for a demonstration where people subscribe within seconds.
    #[must_use]
    pub fn faster(mut self, factor: u32) -> Self {
        for span in self.ages.iter_mut().chain(&mut self.searches) {
            *span /= factor.max(1);
        }
        self
    }

    /// The next look that a link wants; `None` when it has had its last one.
    #[must_use]
    pub fn next(&self, kind: LinkKind, facts: &PoolFacts) -> Option<Due> {
        let looked = facts.last_look_at;
        let wanted = |at: Timestamp| looked.is_none_or(|look| look < at);
        let orphaned = facts.orphaned_at.map(|at| at.plus(self.window));
        let given = facts.given.map(|given| given.last_hit_at.plus(given.window));
        let ends = given.max(orphaned)?;
        let shown = ends.plus(LATE);
        if let Some(given) = facts.given {
            let from = given.last_hit_at;
            let mut ages = self.ages.iter().copied().filter(|age| *age < given.window);
            if let Some(age) = ages.find(|age| wanted(from.plus(*age))) {
                let next_but_one = ages.nth(1).unwrap_or(given.window).max(age);
                return Some(Due { at: from.plus(age), latest: from.plus(next_but_one) });
            }
        }
        if wanted(shown) {
            return Some(Due { at: shown, latest: shown.plus(self.patience(self.window)) });
        }
        let free_at = ends.plus(self.quarantine);
        let may_recycle =
            kind == LinkKind::TrackingLink && facts.used_at.is_none() && facts.retired_at.is_none();
        (may_recycle && wanted(free_at))
            .then(|| Due { at: free_at, latest: free_at.plus(self.patience(self.quarantine)) })
    }

    /// The one look that a link still wants which the platform has deleted, when whoever subscribed through it before is shown:
    /// nobody does so any more. `None` when it has had it.
    #[must_use]
    pub fn last_of_deleted(&self, facts: &PoolFacts) -> Option<Timestamp> {
        let orphaned = facts.orphaned_at.map(|at| at.plus(self.window));
        let given = facts.given.map(|given| given.last_hit_at.plus(given.window));
        let shown = given.max(orphaned)?.plus(LATE);
        facts.last_look_at.is_none_or(|look| look < shown).then_some(shown)
    }

    /// How long a look that nobody waits for may be shared.
    fn patience(&self, span: Duration) -> Duration {
        span / 8
    }

    /// When to search next for a subscriber whose webhook was applied at `known_at`; `None` after the last time: the
    /// subscriber is left to the schedule. The later searches count from the first one, not from the webhook: after an
    /// outage that one may be minutes late and still ahead of the clicks that bring the link.
    #[must_use]
    pub fn next_search(
        &self,
        known_at: Timestamp,
        debounce: Duration,
        searched: Option<Searched>,
    ) -> Option<Timestamp> {
        let Some(Searched { first_at, last_at }) = searched else { return Some(known_at.plus(debounce)) };
        self.searches.iter().map(|span| first_at.plus(*span)).find(|at| last_at < *at)
    }

    /// Whether a subscriber who could not be searched for has waited for as long as the searches take.
    #[must_use]
    pub fn is_past_searching(&self, known_at: Timestamp, debounce: Duration, now: Timestamp) -> bool {
        let searched = Searched { first_at: known_at.plus(debounce), last_at: now };
        self.next_search(known_at, debounce, Some(searched)).is_none()
    }
}

/// From when on a look at a link is its last one: whoever subscribed before `open_until` is shown by then. Where it `comes_back`
/// (nobody has subscribed, and it is not retired) it is after the quarantine, because only then may it be handed out again.
#[must_use]
pub fn last_look(kind: LinkKind, comes_back: bool, open_until: Timestamp, quarantine: Duration) -> Timestamp {
    let shown = open_until.plus(LATE);
    match kind {
        LinkKind::TrackingLink if comes_back => shown.max(open_until.plus(quarantine)),
        LinkKind::TrackingLink | LinkKind::FreeTrial => shown,
    }
}

/// The searches for one subscriber so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Searched {
    /// When the first one began.
    pub first_at: Timestamp,
    /// When the last one began.
    pub last_at: Timestamp,
}

/// A look that a link wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// From then on.
    pub at: Timestamp,
    /// No later than that, so that others on the page can share the look.
    pub latest: Timestamp,
}

/// When a page is looked at: as late as the most impatient of its links allows, but no later than the last that can
/// share becomes due. `None` when nobody on it wants a look.
#[must_use]
pub fn page_due(links: impl Iterator<Item = Due> + Clone) -> Option<Timestamp> {
    let latest = links.clone().map(|due| due.latest).min()?;
    links.map(|due| due.at).filter(|at| *at <= latest).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ids::ClickId, pool::Given};

    const WINDOW: Duration = Duration::from_secs(6 * 3600);
    const QUARANTINE: Duration = Duration::from_secs(24 * 3600);
    const DEBOUNCE: Duration = Duration::from_secs(2);

    fn minutes(count: i64) -> Timestamp {
        Timestamp(count * 60_000)
    }

    fn looks() -> Looks {
        Looks::new(WINDOW, QUARANTINE)
    }

    fn given(at: Timestamp) -> PoolFacts {
        let click = ClickId::from_bytes([7; 16]);
        PoolFacts {
            given: Some(Given { click, at, last_hit_at: at, window: WINDOW }),
            ..PoolFacts::default()
        }
    }

    /// Looks as soon as one is wanted.
    fn timeline(kind: LinkKind, mut facts: PoolFacts) -> Vec<i64> {
        let mut times = Vec::new();
        while let Some(due) = looks().next(kind, &facts) {
            assert!(due.at <= due.latest);
            times.push(due.at.0 / 60_000);
            facts.last_look_at = Some(due.at);
        }
        times
    }

    /// Seconds at which somebody is searched for, the first time no sooner than `from`.
    fn searches(known_at: Timestamp, from: Timestamp) -> Vec<i64> {
        let mut times = Vec::new();
        let mut searched: Option<Searched> = None;
        while let Some(at) = looks().next_search(known_at, DEBOUNCE, searched) {
            let last_at = at.max(from);
            times.push(last_at.0 / 1000);
            searched =
                Some(Searched { first_at: searched.map_or(last_at, |so_far| so_far.first_at), last_at });
        }
        times
    }

    #[test]
    fn a_link_is_looked_at_at_every_age_when_its_window_is_shown_and_after_its_quarantine() {
        let ages = [1, 2, 5, 10, 20, 40, 80, 160, 320];
        let all = |rest: &[i64]| [&ages[..], rest].concat();
        assert_eq!(timeline(LinkKind::TrackingLink, given(minutes(0))), all(&[375, 1800]));
        assert_eq!(timeline(LinkKind::FreeTrial, given(minutes(0))), all(&[375]));
        let used = PoolFacts { used_at: Some(minutes(1)), ..given(minutes(0)) };
        assert_eq!(timeline(LinkKind::TrackingLink, used), all(&[375]));
        let retired = PoolFacts { retired_at: Some(minutes(1)), ..given(minutes(0)) };
        assert_eq!(timeline(LinkKind::TrackingLink, retired), all(&[375]), "who has it may have subscribed");
    }

    #[test]
    fn a_deleted_link_wants_one_look_when_whoever_subscribed_before_is_shown() {
        let last = |facts: PoolFacts| looks().last_of_deleted(&facts).map(|at| at.0 / 60_000);
        assert_eq!(last(given(minutes(0))), Some(375));
        assert_eq!(last(PoolFacts { orphaned_at: Some(minutes(10)), ..given(minutes(0)) }), Some(385));
        let looked = |at| PoolFacts { last_look_at: Some(minutes(at)), ..given(minutes(0)) };
        assert_eq!((last(looked(374)), last(looked(375))), (Some(375), None));
        assert_eq!(last(PoolFacts::default()), None);
    }

    #[test]
    fn an_orphan_is_looked_at_when_its_unknown_visitor_can_do_nothing_more() {
        let facts = PoolFacts { orphaned_at: Some(minutes(0)), ..PoolFacts::default() };
        assert_eq!(timeline(LinkKind::TrackingLink, facts), [375, 1800]);
        assert_eq!(timeline(LinkKind::TrackingLink, PoolFacts::default()), [0_i64; 0]);
    }

    #[test]
    fn the_last_look_is_the_one_that_the_schedule_takes_last() {
        let last = |kind, comes_back| last_look(kind, comes_back, minutes(360), QUARANTINE);
        assert_eq!(last(LinkKind::TrackingLink, true), minutes(1800));
        assert_eq!(last(LinkKind::TrackingLink, false), minutes(375));
        assert_eq!(last(LinkKind::FreeTrial, true), minutes(375));
        let short = last_look(LinkKind::TrackingLink, true, minutes(360), MINUTE);
        assert_eq!(short, minutes(375), "a short quarantine hides nobody");
    }

    #[test]
    fn another_hit_begins_the_ages_anew() {
        let mut facts = given(minutes(0));
        facts.last_look_at = Some(minutes(40));
        if let Some(given) = &mut facts.given {
            given.last_hit_at = minutes(60);
        }
        assert_eq!(looks().next(LinkKind::TrackingLink, &facts).map(|due| due.at), Some(minutes(61)));
    }

    #[test]
    fn a_late_look_serves_every_age_it_has_passed() {
        let facts = PoolFacts { last_look_at: Some(minutes(11)), ..given(minutes(0)) };
        assert_eq!(
            looks().next(LinkKind::TrackingLink, &facts),
            Some(Due { at: minutes(20), latest: minutes(80) })
        );
    }

    #[test]
    fn a_lone_link_waits_for_nobody_and_neighbours_share() {
        let next = |at| looks().next(LinkKind::TrackingLink, &given(at)).unwrap();
        assert_eq!(page_due([next(minutes(0))].into_iter()), Some(minutes(1)));
        let near = [next(Timestamp(0)), next(Timestamp(30_000)), next(Timestamp(45_000))];
        assert_eq!(page_due(near.into_iter()), Some(Timestamp(105_000)), "all three together");
        let far = [next(minutes(0)), next(minutes(5))];
        assert_eq!(
            page_due(far.into_iter()),
            Some(minutes(1)),
            "the second would come too late for the first"
        );
        assert_eq!(page_due(std::iter::empty()), None);
    }

    #[test]
    fn a_subscriber_is_searched_for_four_times() {
        assert_eq!(searches(minutes(0), Timestamp(2000)), [2, 32, 122, 602]);
        let searched = Searched { first_at: Timestamp(2000), last_at: minutes(3) };
        assert_eq!(looks().next_search(minutes(0), DEBOUNCE, Some(searched)), Some(Timestamp(602_000)));
    }

    #[test]
    fn a_search_that_begins_late_is_repeated_as_often_as_one_in_time() {
        assert_eq!(searches(minutes(0), minutes(60)), [3600, 3630, 3720, 4200]);
    }

    #[test]
    fn who_can_not_be_searched_for_waits_for_as_long() {
        assert!(!looks().is_past_searching(minutes(0), DEBOUNCE, Timestamp(601_999)));
        assert!(looks().is_past_searching(minutes(0), DEBOUNCE, Timestamp(602_000)));
    }

    #[test]
    fn a_demonstration_can_be_faster() {
        let fast = looks().faster(60);
        assert_eq!(fast.ages.first(), Some(&Duration::from_secs(1)));
        assert_eq!(fast.searches.first(), Some(&Duration::from_millis(500)));
        assert_eq!(fast.window, WINDOW);
    }
}
