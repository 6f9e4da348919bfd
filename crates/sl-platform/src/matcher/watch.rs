//! The links of one account that are looked at, by page.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use sl_core::{
    ids::{LinkKind, PoolLinkId, SmartLinkId, TeamId},
    matching::{Due, LATE, Looks, page_due},
    pool::{Given, PoolFacts},
    time::Timestamp,
};
use sl_store::pool::PoolEntry;

use super::{
    aside::Aside,
    late::Late,
    places::{Places, Whereabouts},
};

/// A page of one of the two link lists.
pub(super) type Page = (LinkKind, u32);

/// A link that is looked at by the schedule.
#[derive(Debug, Clone)]
pub(super) struct Watched {
    pub(super) team: TeamId,
    pub(super) facts: PoolFacts,
    /// Not before that: the platform did not list it.
    lost_until: Option<Timestamp>,
}

/// The shared link of a Smart Link (decisions 55).
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) team: TeamId,
    pub(super) smart_link: SmartLinkId,
    /// Of a Smart Link that was deleted: its last look is then.
    pub(super) until: Option<Timestamp>,
}

/// A link that a visitor has and the platform has deleted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gone {
    /// Its list of subscribers was asked for since.
    pub(super) is_read: bool,
    /// As far as is known the platform still has that list.
    pub(super) has_list: bool,
}

/// Everything that is looked at.
#[derive(Debug, Default)]
pub(super) struct Watch {
    pub(super) links: BTreeMap<PoolLinkId, Watched>,
    pub(super) shared: HashMap<PoolLinkId, Shared>,
    pub(super) aside: Aside,
    pub(super) late: Late,
    places: BTreeMap<LinkKind, Places>,
    /// When pages are due; only of links whose place is known.
    plan: BTreeMap<Page, Timestamp>,
    /// A page is not read by the schedule before that.
    not_before: HashMap<Page, Timestamp>,
    /// Links whose place is not known, by when they are due.
    unplaced: BTreeMap<PoolLinkId, Due>,
    /// Links that visitors have and the platform has deleted: no page shows them. In memory only: after a start they are missed anew.
    pub(super) gone: HashMap<PoolLinkId, Gone>,
    /// Pages to be read once that no link asks for.
    pub(super) beside: BTreeSet<Page>,
    /// Links that the platform did not list and that nobody was told of, and since when there are some.
    lost: Option<(usize, Timestamp)>,
}

/// After that a link that was not listed is sought again.
pub(super) const LOST: Duration = Duration::from_secs(600);
/// While there is always more to look at, lost links are told of after that.
const TELL: Duration = Duration::from_secs(60);

// === impl Watch ===

impl Watch {
    /// Takes over what the pool says. Looks that are not stored yet are kept; one that lies ahead was dated by a clock that
    /// was set back since, and says nothing.
    pub(super) fn refresh(&mut self, entries: Vec<PoolEntry>, now: Timestamp, looks: &Looks) {
        let mut before = std::mem::take(&mut self.links);
        for PoolEntry { link, mut facts } in entries {
            let known = before.remove(&link.id);
            let same = known.as_ref().filter(|known| {
                known.facts.given.map(|given| given.click) == facts.given.map(|given| given.click)
            });
            if let Some(known) = same {
                facts.last_look_at = facts.last_look_at.max(known.facts.last_look_at);
                facts.subscribers_seen = facts.subscribers_seen.max(known.facts.subscribers_seen);
                facts.used_at = facts.used_at.or(known.facts.used_at);
            }
            facts.last_look_at = facts.last_look_at.filter(|at| !now.is_set_back_since(*at));
            let lost_until = known.and_then(|known| known.lost_until);
            self.links.insert(link.id, Watched { team: link.team, facts, lost_until });
        }
        let links = &self.links;
        self.gone.retain(|id, _| links.contains_key(id));
        self.plan_all(looks);
    }

    /// The clock was set back: nothing waits for a time of before.
    pub(super) fn forget_times(&mut self) {
        self.not_before.clear();
        self.aside.forget_times();
        self.late.forget_times();
        self.links.values_mut().for_each(|link| link.lost_until = None);
    }

    pub(super) fn places(&mut self, kind: LinkKind) -> &mut Places {
        self.places.entry(kind).or_default()
    }

    /// The page of a link, as far as is known; around pages that can't be read now.
    pub(super) fn find(&self, id: PoolLinkId, now: Timestamp) -> Whereabouts {
        self.find_around(id, |page| self.aside.pages.has(&(id.kind, page), now))
    }

