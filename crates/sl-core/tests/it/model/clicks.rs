//! Clicks and repeats.

use sl_core::{
    click::{Class, Click, Repeat, Rung, VisitorKeys},
    ids::{ClickId, FanId, PoolLinkId},
    time::Timestamp,
};

use super::{Account, HOUR, Hit, Row, Touch, ecid, second};

/// The cookie that came, else the one that was given.
pub(super) fn cookie(keys: &VisitorKeys) -> Option<u128> {
    keys.came_with.or(keys.given).map(|cookie| cookie.0)
}

fn same_visitor(one: &VisitorKeys, other: &VisitorKeys) -> bool {
    match (cookie(one), cookie(other)) {
        (Some(one), Some(other)) => one == other,
        (None, None) => one.lasting == other.lasting,
        _ => false,
    }
}

/// By fingerprint, unless this one comes with another cookie than the earlier one has or was given.
fn may_be_same(earlier: &VisitorKeys, this: &VisitorKeys) -> bool {
    let came_with = this.came_with.map(|cookie| cookie.0);
    let apart = matches!((cookie(earlier), came_with), (Some(one), Some(other)) if one != other);
    earlier.lasting.is_some() && earlier.lasting == this.lasting && !apart
}

pub(super) fn own_link(click: &Click) -> Option<PoolLinkId> {
    click.pool_link.filter(|_| matches!(click.rung, Rung::Fresh | Rung::Recycled))
}

impl Account {
    pub(super) fn click(&mut self, click: &Click) {
        if click.class != Class::Person {
            self.bots.push(click.clone());
            return;
        }
        let row = self.rows.len();
        let original = self.original(click);
        self.rows.push(Row { click: click.clone(), original, gross: 1 });
        let mut hits = vec![Hit { row, at: click.at.0, keys: click.visitor }];
        let early = std::mem::take(&mut self.early);
        let (mut mine, others): (Vec<_>, Vec<_>) =
            early.into_iter().partition(|repeat| repeat.click == click.id);
        self.early = others;
        mine.sort_by_key(|repeat| repeat.at);
        for repeat in mine {
            self.rows[row].gross += 1;
            hits.push(Hit { row, at: repeat.at.0, keys: repeat.visitor });
        }
        self.hits.extend(&hits);
        if original.is_none() {
            self.tell_click(click);
        }
        for hit in hits {
            self.moves(hit);
        }
        if let Some(link) = own_link(click) {
            self.retry(link);
        }
    }

    /// The row this one should have been a repeat of (decisions 3): the later in the stream is the duplicate.
    fn original(&self, click: &Click) -> Option<usize> {
        let near = |row: &&usize| {
            let other = &self.rows[**row];
            let apart = (other.click.at.0 - click.at.0).abs();
            let same = other.click.link == click.link && ecid(&other.click) == ecid(click);
            same && apart < 6 * HOUR
        };
        let all: Vec<usize> = (0..self.rows.len()).collect();
        let near: Vec<usize> = all.iter().filter(near).copied().collect();
        let of = |row: &usize| &self.rows[*row].click;
        let hit = |row: usize| self.hits.iter().filter(move |hit| hit.row == row);
        let exact = near.iter().filter(|row| hit(**row).any(|hit| same_visitor(&hit.keys, &click.visitor)));
        if let Some(first) = exact.min_by_key(|row| of(row).at) {
            return Some(self.rows[*first].original.unwrap_or(*first));
        }
        let mut others = near.iter().filter(|row| self.rows[**row].original.is_none());
        others.find(|row| may_be_same(&of(row).visitor, &click.visitor)).copied()
    }

    pub(super) fn repeat(&mut self, repeat: &Repeat) {
        let Some(row) = self.rows.iter().position(|row| row.click.id == repeat.click) else {
            self.early.push(repeat.clone());
            return;
        };
        self.rows[row].gross += 1;
        let hit = Hit { row, at: repeat.at.0, keys: repeat.visitor };
        self.hits.push(hit);
        self.moves(hit);
        if let Some(link) = own_link(&self.rows[row].click) {
            self.retry(link);
        }
    }

