//! Clicks and repeats: rows, duplicates, holders, moves (contract B.3, decisions 2, 3, 25, 46).

use super::{
    Decider, derive,
    key::{Key, Who},
    record::{Hit, Holder, HolderRecord, Later, PrintRecord, Recent, VisitorRecord},
};
use crate::{
    click::{Class, Click, ClickRow, Repeat, VisitorId, VisitorKeys},
    ids::{ClickId, PoolLinkId},
    pool::Given,
    step::ClickMark,
    time::Timestamp,
};
use std::{sync::Arc, time::Duration};

/// Hits kept per visitor (decisions 52).
const HITS: usize = 64;
/// Consecutive repeats of one click closer than this are merged (decisions 52).
const MERGE: Duration = Duration::from_secs(60);
/// Holds kept per pool link: the newest. A recycled link comes back after window and quarantine, so older ones matter to
/// nobody.
const HOLDERS: usize = 4;
/// Repeats that may wait for their click, per visitor or pool link.
const EARLY: usize = 64;
/// Rows looked at for duplicates per fingerprint.
const RECENT: usize = 8;

/// What was found with the pool link of a click.
struct AtLink {
    /// Repeats that came before their click, by time.
    early: Vec<Repeat>,
    /// Subscribers wait for a click that held the link.
    pending: bool,
}

