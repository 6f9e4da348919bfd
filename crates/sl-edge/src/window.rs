//! The visitor window: the same visitor, Smart Link and `ecid` within `edge.visitor_window` is the same click with the
//! same pool link (promise 3).
//!
//! One for the process, because a repeat may land on another thread; in shards by visitor, so that threads rarely meet. A
//! new click is minted, given a link and handed to the journal under its visitor's lock: of two taps at once the second
//! finds the first, and its record follows in the journal.
//!
//! It holds `edge.window_entries` visitors; past that the oldest leave first, counted (decisions 6). After a start it is
//! rebuilt from the journal before the edge listens. Full, it takes about 300 bytes per visitor: a record shared by two
//! keys (fingerprint and cookie), and their rows in the order of age.

use std::{
    fmt,
    hash::{BuildHasher, Hasher as _, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use sl_core::{
    click::{Rung, VisitorId},
    ids::{ClickId, SmartLinkId},
    time::Timestamp,
    visitor::Target,
};

mod index;
mod kept;
mod rebuild;
mod remembered;
mod shard;
#[cfg(test)]
mod tests;

pub use kept::Kept;
pub use rebuild::Rebuild;
pub(crate) use remembered::{Record, Remembered};
use shard::Shard;

/// The keys by which a visitor is recognised: cookie and fingerprints.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// Cookie the browser returned.
    pub(crate) came_with: Option<VisitorId>,
    /// Fingerprint under the day's salt.
    pub(crate) daily: Sought,
    /// Fingerprint under yesterday's salt, while a click of yesterday may still count.
    pub(crate) yesterday: Option<VisitorId>,
    /// The cookie that goes along with the answer.
    pub(crate) given: Option<Sought>,
}

/// One of a visitor's keys, with its place for one target.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sought {
    pub(crate) visitor: VisitorId,
    key: u64,
}

/// How a hit met the window.
pub(crate) enum Meeting<R> {
    /// The visitor clicked before.
    Again(Arc<Remembered>),
    /// It didn't: what the caller made of it, and the click that is remembered, unless it was refused.
    New(R, Option<Arc<Remembered>>),
}

/// The window of this process. Clones share it.
#[derive(Clone)]
pub struct Window(Arc<Inner>);

struct Inner {
    span: Duration,
    /// Keys per shard.
    bound: usize,
    shards: Box<[Mutex<Shard>]>,
    /// Locks of visitors by cookie, taken before any shard's.
    turns: [Mutex<()>; TURNS],
    hasher: RandomState,
    evicted: AtomicU64,
}

/// Fingerprint and cookie.
const KEYS_PER_VISITOR: usize = 2;
/// 64 locks: with 32 threads, two of them want the same one about half the time only when all are inside at once.
const MOST_SHARDS: usize = 64;
/// Locks of visitors by cookie: as many as shards.
const TURNS: usize = 64;
/// A small window stays in few shards, so that "oldest first" means the oldest.
const LEAST_KEYS_PER_SHARD: usize = 8192;

impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Window({} keys)", self.keys())
    }
}

impl Window {
    /// Remembers clicks for `span` (`edge.visitor_window`, at most 24 h), at most `entries` visitors
    /// (`edge.window_entries`).
    #[must_use]
    pub fn new(span: Duration, entries: usize) -> Self {
        let keys = entries.max(1).saturating_mul(KEYS_PER_VISITOR);
        let shards = (keys / LEAST_KEYS_PER_SHARD).clamp(1, MOST_SHARDS).next_power_of_two();
        Self(Arc::new(Inner {
            span,
            bound: (keys / shards).max(1),
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            turns: [const { Mutex::new(()) }; TURNS],
            hasher: RandomState::new(),
            evicted: AtomicU64::new(0),
        }))
    }

    /// How long a click is remembered.
    #[must_use]
    pub fn span(&self) -> Duration {
        self.0.span
    }

