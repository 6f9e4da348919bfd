//! Fills the window from the journal's last hours, before the edge listens.

use std::sync::Arc;

use sl_core::{
    click::{Repeat, Rung, VisitorId},
    ids::ClickId,
    time::Timestamp,
    visitor::Visit,
};

use super::{Inner, KEYS_PER_VISITOR, Kept, Record, Remembered, Shard, Window};

/// A rebuild under way: give it the journal's clicks and repeats in order, then drop it, and all of them are remembered.
pub struct Rebuild<'a> {
    window: &'a Window,
    now: Timestamp,
    /// Clicks in the order of the journal, which is about that of their ids.
    pub(super) clicks: Vec<Arc<Remembered>>,
    /// Clicks that were repeated, with the visitor; at most [`REPEATS`].
    repeats: Vec<(ClickId, VisitorId)>,
}

/// One of the keys of a click.
struct Known {
    key: u64,
    visitor: VisitorId,
    entry: Arc<Remembered>,
    /// Beside those that the click came with: what is known under it meanwhile stays.
    beside: bool,
}

/// Keys whose places are fetched together: about what a processor waits for at once.
const TOGETHER: usize = 32;
/// Repeats that wait for their clicks to be sorted: somebody may tap for ever, and 32 MiB are enough.
const REPEATS: usize = 1 << 20;

impl Window {
    /// Starts a rebuild. Records older than the window at `now` are passed over.
    #[must_use]
    pub fn rebuild(&self, now: Timestamp) -> Rebuild<'_> {
        Rebuild { window: self, now, clicks: Vec::new(), repeats: Vec::new() }
    }
}

/// What a click is known by, and whether whoever is known by that already stays (as in [`Window::meet`]).
fn own_keys(entry: &Remembered) -> impl Iterator<Item = (VisitorId, bool)> {
    [Some((entry.daily, true)), entry.given.map(|given| (given, false))].into_iter().flatten()
}

impl Rebuild<'_> {
    /// A click of the journal. Without the place that its own link leads to it can't be repeated, and the visitor's next tap
    /// is a new click. `true` when it was remembered.
    pub fn visit(&mut self, visit: &Visit) -> bool {
        if self.now.since(visit.at) >= self.window.span() {
            return false;
        }
        let Some(entry) = remembered(visit) else { return false };
        let entry = Arc::new(entry);
        for (visitor, beside) in own_keys(&entry) {
            let key = self.window.key(visitor, entry.target);
            let known = Known { key, visitor, entry: Arc::clone(&entry), beside };
            self.put(&mut self.window.shard(key).lock(), &known);
        }
        self.keep(entry);
        true
    }

    /// For repeats to come; of clicks that the window holds no more only some, for a short while.
    fn keep(&mut self, entry: Arc<Remembered>) {
        let Inner { shards, bound, .. } = &*self.window.0;
        let most = (bound * shards.len()).div_ceil(KEYS_PER_VISITOR);
        if self.clicks.len() >= 2 * most.max(1024) {
            self.apply_repeats();
            self.clicks.drain(..self.clicks.len() - most.min(self.clicks.len()));
        }
        self.clicks.push(entry);
    }

    /// Makes room for so many keys ([`Window::keys`]) of an earlier process, as far as the window holds them.
    pub fn expect(&mut self, keys: usize) {
        let Inner { shards, bound, .. } = &*self.window.0;
        // Chance puts a few more into one shard than into another.
        let share = (keys / shards.len() * 21 / 20).min(*bound);
        shards.iter().for_each(|shard| shard.lock().reserve(share));
        self.clicks.reserve(share * shards.len() / KEYS_PER_VISITOR);
    }

    /// Clicks that an earlier process kept ([`Window::kept`]), in their order; `each` hears of those that are remembered.
    pub fn kept(&mut self, clicks: &[Kept], mut each: impl FnMut(&Visit)) {
        let mut by_shard: Vec<Vec<Known>> = Vec::new();
        by_shard.resize_with(self.window.0.shards.len(), Vec::new);
        for Kept { visit, also } in clicks {
            if self.now.since(visit.at) >= self.window.span() {
                continue;
            }
            let Some(entry) = remembered(visit).map(Arc::new) else { continue };
            let all = own_keys(&entry).chain(also.iter().map(|visitor| (*visitor, true)));
            for (visitor, beside) in all {
                let key = self.window.key(visitor, entry.target);
                if let Some(shard) = by_shard.get_mut(self.window.shard_of(key)) {
                    shard.push(Known { key, visitor, entry: Arc::clone(&entry), beside });
                }
            }
            self.clicks.push(entry);
            each(visit);
        }
        for (shard, known) in self.window.0.shards.iter().zip(by_shard) {
            let mut shard = shard.lock();
            for known in known.chunks(TOGETHER) {
                shard.fetch(known.iter().map(|known| known.key));
                known.iter().for_each(|known| self.put(&mut shard, known));
            }
        }
    }

    fn put(&self, shard: &mut Shard, Known { key, visitor, entry, beside }: &Known) {
        let window = &*self.window.0;
        if !beside || shard.get(*key, *visitor, entry.target, self.now, window.span).is_none() {
            shard.put(*key, *visitor, entry, window, self.now);
        }
    }

    /// A repeat of the journal: the visitor may be known by more than its click said.
    pub fn repeat(&mut self, repeat: &Repeat) {
        self.repeats.push((repeat.click, repeat.visitor.daily));
        if self.repeats.len() >= REPEATS {
            self.apply_repeats();
        }
    }

    /// The clicks of all of them have come: a repeat follows its click.
    fn apply_repeats(&mut self) {
        if !self.repeats.is_empty() {
            self.clicks.sort_by_key(|entry| entry.click);
        }
        for (click, visitor) in self.repeats.drain(..) {
            if let Ok(found) = self.clicks.binary_search_by_key(&click, |entry| entry.click)
                && let Some(entry) = self.clicks.get(found)
            {
                self.window.put_if_absent(visitor, entry, self.now);
            }
        }
    }
}

impl Drop for Rebuild<'_> {
    /// Repeats come last, when every click can be found: what a visitor did under the same key meanwhile stays.
    fn drop(&mut self) {
        self.apply_repeats();
    }
}

impl Window {
    /// Learns whom another edge saw. What this edge knows of the visitor stays: it may have answered already. `true` when
    /// the visitor was new here.
    pub fn learn(&self, visit: &Visit, now: Timestamp) -> bool {
        if now.since(visit.at) >= self.span() {
            return false;
        }
        let Some(entry) = remembered(visit).map(Arc::new) else { return false };
        let is_new = self.find(entry.daily, entry.target, now).is_none();
        for visitor in [Some(entry.daily), entry.given].into_iter().flatten() {
            self.put_if_absent(visitor, &entry, now);
        }
        is_new
    }
}

/// What the window keeps of a click that is in a journal.
fn remembered(visit: &Visit) -> Option<Remembered> {
    let own = match visit.rung {
        Rung::Fresh | Rung::Recycled => Some(crate::links::location(visit.sent_to.as_deref()?)?),
        Rung::Overflow | Rung::Profile => None,
    };
    Some(Remembered {
        click: visit.click,
        at: visit.at,
        target: visit.target,
        daily: visit.daily,
        given: visit.given,
        rung: visit.rung,
        pool_link: visit.pool_link,
        own,
        record: Record::kept(),
    })
}