    fn find_around(&self, id: PoolLinkId, is_aside: impl Fn(u32) -> bool) -> Whereabouts {
        match self.places.get(&id.kind) {
            Some(places) => places.find(id.number, is_aside),
            None => Places::default().find(id.number, is_aside),
        }
    }

    /// The page that ends before a link of which no page is known.
    pub(super) fn page_below(&self, id: PoolLinkId, now: Timestamp) -> Option<u32> {
        let page = self.places.get(&id.kind)?.page_below(id.number)?;
        let is_aside = self.hidden_by(id, now).is_some() || self.aside.pages.has(&(id.kind, page), now);
        (!is_aside).then_some(page)
    }

    /// The page that may hold it and can't be read now.
    fn hidden_by(&self, id: PoolLinkId, now: Timestamp) -> Option<Page> {
        let hidden_by = match self.find_around(id, |_| false) {
            Whereabouts::Unknown(page) => Some((id.kind, page)),
            Whereabouts::On(_) | Whereabouts::Missing => None,
        };
        hidden_by.filter(|page| self.aside.pages.has(page, now))
    }

    /// The platform does not list it: nobody looks for a while; where a page that can't be read may hold it, not before that page
    /// is tried again.
    pub(super) fn lose(&mut self, id: PoolLinkId, now: Timestamp) {
        let again = self.hidden_by(id, now).and_then(|page| self.aside.pages.until(&page));
        let Some(link) = self.links.get_mut(&id) else { return };
        if again.is_none() {
            tracing::debug!(link = %id, "the platform does not list a link it has made; until it does nobody gets it again");
            let (count, since) = self.lost.unwrap_or((0, now));
            self.lost = Some((count.saturating_add(1), since));
        }
        link.lost_until = Some(again.unwrap_or(now.plus(LOST)));
    }

    /// How many links were lost since this last said so, once all of a round are known or a minute has passed: many are deleted at
    /// once, and are one line in the log.
    pub(super) fn lost_to_tell(&mut self, now: Timestamp, is_midway: bool) -> Option<usize> {
        let (count, since) = self.lost?;
        let waits = is_midway && !now.is_past(since, TELL) && !now.is_set_back_since(since);
        if waits {
            return None;
        }
        self.lost = None;
        Some(count)
    }

    fn plan_all(&mut self, looks: &Looks) {
        let mut by_page: BTreeMap<Page, Vec<Due>> = BTreeMap::new();
        self.unplaced.clear();
        for (id, link) in &self.links {
            let Some(due) = self.wish(*id, link, looks) else { continue };
            match self.find_around(*id, |_| false) {
                Whereabouts::On(page) => by_page.entry((id.kind, page)).or_default().push(due),
                Whereabouts::Unknown(_) | Whereabouts::Missing => drop(self.unplaced.insert(*id, due)),
            }
        }
        let due = |dues: Vec<Due>| page_due(dues.into_iter());
        self.plan = by_page.into_iter().filter_map(|(page, dues)| Some((page, due(dues)?))).collect();
        let plan = &self.plan;
        self.not_before.retain(|page, _| plan.contains_key(page));
    }

    /// A page was read and held these links: it is planned anew, not before `again`. Links that should have been on it
    /// are not sought for a while.
    pub(super) fn planned(
        &mut self,
        page: Page,
        held: impl Iterator<Item = PoolLinkId>,
        now: Timestamp,
        again: Timestamp,
        looks: &Looks,
    ) {
        let held: BTreeSet<PoolLinkId> = held.collect();
        if let (Some(first), Some(last)) = (held.first(), held.last()) {
            for (id, link) in self.links.range_mut(first..=last) {
                if held.contains(id) {
                    link.lost_until = None;
                } else if link.lost_until.is_none_or(|until| until <= now) {
                    tracing::debug!(link = %id, "a link is not where its neighbours are");
                    link.lost_until = Some(now.plus(LOST));
                }
            }
        }
        self.gone.retain(|id, _| !held.contains(id));
        self.unplaced.retain(|id, _| !held.contains(id));
        let wishes = held.iter().filter_map(|id| self.wish(*id, self.links.get(id)?, looks));
        match page_due(wishes.collect::<Vec<_>>().into_iter()) {
            Some(at) => drop(self.plan.insert(page, at)),
            None => drop(self.plan.remove(&page)),
        }
        self.not_before.insert(page, again);
    }

    /// The page that is due longest.
    pub(super) fn due_page(&self, now: Timestamp) -> Option<Page> {
        self.due_pages(now).min_by_key(|(_, at)| *at).map(|(page, _)| page)
    }