    /// A hit moves the fan its visitor is known as (decisions 25, 27). Duplicates move nobody.
    fn moves(&mut self, hit: Hit) {
        if self.rows[hit.row].original.is_some() {
            return;
        }
        let known = self.known.iter().rfind(|(visitor, _)| Some(*visitor) == cookie(&hit.keys));
        let fan = match known {
            Some((_, fan)) => fan.clone(),
            None => {
                let Some(fan) = self.fan_by_fingerprint(&hit.keys) else { return };
                if let Some(cookie) = cookie(&hit.keys) {
                    self.known.push((cookie, fan.clone()));
                }
                fan
            }
        };
        self.touch(&fan, hit, false);
    }

    /// A cookieless hit is a fan's while its fingerprint belongs to no second visitor or fan of the creator.
    fn fan_by_fingerprint(&self, keys: &VisitorKeys) -> Option<FanId> {
        let print = keys.lasting.filter(|_| keys.came_with.is_none())?;
        let mut visitors = Vec::new();
        for hit in self.hits.iter().filter(|hit| hit.keys.lasting == Some(print)) {
            // A cookieless hit may be anybody's: only the first one names a visitor.
            let named = hit.keys.came_with.or(hit.keys.given.filter(|_| visitors.is_empty()));
            visitors.extend(named.filter(|named| !visitors.contains(named)));
        }
        let mut fans: Vec<&FanId> = Vec::new();
        for subscription in &self.subscriptions {
            let holder = subscription.holder.map(|row| &self.rows[row].click.visitor);
            if holder.is_some_and(|keys| keys.lasting == Some(print)) && !fans.contains(&&subscription.fan) {
                fans.push(&subscription.fan);
            }
        }
        match fans.as_slice() {
            [fan] if visitors.len() <= 1 => Some((*fan).clone()),
            _ => None,
        }
    }

    /// Row that gets the credit of a hit.
    pub(super) fn credited(&self, hit: Hit) -> &Click {
        let row = &self.rows[hit.row];
        row.original.map_or(&row.click, |original| &self.rows[original].click)
    }

    pub(super) fn touch(&mut self, fan: &FanId, hit: Hit, subscription: bool) {
        self.touch_from(fan, hit, hit.at, subscription);
    }

    /// The same, in force from another time.
    pub(super) fn touch_from(&mut self, fan: &FanId, hit: Hit, at: i64, subscription: bool) {
        let click = self.credited(hit);
        let touch = Touch {
            fan: fan.clone(),
            at,
            click: Some(click.id),
            link: click.link,
            ecid: ecid(click),
            subscription,
        };
        self.touches.push(touch);
    }

    /// Rows that held a pool link, by time.
    pub(super) fn holders(&self, link: PoolLinkId) -> Vec<usize> {
        let mut rows: Vec<usize> =
            (0..self.rows.len()).filter(|row| own_link(&self.rows[*row].click) == Some(link)).collect();
        rows.sort_by_key(|row| self.rows[*row].click.at);
        rows
    }

    /// Who held it in the second of `at`.
    pub(super) fn holder(&self, link: PoolLinkId, at: i64) -> Option<usize> {
        let mut holders = self.holders(link);
        holders.retain(|row| second(self.rows[*row].click.at.0) <= second(at));
        holders.last().copied()
    }

    /// Hits of the row itself and, by cookie, of its visitor anywhere at this creator.
    pub(super) fn hits_of_holder(&self, holder: usize) -> Vec<Hit> {
        let own = cookie(&self.rows[holder].click.visitor);
        let is = |hit: &&Hit| hit.row == holder || (own.is_some() && cookie(&hit.keys) == own);
        self.hits.iter().filter(is).copied().collect()
    }
}

impl Account {
    /// Pool links with their newest holder: its row, its click's time, and the last hit on it.
    pub(crate) fn given(&self) -> Vec<(PoolLinkId, ClickId, Timestamp, Timestamp)> {
        let mut links: Vec<PoolLinkId> = self.rows.iter().filter_map(|row| own_link(&row.click)).collect();
        links.sort_unstable();
        links.dedup();
        let newest = links.into_iter().filter_map(|link| Some((link, *self.holders(link).last()?)));
        let given = newest.map(|(link, row)| {
            let hits = self.hits.iter().filter(|hit| hit.row == row).map(|hit| hit.at);
            let click = &self.rows[row].click;
            (link, click.id, click.at, Timestamp(hits.max().unwrap_or(click.at.0)))
        });
        given.collect()
    }
}