    /// Keys held, up to two per visitor.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.0.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Keys that left before their time because the window was full.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.0.evicted.load(Ordering::Relaxed)
    }

    /// Says where a visitor's click of this target would be, and has that fetched from far away memory while the caller does what
    /// else there is to do before [`Self::meet`].
    pub(crate) fn seek(&self, visitor: VisitorId, target: Target) -> Sought {
        let key = self.key(visitor, target);
        // Nobody waits only to have something fetched.
        if let Some(shard) = self.shard(key).try_lock() {
            shard.prefetch(key);
        }
        Sought { visitor, key }
    }

    /// Finds the visitor's click, or has `new` make one under the visitor's lock: what else it makes, and what is to be
    /// remembered.
    pub(crate) fn meet<R>(
        &self,
        seen: &Seen,
        target: Target,
        now: Timestamp,
        new: impl FnOnce() -> (R, Option<Remembered>),
    ) -> Meeting<R> {
        // The same cookie from two networks at once: the second finds what the first made.
        let _turn = seen.came_with.map(|cookie| self.turn(cookie).lock());
        for visitor in [seen.came_with, seen.yesterday].into_iter().flatten() {
            if let Some(found) = self.find(visitor, target, now).filter(|found| same(seen, found)) {
                self.put_if_absent(seen.daily.visitor, &found, now);
                return Meeting::Again(found);
            }
        }
        let Sought { visitor, key } = seen.daily;
        let (made, entry) = {
            let mut shard = self.shard(key).lock();
            let found = shard.get(key, visitor, target, now, self.0.span);
            if let Some(found) = found.filter(|found| same(seen, found)) {
                return Meeting::Again(Arc::clone(found));
            }
            // Who looks the same and has no cookie stays the one that is known by this; this one is known by a cookie.
            let is_taken = found.is_some();
            let (made, click) = new();
            let entry = click.map(|click| shard.shared(click));
            if let Some(entry) = entry.as_ref().filter(|_| !is_taken) {
                shard.put(key, visitor, entry, &self.0, now);
            }
            (made, entry)
        };
        if let (Some(entry), Some(Sought { visitor, key })) = (&entry, seen.given) {
            self.shard(key).lock().put(key, visitor, entry, &self.0, now);
        }
        Meeting::New(made, entry)
    }

    /// One visit of a made-up visitor, for benches: `true` when it was known.
    pub fn probe(&self, visitor: u128, now: Timestamp) -> bool {
        let target = Target::new(SmartLinkId::from_bytes([1; 16]), None);
        let (daily, given) = (VisitorId(visitor), VisitorId(!visitor));
        let seen = Seen {
            came_with: None,
            daily: self.seek(daily, target),
            yesterday: None,
            given: Some(self.seek(given, target)),
        };
        let meeting = self.meet(&seen, target, now, || {
            let entry = Remembered {
                click: ClickId::from_bytes(visitor.to_be_bytes()),
                at: now,
                target,
                daily,
                given: Some(given),
                rung: Rung::Profile,
                pool_link: None,
                own: None,
                record: Record::kept(),
            };
            ((), Some(entry))
        });
        matches!(meeting, Meeting::Again(_))
    }

    /// Forgets a click that the journal lost: the visitor's next tap is a new one, by whatever key it was known meanwhile.
    pub(crate) fn withdraw(&self, entry: &Arc<Remembered>) {
        entry.lost();
        for visitor in [Some(entry.daily), entry.given].into_iter().flatten() {
            let key = self.key(visitor, entry.target);
            self.shard(key).lock().forget(key, entry);
        }
    }

    fn find(&self, visitor: VisitorId, target: Target, now: Timestamp) -> Option<Arc<Remembered>> {
        let key = self.key(visitor, target);
        self.shard(key).lock().get(key, visitor, target, now, self.0.span).cloned()
    }

    /// Another way to find a click: the visitor moved to another network, or midnight changed the salt.
    fn put_if_absent(&self, visitor: VisitorId, entry: &Arc<Remembered>, now: Timestamp) {
        let key = self.key(visitor, entry.target);
        let mut shard = self.shard(key).lock();
        if shard.get(key, visitor, entry.target, now, self.0.span).is_none() {
            shard.put(key, visitor, entry, &self.0, now);
        }
    }

    #[expect(clippy::indexing_slicing, reason = "a remainder")]
    fn turn(&self, cookie: VisitorId) -> &Mutex<()> {
        &self.0.turns[(cookie.0 % TURNS as u128) as usize]
    }

    /// Of all bytes at once: a hasher that is fed in pieces takes longer.
    fn key(&self, visitor: VisitorId, target: Target) -> u64 {
        let mut bytes = [0; 40];
        let (whose, what) = bytes.split_at_mut(16);
        whose.copy_from_slice(&visitor.0.to_ne_bytes());
        let (link, ecid) = what.split_at_mut(16);
        link.copy_from_slice(&target.link.to_bytes());
        ecid.copy_from_slice(&target.ecid.to_ne_bytes());
        let mut hasher = self.0.hasher.build_hasher();
        hasher.write(&bytes);
        hasher.finish()
    }

    #[expect(clippy::indexing_slicing, reason = "the number of shards is a power of two, at least 1")]
    fn shard(&self, key: u64) -> &Mutex<Shard> {
        &self.0.shards[self.shard_of(key)]
    }

    fn shard_of(&self, key: u64) -> usize {
        // The low bits choose the bucket inside the map.
        let high = usize::try_from(key >> 48).unwrap_or(0);
        high & (self.0.shards.len() - 1)
    }
}

/// A cookie tells visitors apart that look the same: behind one address, with the same phone.
fn same(seen: &Seen, found: &Remembered) -> bool {
    match (seen.came_with, found.given) {
        (Some(came_with), Some(given)) => came_with == given,
        _ => true,
    }
}