impl Decider<'_> {
    pub(super) fn click(&mut self, click: &Arc<Click>) {
        if click.class != Class::Person {
            self.effects.row(ClickRow { click: Arc::clone(click), gross_clicks: 1, is_duplicate: false });
            self.clicks.bot(click);
            return;
        }
        let who = Who::of(&click.visitor);
        let visitor_key = Key::Visitor(self.account.clone(), who);
        let mut visitor: VisitorRecord = self.memory.take(&visitor_key);
        let mut hit = Hit {
            row: click.id,
            original: None,
            link: click.link,
            ecid: derive::ecid(click.params.ecid.as_deref()),
            at: click.at,
            clicked: click.at,
            window: u32::try_from(click.window.as_secs()).unwrap_or(u32::MAX),
        };
        let lasting = click.visitor.lasting;
        let print = lasting.map(|lasting| self.print(lasting)).unwrap_or_default();
        hit.original = self.original(&hit, &visitor, &print, &click.visitor);
        let is_duplicate = hit.original.is_some();
        insert_hit(&mut visitor.hits, hit);
        let own = click.own_link();
        let AtLink { early, pending } = self.hold(own, &hit, who, &click.visitor, &mut visitor);
        let gross = 1 + u32::try_from(early.len()).unwrap_or(u32::MAX);
        for repeat in &early {
            let (by, hit) = (Who::of(&repeat.visitor), Hit { at: repeat.at, ..hit });
            if by == who {
                insert_hit(&mut visitor.hits, hit);
            } else {
                self.note_hit(by, hit);
            }
        }
        if own.is_none() && gross > 1 {
            set_gross(&mut visitor, click.id, gross);
        }
        // Of most visitors nobody knows a fan, which saves another look at what is at hand here.
        let is_known = !visitor.fans.is_empty() || !print.fans.is_empty();
        self.memory.keep(visitor_key, visitor);
        if let Some(lasting) = lasting {
            self.note_print(lasting, print, &click.visitor, (!is_duplicate).then_some(&hit), own);
        }
        for repeat in &early {
            self.see_print(&repeat.visitor, None, None);
        }
        self.effects.row(ClickRow { click: Arc::clone(click), gross_clicks: gross, is_duplicate });
        self.clicks.person(click, is_duplicate);
        if !is_duplicate {
            self.tell_click(click.id, click.link, click.at);
        }
        if is_known {
            self.moves(&hit, &click.visitor);
        }
        for repeat in &early {
            self.moves(&Hit { at: repeat.at, ..hit }, &repeat.visitor);
        }
        if let Some(link) = own.filter(|_| pending) {
            self.retry_pending(link);
        }
    }

    /// Notes who holds the pool link now.
    fn hold(
        &mut self,
        own: Option<PoolLinkId>,
        hit: &Hit,
        who: Who,
        visitor_keys: &VisitorKeys,
        visitor: &mut VisitorRecord,
    ) -> AtLink {
        let Some(link) = own else {
            let mut early = take_early(&mut visitor.early, hit.row);
            if let Some(given) = visitor_keys.given.map(Who::Cookie).filter(|given| *given != who) {
                let key = Key::Visitor(self.account.clone(), given);
                let mut other: VisitorRecord = self.memory.take(&key);
                let more = take_early(&mut other.early, hit.row);
                if !more.is_empty() {
                    self.memory.put(&key, other);
                    early.extend(more);
                    early.sort_by_key(|repeat| repeat.at);
                }
            }
            return AtLink { early, pending: false };
        };
        let key = Key::Holder(self.account.clone(), link);
        let mut record: HolderRecord = self.memory.take(&key);
        let early = take_early(&mut record.early, hit.row);
        let mut hits = vec![hit.at];
        hits.extend(early.iter().map(|repeat| repeat.at));
        hits.sort_unstable();
        let gross = 1 + u32::try_from(early.len()).unwrap_or(u32::MAX);
        let holder = Holder { click: *hit, who, print: visitor_keys.lasting, gross, hits };
        let given = given(&holder);
        let place = record.holders.partition_point(|other| other.click.at <= hit.at);
        let newest = place == record.holders.len();
        room_for_one(&mut record.holders);
        record.holders.insert(place, holder);
        if record.holders.len() > HOLDERS {
            record.holders.remove(0);
        }
        let pending = !record.pending.is_empty();
        self.memory.keep(key, record);
        if newest {
            self.effects.given(&self.account, link, given);
        }
        AtLink { early, pending }
    }

    /// The row this one should have been a repeat of (decisions 3): the later in the stream is the duplicate.
    fn original(
        &self,
        hit: &Hit,
        visitor: &VisitorRecord,
        print: &PrintRecord,
        keys: &VisitorKeys,
    ) -> Option<ClickId> {
        let window = self.rules.visitor_window;
        let near = |at: Timestamp| at.since(hit.at).max(hit.at.since(at)) < window;
        let same = |other: &&Hit| (other.link, other.ecid) == (hit.link, hit.ecid);
        let rows = visitor.hits.iter().filter(same).filter(|other| near(other.clicked));
        if let Some(other) = rows.min_by_key(|other| other.clicked) {
            return Some(other.credited());
        }
        let same = print.recent.iter().find(|other| {
            // As the edge tells them: who comes with a cookie is not who was given another.
            let told_apart = matches!((other.cookie, keys.came_with), (Some(a), Some(b)) if a != b);
            other.link == hit.link && other.ecid == hit.ecid && near(other.at) && !told_apart
        });
        same.map(|other| other.row)
    }

    pub(super) fn repeat(&mut self, repeat: &Repeat) {
        let who = Who::of(&repeat.visitor);
        let Some(base) = self.raise(repeat, who) else { return };
        let hit = Hit { at: repeat.at, ..base };
        self.note_hit(who, hit);
        self.see_print(&repeat.visitor, None, None);
        self.moves(&hit, &repeat.visitor);
        if let Some(link) = repeat.pool_link {
            self.retry_pending(link);
        }
    }

    fn note_hit(&mut self, who: Who, hit: Hit) {
        let key = Key::Visitor(self.account.clone(), who);
        let mut visitor: VisitorRecord = self.memory.take(&key);
        insert_hit(&mut visitor.hits, hit);
        self.memory.put(&key, visitor);
    }

    /// Counts the repeat on its row and returns the row's click; `None` when that is still to come.
    fn raise(&mut self, repeat: &Repeat, who: Who) -> Option<Hit> {
        if let Some(link) = repeat.pool_link {
            let key = Key::Holder(self.account.clone(), link);
            let mut record: HolderRecord = self.memory.take(&key);
            let last = record.holders.len().saturating_sub(1);
            let found =
                record.holders.iter_mut().enumerate().find(|(_, holder)| holder.click.row == repeat.click);
            let Some((index, holder)) = found else {
                push_early(&mut record.early, repeat);
                self.memory.put(&key, record);
                return None;
            };
            holder.gross += 1;
            insert_time(&mut holder.hits, repeat.at);
            let (base, gross, given) = (holder.click, holder.gross, given(holder));
            self.memory.put(&key, record);
            if index == last {
                self.effects.given(&self.account, link, given);
            }
            self.mark(&base, gross);
            return Some(base);
        }
        let given = repeat.visitor.given.map(Who::Cookie).filter(|given| *given != who);
        // The count rests with the visitor of the click; who repeated it with an older cookie only has the hit.
        for who in [given, Some(who)].into_iter().flatten() {
            let key = Key::Visitor(self.account.clone(), who);
            let mut visitor: VisitorRecord = self.memory.take(&key);
            if let Some(base) = visitor.hits.iter().find(|hit| hit.row == repeat.click).copied() {
                let known = visitor.gross.iter().find(|(row, _)| *row == repeat.click);
                let gross = known.map_or(1, |(_, gross)| *gross) + 1;
                set_gross(&mut visitor, repeat.click, gross);
                self.memory.put(&key, visitor);
                self.mark(&base, gross);
                return Some(base);
            }
        }
        // The click will be known by the cookie it gave: what the browser came with now may be an older one.
        let key = Key::Visitor(self.account.clone(), given.unwrap_or(who));
        let mut visitor: VisitorRecord = self.memory.take(&key);
        push_early(&mut visitor.early, repeat);
        self.memory.put(&key, visitor);
        None
    }

    fn mark(&mut self, base: &Hit, gross_clicks: u32) {
        self.effects.mark(ClickMark {
            click: base.row,
            link: base.link,
            at: base.clicked,
            gross_clicks,
            is_duplicate: base.original.is_some(),
        });
    }

    /// Notes a hit under its lasting fingerprint. `held` keeps a copy of that, which goes with it.
    fn see_print(&mut self, keys: &VisitorKeys, row: Option<&Hit>, held: Option<PoolLinkId>) {
        let Some(lasting) = keys.lasting else { return };
        let print = self.print(lasting);
        self.note_print(lasting, print, keys, row, held);
    }

    fn print(&mut self, lasting: VisitorId) -> PrintRecord {
        self.memory.take(&Key::Print(self.account.clone(), lasting))
    }

    /// [`Self::see_print`], where the record was read already.
    fn note_print(
        &mut self,
        lasting: VisitorId,
        mut print: PrintRecord,
        keys: &VisitorKeys,
        row: Option<&Hit>,
        held: Option<PoolLinkId>,
    ) {
        // A cookieless hit may be anybody's: only the first one names a visitor, later ones only by a cookie that came.
        let cookie = keys.came_with.or(keys.given.filter(|_| print.visitors.is_empty()));
        if let Some(cookie) = cookie
            && print.visitors.len() < 2
            && !print.visitors.contains(&cookie)
        {
            room_for_one(&mut print.visitors);
            print.visitors.push(cookie);
        }
        if let Some(hit) = row {
            let recent = Recent {
                row: hit.row,
                link: hit.link,
                ecid: hit.ecid,
                at: hit.at,
                cookie: keys.came_with.or(keys.given),
            };
            room_for_one(&mut print.recent);
            print.recent.push(recent);
            if print.recent.len() > RECENT {
                print.recent.remove(0);
            }
        }
        print.seen = print.seen.max(self.moment());
        self.memory.keep(Key::Print(self.account.clone(), lasting), print);
        let when = self.moment().plus(self.rules.erase_prints_after);
        self.forget_at(when, Later::Print(lasting, held));
    }
}

