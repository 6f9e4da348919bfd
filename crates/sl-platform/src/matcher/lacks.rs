//! Which links of ours a page of the platform's list lacks: the pool is asked about a page when its rows have changed, and once an hour.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    ops::RangeInclusive,
};

use sl_core::{
    deleted::is_suspect,
    ids::{LinkKind, PoolLinkId},
    time::Timestamp,
};

use sl_store::pool::PoolEntry;

use super::{
    account::AccountMatcher,
    look::LookError,
    missing::{Lack, Part},
    watch::Page,
};
use crate::platform::{self, LinkSeen, PAGE};

/// Links that are read of the pool at once, where a page has a hundred, and about as many that are missing from it: what is left out
/// is seen once the others are retired.
const MOST: usize = 500;

/// Which numbers a page has, and which ones lie between it and the page before.
struct Numbers {
    before: u64,
    on: RangeInclusive<u64>,
}

impl AccountMatcher {
    /// Compares a page that was read with the pool, and notes what it lacks.
    pub(super) async fn note_missing(
        &mut self,
        page: Page,
        read: &platform::Page<LinkSeen>,
        now: Timestamp,
    ) -> Result<(), LookError> {
        let Some(numbers) = self.numbers(page, read) else { return Ok(()) };
        let rows = fingerprint(&numbers, read);
        if self.missing.is_whole(page, rows, now) {
            return Ok(());
        }
        let suspects = self.suspects(page.0, &numbers, read, now).await?;
        // The platform shows so many links without their number; those may be they.
        let suspects = if suspects.len() <= read.unreadable { Vec::new() } else { suspects };
        let (on, before): (Vec<_>, Vec<_>) =
            suspects.into_iter().partition(|id| numbers.on.contains(&id.number));
        let witness = witness(page.0, &read.rows, now);
        self.missing.note(page, Part::On, Lack { suspects: on, witness, rows });
        self.missing.note(page, Part::Before, Lack { suspects: before, witness, rows });
        if !self.missing.has(page) {
            self.missing.is_now_whole(page, rows, now);
        }
        Ok(())
    }

    /// Which numbers the page has; `None` when it does not say.
    fn numbers(&mut self, (kind, page): Page, read: &platform::Page<LinkSeen>) -> Option<Numbers> {
        let last_before = page.checked_sub(1).map(|before| self.watch.places(kind).last_on(before));
        let shown = read.rows.iter().map(|row| row.id.number);
        let is_last = !read.has_more && read.rows.len() + read.unreadable < PAGE as usize;
        let last = if is_last { Some(u64::MAX) } else { shown.clone().max() };
        let first = match (last_before, shown.min()) {
            // Nothing is before the first page, and nothing but missing links is behind the last one.
            (None, _) => 0,
            (Some(before), None) if read.unreadable == 0 => before?.saturating_add(1),
            (Some(_), first) => first?,
        };
        let before = last_before.flatten().map_or(first, |last| last.saturating_add(1).min(first));
        Some(Numbers { before, on: first..=last? })
    }

    /// Links of ours that should be there, and are not.
    async fn suspects(
        &self,
        kind: LinkKind,
        numbers: &Numbers,
        read: &platform::Page<LinkSeen>,
        now: Timestamp,
    ) -> Result<Vec<PoolLinkId>, LookError> {
        let shown: HashSet<PoolLinkId> = read.rows.iter().map(|row| row.id).collect();
        let all = numbers.before..=*numbers.on.end();
        let shared = self.watch.shared.keys().copied();
        let shared = shared.filter(|id| id.kind == kind && all.contains(&id.number));
        let mut suspects: Vec<PoolLinkId> = shared.filter(|id| !shown.contains(id)).collect();
        let mut from = Some(numbers.before);
        while let Some(first) = from.filter(|first| first <= all.end() && suspects.len() < MOST) {
            let entries = self.store.pool.between(&self.account, kind, first..=*all.end(), MOST).await?;
            let last = entries.last().map(|entry| entry.link.id.number);
            from = last.filter(|_| entries.len() >= MOST).and_then(|last| last.checked_add(1));
            let is_missing = |entry: &PoolEntry| {
                let id = entry.link.id;
                let is_followed = self.watch.links.contains_key(&id) && !self.watch.gone.contains_key(&id);
                !shown.contains(&id)
                    && is_suspect(kind, &entry.facts, entry.link.created_at, is_followed, now)
            };
            suspects.extend(entries.into_iter().filter(is_missing).map(|entry| entry.link.id));
        }
        suspects.sort_unstable();
        Ok(suspects)
    }
}

/// A link that is surely there as long as the platform answers for the account: the list shows it, and nobody has ended it. Lists of
/// tracking links show ended and deleted ones. Another one each time, as far as there are others.
fn witness(kind: LinkKind, rows: &[LinkSeen], now: Timestamp) -> Option<PoolLinkId> {
    let standing: Vec<PoolLinkId> = rows
        .iter()
        .filter(|row| kind == LinkKind::FreeTrial || !row.end.is_over(now))
        .map(|row| row.id)
        .collect();
    let turn = usize::try_from(now.seconds()).unwrap_or(0).checked_rem(standing.len())?;
    standing.get(turn).copied()
}

/// The same for the same rows.
fn fingerprint(numbers: &Numbers, read: &platform::Page<LinkSeen>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (numbers.before, &numbers.on, read.unreadable).hash(&mut hasher);
    read.rows.iter().for_each(|row| row.id.hash(&mut hasher));
    hasher.finish()
}
