//! What the catalog asks of the keeper, kept up to date change by change: there may be a million links, and a look every two
//! seconds.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use sl_core::{
    catalog::{Account, SmartLink},
    ids::{AccountId, SmartLinkId},
    pool::StockKey,
};
use sl_store::{Catalog, Result};

use super::levels::Need;

/// Everything that is wanted, as of a revision.
#[derive(Default)]
pub(super) struct Wanted {
    /// `None` before the first reading.
    revision: Option<u64>,
    accounts: BTreeMap<AccountId, Account>,
    /// Links that are neither paused nor deleted, with the stock that they are served from.
    live: HashMap<SmartLinkId, StockKey>,
    /// How many of them each stock serves.
    stocks: BTreeMap<StockKey, usize>,
    /// Links without an overflow link; paused ones too.
    bare: BTreeMap<SmartLinkId, Arc<SmartLink>>,
}

impl Wanted {
    /// Takes over what has changed.
    pub(super) async fn follow(&mut self, catalog: &dyn Catalog) -> Result<()> {
        let newest = *catalog.revisions().borrow();
        if self.revision == Some(newest) {
            return Ok(());
        }
        let changes = catalog.changes_since(self.revision.unwrap_or(0)).await?;
        let accounts = changes.accounts.into_iter().map(|account| (account.id.clone(), account));
        self.accounts.extend(accounts);
        changes.links.into_iter().for_each(|link| self.take(link));
        self.revision = Some(changes.revision);
        Ok(())
    }

    /// Paused links keep no stock, deleted ones need nothing.
    fn take(&mut self, link: Arc<SmartLink>) {
        if let Some(stock) = self.live.remove(&link.id)
            && let Some(links) = self.stocks.get_mut(&stock)
        {
            *links -= 1;
            if *links == 0 {
                self.stocks.remove(&stock);
            }
        }
        self.bare.remove(&link.id);
        if link.deleted_at.is_some() {
            return;
        }
        if !link.paused {
            let stock = link.stock();
            *self.stocks.entry(stock.clone()).or_default() += 1;
            self.live.insert(link.id, stock);
        }
        if link.overflow.is_none() {
            self.bare.insert(link.id, link);
        }
    }

    /// What is needed now.
    pub(super) fn need(&self) -> Need {
        Need {
            accounts: self.accounts.clone(),
            bare: self.bare.values().map(|link| SmartLink::clone(link)).collect(),
            stocks: self.stocks.keys().cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use sl_core::{
        catalog::OverflowLink,
        ids::{LinkKind, PoolLinkId},
    };
    use sl_fjall::FjallOptions;
    use sl_store::suite::sample::{self, TEAM, after};

    use super::*;

    #[tokio::test]
    async fn a_stock_is_wanted_as_long_as_a_link_is_served_from_it() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = sl_fjall::open(dir.path(), FjallOptions::default()).unwrap().store().catalog;
        let mut wanted = Wanted::default();
        let link = |number, account: &str| SmartLink {
            account: account.into(),
            overflow: None,
            ..sample::smart_link(number, TEAM)
        };
        let put = async |link: SmartLink| catalog.put_link(link).await.unwrap();
        let mut needed = async || {
            wanted.follow(&*catalog).await.unwrap();
            let need = wanted.need();
            let accounts: Vec<_> = need.stocks.iter().map(|stock| stock.account.to_string()).collect();
            (accounts.join(" "), need.bare.len(), need.accounts.len())
        };
        let expect = |stocks: &str, bare, accounts| (stocks.to_owned(), bare, accounts);
        assert_eq!(needed().await, expect("", 0, 0));
        for link in [link(1, "a"), link(2, "a"), link(3, "b")] {
            put(link).await;
        }
        catalog.put_account(sample::account_row("a", TEAM)).await.unwrap();
        assert_eq!(needed().await, expect("a b", 3, 1));
        put(SmartLink { paused: true, ..link(1, "a") }).await;
        let id = PoolLinkId { kind: LinkKind::TrackingLink, number: 7 };
        let overflow = OverflowLink { id, url: "https://onlyfans.com/a/c7".into() };
        catalog.set_overflow(link(2, "a").id, overflow).await.unwrap();
        assert_eq!(needed().await, expect("a b", 2, 1));
        put(SmartLink { deleted_at: Some(after(1)), ..link(2, "a") }).await;
        assert_eq!(needed().await, expect("b", 2, 1), "one is paused, the other deleted");
        put(link(1, "a")).await;
        put(SmartLink { deleted_at: Some(after(1)), ..link(3, "b") }).await;
        assert_eq!(needed().await, expect("a", 1, 1));
    }
}