/// Most lists of a visitor have one entry for ever: a step of a thousand clicks stays close to the processor.
fn room_for_one<T>(list: &mut Vec<T>) {
    if list.is_empty() {
        list.reserve_exact(1);
    }
}

fn given(holder: &Holder) -> Given {
    Given {
        click: holder.click.row,
        at: holder.click.at,
        last_hit_at: holder.hits.last().copied().unwrap_or(holder.click.at),
        window: Duration::from_secs(u64::from(holder.click.window)),
    }
}

/// In order of time, behind those of the same time. Of three hits of one row within a minute the middle one goes.
fn insert_hit(hits: &mut Vec<Hit>, hit: Hit) {
    let place = hits.partition_point(|other| other.at <= hit.at);
    if place == hits.len()
        && let [.., before, last] = hits.as_mut_slice()
        && before.row == hit.row
        && last.row == hit.row
        && hit.at.since(before.at) < MERGE
    {
        last.at = hit.at;
        return;
    }
    room_for_one(hits);
    hits.insert(place, hit);
    if hits.len() > HITS {
        hits.remove(0);
    }
}

fn insert_time(hits: &mut Vec<Timestamp>, at: Timestamp) {
    let place = hits.partition_point(|other| *other <= at);
    if place == hits.len()
        && let [.., before, last] = hits.as_mut_slice()
        && at.since(*before) < MERGE
    {
        *last = at;
        return;
    }
    hits.insert(place, at);
    if hits.len() > HITS {
        // The click's own time stays.
        hits.remove(1);
    }
}

fn push_early(early: &mut Vec<Repeat>, repeat: &Repeat) {
    early.push(repeat.clone());
    if early.len() > EARLY {
        early.remove(0);
    }
}

fn take_early(early: &mut Vec<Repeat>, row: ClickId) -> Vec<Repeat> {
    let (mut mine, others): (Vec<_>, Vec<_>) =
        std::mem::take(early).into_iter().partition(|repeat| repeat.click == row);
    *early = others;
    mine.sort_by_key(|repeat| repeat.at);
    mine
}

fn set_gross(visitor: &mut VisitorRecord, row: ClickId, gross: u32) {
    visitor.gross.retain(|(other, _)| *other != row);
    visitor.gross.push((row, gross));
    if visitor.gross.len() > HITS {
        visitor.gross.remove(0);
    }
}

#[cfg(test)]
mod tests;