    fn due_pages(&self, now: Timestamp) -> impl Iterator<Item = (Page, Timestamp)> {
        let ready = |(page, at): (&Page, &Timestamp)| (*page, self.ready_at(page, *at));
        self.plan.iter().map(ready).filter(move |(_, at)| *at <= now)
    }

    /// When a page that is due at a time may be read. One that was set aside is due since its wait has ended, so that it goes before
    /// no page that was due meanwhile.
    fn ready_at(&self, page: &Page, due: Timestamp) -> Timestamp {
        due.max(self.not_before.get(page).copied().unwrap_or(due))
            .max(self.aside.pages.until(page).unwrap_or(due))
    }

    /// The time of the next look, for tests that leap.
    #[cfg(test)]
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let planned = self.plan.iter().map(|(page, at)| self.ready_at(page, *at));
        planned.chain(self.unplaced.values().map(|due| due.at)).min()
    }

    /// A link that is due and whose page must be found first.
    pub(super) fn due_unplaced(&self, now: Timestamp) -> Option<PoolLinkId> {
        let due = self.unplaced.iter().filter(|(_, due)| due.at <= now);
        due.min_by_key(|(_, due)| due.at).map(|(id, _)| *id)
    }

    /// A link that the platform has deleted and whose subscribers are due. `passed` is how far attribution has come.
    pub(super) fn due_gone(&self, now: Timestamp, passed: Timestamp, looks: &Looks) -> Option<PoolLinkId> {
        let is_due = |(id, gone): &(&PoolLinkId, &Gone)| {
            let last = || looks.last_of_deleted(&self.links.get(id)?.facts);
            let is_wanted = last().is_some_and(|at| !gone.is_read || at <= passed);
            is_wanted && !self.aside.links.has(id, now)
        };
        self.gone.iter().filter(is_due).map(|(id, _)| *id).min()
    }

    /// The page behind that of the newest hand-out, when that one is full.
    pub(super) fn page_ahead(&self, kind: LinkKind, now: Timestamp) -> Option<u32> {
        let given = |(id, link): (&PoolLinkId, &Watched)| Some((link.facts.given?.at, *id));
        let (_, newest) = self.links.iter().filter(|(id, _)| id.kind == kind).filter_map(given).max()?;
        let Whereabouts::On(page) = self.find(newest, now) else { return None };
        self.places.get(&kind).filter(|places| places.is_full(page)).map(|_| page.saturating_add(1))
    }

    /// A page that no link asks for and that can be read.
    pub(super) fn next_beside(&mut self, now: Timestamp) -> Option<Page> {
        loop {
            let page = self.beside.pop_first()?;
            if !self.aside.pages.has(&page, now) {
                return Some(page);
            }
        }
    }

    /// Takes it out of those to be found until the pool is read again.
    pub(super) fn skip_unplaced(&mut self, id: PoolLinkId) {
        self.unplaced.remove(&id);
    }

    /// Pages due now.
    pub(super) fn due_count(&self, now: Timestamp) -> usize {
        let unplaced = self.unplaced.values().filter(|due| due.at <= now).count();
        self.due_pages(now).count() + usize::from(unplaced > 0)
    }

    /// Links on whose list somebody may turn up who subscribed in time, the newest hand-out first.
    pub(super) fn newest_first(&self, now: Timestamp) -> Vec<PoolLinkId> {
        let open = |(id, link): (&PoolLinkId, &Watched)| {
            let ends = |given: &Given| given.last_hit_at.plus(given.window).plus(LATE);
            let given = link.facts.given.filter(|given| now < ends(given))?;
            let is_lost = link.lost_until.is_some_and(|until| now < until) || self.gone.contains_key(id);
            (!is_lost).then_some((given.last_hit_at, *id))
        };
        let mut links: Vec<_> = self.links.iter().filter_map(open).collect();
        links.sort_unstable_by(|a, b| b.cmp(a));
        links.into_iter().map(|(_, id)| id).collect()
    }

    /// The next look at a link. One that was set aside, and one whose list is late, have subscribers who are not known yet: they
    /// wait for no schedule.
    fn wish(&self, id: PoolLinkId, link: &Watched, looks: &Looks) -> Option<Due> {
        // No page shows it.
        if self.gone.contains_key(&id) {
            return None;
        }
        let again = self.aside.links.until(&id).max(self.late.until(&id));
        let due = again.map(|at| Due { at, latest: at }).or_else(|| looks.next(id.kind, &link.facts))?;
        let lost = link.lost_until.unwrap_or(due.at);
        Some(Due { at: due.at.max(lost), latest: due.latest.max(lost) })
    }
}
