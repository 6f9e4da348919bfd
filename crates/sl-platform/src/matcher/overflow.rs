//! The overflow links of all accounts by the catalog, read once for all of them and kept up to date change by change.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use sl_core::{
    catalog::SmartLink,
    ids::{AccountId, PoolLinkId, SmartLinkId},
    matching::LATE,
    time::Timestamp,
};
use sl_store::{Catalog, Result};

use super::watch::Shared;

/// So long after its time the last look at the link of a deleted Smart Link is made up for: nobody knows after a start whether it
/// was taken. Attribution remembers for as long who was announced.
const MADE_UP: Duration = Duration::from_secs(48 * 3600);

/// Who shares which link.
#[derive(Debug, Default)]
pub(super) struct Overflows {
    /// `None` before the first reading.
    revision: Option<u64>,
    accounts: HashMap<AccountId, HashMap<SmartLinkId, (PoolLinkId, Shared)>>,
    /// Links that another one has taken the place of: who came through them before is still to be shown.
    replaced: HashMap<AccountId, Vec<(PoolLinkId, Shared)>>,
}

// === impl Overflows ===

impl Overflows {
    /// Takes over what has changed; gives the revision reached. `window` is that of links without one of their own.
    pub(super) async fn follow(
        &mut self,
        catalog: &dyn Catalog,
        window: Duration,
        now: Timestamp,
    ) -> Result<u64> {
        let newest = *catalog.revisions().borrow();
        if let Some(revision) = self.revision.filter(|revision| *revision == newest) {
            return Ok(revision);
        }
        let changes = catalog.changes_since(self.revision.unwrap_or(0)).await?;
        changes.links.iter().for_each(|link| self.take(link, window, now));
        self.revision = Some(changes.revision);
        Ok(changes.revision)
    }

    fn take(&mut self, link: &SmartLink, window: Duration, now: Timestamp) {
        let Some(overflow) = &link.overflow else { return };
        // Visitors of before may subscribe for as long as after a click.
        let last = |at: Timestamp| at.plus(link.window.unwrap_or(window)).plus(LATE);
        let until = link.deleted_at.map(last);
        let shared = Shared { team: link.team, smart_link: link.id, until };
        let account = self.accounts.entry(link.account.clone()).or_default();
        let before = account.insert(link.id, (overflow.id, shared));
        if let Some((id, before)) = before.filter(|(id, _)| *id != overflow.id) {
            let shared = Shared { until: Some(now.plus(LATE)), ..before };
            self.replaced.entry(link.account.clone()).or_default().push((id, shared));
        }
    }

    /// The links of one account that are followed; of those that had to be followed for a time only, those that have not `ended`.
    pub(super) fn of(
        &mut self,
        account: &AccountId,
        ended: &mut HashSet<PoolLinkId>,
        now: Timestamp,
    ) -> HashMap<PoolLinkId, Shared> {
        let Some(links) = self.accounts.get_mut(account) else { return HashMap::new() };
        links.retain(|_, (_, shared)| shared.is_followed(None, now));
        let replaced = self.replaced.entry(account.clone()).or_default();
        replaced.retain(|(_, shared)| shared.is_followed(None, now));
        let all: HashMap<PoolLinkId, Shared> = replaced.iter().chain(links.values()).cloned().collect();
        ended.retain(|id| all.contains_key(id));
        all.into_iter().filter(|(id, _)| !ended.contains(id)).collect()
    }
}

// === impl Shared ===

impl Shared {
    /// End of the attribution window of the last visitor that may have been sent there.
    pub(super) fn open_until(&self) -> Option<Timestamp> {
        self.until.map(|until| until.minus(LATE))
    }

    /// Whether it is looked at, again or for the last time.
    pub(super) fn is_followed(&self, looked_at: Option<Timestamp>, now: Timestamp) -> bool {
        self.until.is_none_or(|until| {
            now < until.plus(MADE_UP) && looked_at.is_none_or(|looked_at| looked_at < until)
        })
    }
}

#[cfg(test)]
mod tests {
    use sl_store::suite::sample;

    use super::*;

    #[test]
    fn the_link_of_a_deleted_smart_link_is_followed_until_a_last_look_or_as_long_as_that_helps() {
        let hours = |count: i64| Timestamp(count * 3_600_000);
        let shared = |until| Shared { team: sample::TEAM, smart_link: sample::link_id(1), until };
        assert!(shared(None).is_followed(Some(hours(900)), hours(900)));
        let deleted = shared(Some(hours(6)));
        assert!(deleted.is_followed(Some(hours(5)), hours(7)), "nobody has looked since");
        assert!(!deleted.is_followed(Some(hours(6)), hours(6)));
        assert!(deleted.is_followed(None, hours(53)) && !deleted.is_followed(None, hours(54)));
    }
}
