//! One look: a page of the link list, the subscribers of the links whose counter moved, their records in the journal,
//! and only then the counters in the store (decisions 48).

use std::time::Duration;

use sl_core::time::Timestamp;
use sl_journal::LostReason;
use sl_store::{StoreError, pool::Look};

use super::{
    account::{AT_ONCE, AccountMatcher},
    counter::Seen,
    watch::Page,
};
use crate::{
    error::PlatformError,
    pacer::Priority,
    platform::{LinkPage, PAGE},
};

/// Why a look ended early. Nothing is lost: it is taken again.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookError {
    #[error(transparent)]
    Platform(#[from] PlatformError),
    #[error("the pool can't be read or written: {0}")]
    Store(#[from] StoreError),
    #[error("the journal does not take a subscriber: {0}")]
    Journal(#[from] LostReason),
}

/// Lists of one page that go unanswered one after the other, before that is the platform's trouble and no list's.
const IN_A_ROW: usize = 2;
/// A page waits no longer for an attribution that is behind: it may catch up at any time.
const LATEST: Duration = Duration::from_secs(300);

/// A page that is being looked at.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    /// The time of the reading: fans on a list are there since then at the latest.
    pub(super) clock: Timestamp,
    /// Earlier by what attribution is behind: who clicked before is known (decisions 50).
    pub(super) passed: Timestamp,
    pub(super) priority: Priority,
    /// Requests after which the lists of shared links wait: they may be long.
    pub(super) most: usize,
}

impl AccountMatcher {
    /// Reads a page and does everything that follows from it.
    pub(super) async fn look(&mut self, page: Page, priority: Priority) -> Result<(), LookError> {
        let (kind, number) = page;
        let start = self.clock.now();
        let lag = (self.lag)();
        let ask = LinkPage { kind, offset: number.saturating_mul(PAGE), newest_first: false };
        self.asked += 1;
        let at = Reading { clock: start, passed: start.minus(lag), priority, most: self.asked + AT_ONCE };
        let read = match self.platform.links(&self.account, ask, priority).await {
            Ok(read) => read,
            Err(error) => return self.page_failed(page, error, start),
        };
        self.page_read(page, &read);
        let rows = &read.rows;
        let numbers = rows.iter().map(|row| row.id.number);
        self.watch.places(kind).learn(number, numbers, rows.len() + read.unreadable);
        self.read_at.insert(page, start);
        let (mut looks, mut unsure) = (Vec::new(), 0);
        for row in rows {
            if self.watch.aside.links.has(&row.id, start) {
                continue;
            }
            let asked_at = self.clock.now();
            match self.look_at(row, at).await {
                Ok(Seen { look, is_list_read }) => {
                    // A link that cost no request says nothing about the platform.
                    unsure = if is_list_read { 0 } else { unsure };
                    self.watch.aside.links.end(&row.id);
                    looks.extend(look);
                }
                // Where several in a row go unanswered it is none of theirs.
                Err(LookError::Platform(error)) if error.may_be_about_one_list() && unsure < IN_A_ROW => {
                    unsure += usize::from(error.is_unsure());
                    self.set_aside(row.id, &error, asked_at);
                }
                Err(error) => {
                    // What was seen before it is certain.
                    self.store_looks(looks).await?;
                    return Err(error);
                }
            }
        }
        self.store_looks(looks).await?;
        self.retire_ended(page, rows, start).await?;
        self.note_missing(page, &read, start).await?;
        // A list that is late is read again soon, not at once; one that attribution is behind of, when it may be there.
        let again = start.plus(self.settings.again().max(lag.min(LATEST)));
        self.watch.planned(page, rows.iter().map(|row| row.id), start, again, &self.settings.looks);
        Ok(())
    }

    /// Writes down what somebody waits for: a moved counter, and a look that was due. Any other look is only remembered.
    pub(super) async fn store_looks(&mut self, looks: Vec<Look>) -> Result<(), LookError> {
        let schedule = &self.settings.looks;
        let watch = &self.watch;
        let matters = |look: &&Look| {
            watch.links.get(&look.link.id).is_some_and(|link| {
                let due = schedule.next(look.link.id.kind, &link.facts);
                look.subscribers > link.facts.subscribers_seen || due.is_some_and(|due| due.at <= look.at)
            })
        };
        let written: Vec<Look> = looks.iter().filter(matters).cloned().collect();
        if !written.is_empty() {
            self.store.pool.looked(written).await?;
        }
        for look in looks {
            let Some(link) = self.watch.links.get_mut(&look.link.id) else { continue };
            link.facts.last_look_at = link.facts.last_look_at.max(Some(look.at));
            link.facts.subscribers_seen = link.facts.subscribers_seen.max(look.subscribers);
            if look.subscribers > 0 {
                link.facts.used_at = link.facts.used_at.or(Some(look.at));
            }
        }
        Ok(())
    }
}
