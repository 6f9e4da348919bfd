//! Links that the platform has ended are taken out of their stock. Every page that is read says which these are; pages are also
//! read for that alone: one ahead of those that visitors get links of, which costs a hundredth of a request for each click, and
//! the neighbours of a page with ended links on it, because whoever ends links ends many.
//!
//! The overflow link of a Smart Link is replaced by the keeper of the same process.
//!
//! A link that a list lacks is left alone here: nothing is certain about it before the platform was asked (`missing`).

use std::time::Duration;

use sl_core::{
    ended::{LinkEnd, retires},
    ids::{LinkKind, PoolLinkId},
    matching::LATE,
    pool::StockKey,
    time::Timestamp,
};
use sl_store::pool::PoolLinkRef;

use super::{
    account::AccountMatcher,
    look::LookError,
    watch::{Page, Shared},
};
use crate::platform::LinkSeen;

/// A page that was read within that time is not read again because of its neighbour.
pub(super) const FRESH: Duration = Duration::from_secs(60);
/// Ended and deleted links that are remembered as dealt with, 24 bytes each; beyond that the pool is asked about them once more.
const SETTLED: usize = 100_000;

/// What has become of links at the platform.
#[derive(Debug, Clone, Copy)]
pub(super) enum Why {
    Ended,
    Deleted,
}

/// A link that leads nowhere any more.
pub(super) struct Over {
    pub(super) id: PoolLinkId,
    pub(super) end: LinkEnd,
    /// When it was made, where that is shown.
    pub(super) created_at: Option<Timestamp>,
}

impl AccountMatcher {
    /// Retires what is over of the links on a page.
    pub(super) async fn retire_ended(
        &mut self,
        page: Page,
        rows: &[LinkSeen],
        now: Timestamp,
    ) -> Result<(), LookError> {
        let is_new = |row: &&LinkSeen| row.end.is_over(now) && !self.settled.contains(&row.id);
        let over = |row: &LinkSeen| Over { id: row.id, end: row.end, created_at: row.created_at };
        let over: Vec<Over> = rows.iter().filter(is_new).map(over).collect();
        self.take_out(page, over, Why::Ended, now).await
    }

    /// Takes links of a page, or missing from it, out of their stocks, as far as anybody might still get them.
    pub(super) async fn take_out(
        &mut self,
        page: Page,
        over: Vec<Over>,
        why: Why,
        now: Timestamp,
    ) -> Result<(), LookError> {
        let (mut retired, mut stocks, mut settled) = (Vec::new(), Vec::new(), Vec::new());
        for Over { id, end, created_at } in over {
            if let Some(shared) = self.watch.shared.get(&id) {
                self.replace(id, shared, why);
                settled.push(id);
                continue;
            }
            let link = PoolLinkRef { account: self.account.clone(), id };
            match self.store.pool.get(link.clone()).await? {
                Some(entry) if retires(id.kind, &end, &entry.facts, now) => {
                    retired.push(link);
                    stocks.push(entry.link.stock);
                }
                // None of ours, unless it is so new that it is not written down yet, or it is not known yet who shares which link.
                None if self.shared_as_of.is_none() || created_at.is_none_or(|at| !now.is_past(at, LATE)) => {
                    continue;
                }
                Some(_) | None => {}
            }
            settled.push(id);
        }
        if !retired.is_empty() {
            self.store.pool.retire(retired, now).await?;
            self.tell_retired(page, &stocks, why);
            self.look_around(page, now);
        }
        self.settle(settled);
        Ok(())
    }

    fn tell_retired(&self, (kind, page): Page, stocks: &[StockKey], why: Why) {
        for stock in stocks {
            let labels = [("account", stock.account.to_string()), ("type", stock.type_label())];
            metrics::counter!("smartlinks_pool_links_ended_total", &labels).increment(1);
        }
        let (account, links, what) = (&self.account, stocks.len(), why.word());
        tracing::warn!(%account, ?kind, page, links, "pool links were {what} at the creator platform; nobody gets them any more");
    }

    /// The overflow link of a Smart Link: the keeper makes another one.
    fn replace(&self, link: PoolLinkId, shared: &Shared, why: Why) {
        // That of a deleted Smart Link, or one that was replaced, is followed for a time only.
        if shared.until.is_none() {
            let (account, smart_link, what) = (&self.account, shared.smart_link, why.word());
            tracing::warn!(%account, %smart_link, %link, "the overflow link of a Smart Link was {what} at the creator platform; another one is made");
            metrics::counter!("smartlinks_pool_links_ended_total", "account" => account.to_string(), "type" => "overflow")
                .increment(1);
            self.ended_overflows.tell(smart_link, link);
        }
    }

    fn settle(&mut self, links: Vec<PoolLinkId>) {
        if self.settled.len() >= SETTLED {
            self.settled.clear();
        }
        self.settled.extend(links);
    }

    /// Pages beside one with ended links on it.
    fn look_around(&mut self, (kind, page): Page, now: Timestamp) {
        let above = self.watch.places(kind).is_full(page).then(|| page.saturating_add(1));
        for beside in page.checked_sub(1).into_iter().chain(above) {
            let read_at = self.read_at.get(&(kind, beside));
            if read_at.is_none_or(|at| now.is_past(*at, FRESH)) {
                self.watch.beside.insert((kind, beside));
            }
        }
    }

    /// The page behind the newest hand-out, unless it was read lately: who comes next gets links of it.
    pub(super) fn look_ahead(&mut self, now: Timestamp) {
        for kind in [LinkKind::TrackingLink, LinkKind::FreeTrial] {
            let ahead = self.watch.page_ahead(kind, now).map(|page| (kind, page));
            self.watch.beside.extend(ahead.filter(|page| !self.read_at.contains_key(page)));
        }
    }
}

impl Why {
    /// As the log says it.
    fn word(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Deleted => "deleted",
        }
    }
}
