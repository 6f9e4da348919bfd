//! Keeps the links that the edge answers from, with a copy on disk for a start without the store.

use std::{collections::HashMap, sync::Arc, time::Duration};

use sl_core::{
    catalog::{Account, EdgeLink, SmartLink},
    ids::AccountId,
    pool::PLATFORM_PAGE,
    time::{Clock, Timestamp},
};
use sl_edge::LinkTable;
use sl_store::{Catalog, StoreError, catalog::Changes};
use tokio_util::sync::CancellationToken;

use super::snapshots::Snapshots;

/// Pause after the catalog could not be read.
const AGAIN: Duration = Duration::from_secs(1);

/// Brings catalog changes to the edge's table.
pub(crate) struct Feed {
    catalog: Arc<dyn Catalog>,
    table: LinkTable,
    /// Attribution window of links without their own.
    window: Duration,
    revision: u64,
    /// Whether the table has all of the catalog, and not what was there at an earlier start.
    is_filled: bool,
    pages: Pages,
    copy: CatalogCopy,
}

impl Feed {
    /// Nothing is read yet.
    pub(crate) fn new(
        catalog: Arc<dyn Catalog>,
        table: LinkTable,
        window: Duration,
        copy: CatalogCopy,
    ) -> Self {
        Self { catalog, table, window, revision: 0, is_filled: false, pages: Pages::of(&[]), copy }
    }

    /// Fills the table for the first time.
    pub(crate) async fn fill(&mut self) -> Result<(), StoreError> {
        let Changes { links, accounts, revision } = self.catalog.changes_since(0).await?;
        self.pages = Pages::of(&accounts);
        complain(self.table.replace(links.iter().map(|link| self.prepare(link))));
        (self.revision, self.is_filled) = (revision, true);
        self.copy.is_old();
        Ok(())
    }

    /// Follows until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut revisions = self.catalog.revisions();
        while !stop.is_cancelled() {
            let is_behind = *revisions.borrow_and_update() > self.revision || !self.is_filled;
            if is_behind && let Err(error) = self.follow().await {
                tracing::warn!(%error, "changed links can't be read; trying again");
                tokio::time::sleep(AGAIN).await;
                revisions.mark_changed();
            }
            tokio::select! {
                changed = revisions.changed() => if changed.is_err() { break },
                () = self.copy.is_due() => self.copy.write(&self.table).await,
                () = stop.cancelled() => {}
            }
        }
        self.copy.write(&self.table).await;
    }

    async fn follow(&mut self) -> Result<(), StoreError> {
        if !self.is_filled {
            return self.fill().await;
        }
        let Changes { mut links, accounts, revision } = self.catalog.changes_since(self.revision).await?;
        let mut pages = Pages::of(&accounts).known;
        // An account changes every now and then; only where its page has another address, all its links do.
        for account in
            accounts.iter().filter(|account| self.pages.known.get(&account.id) != pages.get(&account.id))
        {
            let all = self.catalog.links(account.team).await?;
            links.extend(all.into_iter().filter(|link| link.account == account.id).map(Arc::new));
        }
        for link in &links {
            if !pages.contains_key(&link.account) && !self.pages.known.contains_key(&link.account) {
                let page = page(self.catalog.account(&link.account).await?.as_ref());
                pages.insert(link.account.clone(), page);
            }
        }
        self.pages.known.extend(pages);
        complain(self.table.apply(links.iter().map(|link| self.prepare(link))));
        self.revision = revision;
        self.copy.is_old();
        Ok(())
    }

    fn prepare(&self, link: &SmartLink) -> EdgeLink {
        EdgeLink {
            id: link.id,
            team: link.team,
            stock: link.stock(),
            window: link.window.unwrap_or(self.window),
            deleted: link.deleted_at.is_some(),
            paused: link.paused,
            overflow: link.overflow.clone(),
            profile_url: Arc::clone(self.pages.known.get(&link.account).unwrap_or(&self.pages.nobodys)),
        }
    }
}

/// Creators' pages by account.
struct Pages {
    known: HashMap<AccountId, Arc<str>>,
    /// Of an account that the catalog does not have.
    nobodys: Arc<str>,
}

impl Pages {
    fn of(accounts: &[Account]) -> Self {
        let known = accounts.iter().map(|account| (account.id.clone(), page(Some(account))));
        Self { known: known.collect(), nobodys: page(None) }
    }
}

/// Keeps `data_dir/edge/catalog` like the table. Writing a million links takes a second, so it is done as often as it costs
/// two parts of a hundred.
pub(crate) struct CatalogCopy {
    /// Where; nowhere on embedded storage, which is on this machine itself.
    file: Option<Snapshots>,
    clock: Arc<dyn Clock>,
    is_old: bool,
    not_before: tokio::time::Instant,
}

impl CatalogCopy {
    pub(crate) fn new(file: Option<Snapshots>, clock: Arc<dyn Clock>) -> Self {
        Self { file, clock, is_old: false, not_before: tokio::time::Instant::now() }
    }

    /// The table has changed.
    fn is_old(&mut self) {
        self.is_old = true;
    }

    async fn is_due(&self) {
        if self.is_old && self.file.is_some() {
            tokio::time::sleep_until(self.not_before).await;
        } else {
            std::future::pending::<()>().await;
        }
    }

    async fn write(&mut self, table: &LinkTable) {
        let Some(file) = self.file.clone().filter(|_| self.is_old) else { return };
        let (table, at, began) = (table.clone(), self.clock.now(), tokio::time::Instant::now());
        let written = tokio::task::spawn_blocking(move || file.write_catalog(table.links(), at)).await;
        match written.map_err(std::io::Error::other).flatten() {
            Ok(()) => self.is_old = false,
            Err(error) => tracing::warn!(%error, "the copy of the catalog can't be written; trying again"),
        }
        self.not_before = began + AGAIN.max(began.elapsed() * 50);
    }
}

/// Fills the table with what was there at an earlier start, if that was written down.
pub(crate) async fn remember(file: Snapshots, table: &LinkTable, now: Timestamp) {
    let Ok(Some(catalog)) = tokio::task::spawn_blocking(move || file.read_catalog()).await else { return };
    let age = now.since(catalog.at);
    tracing::info!(links = catalog.links.len(), ?age, "links of an earlier start are answered for");
    complain(table.replace(catalog.links));
}

/// The creator's page.
/// Without a handle, while the creator's is not known yet, the platform's own.
fn page(account: Option<&Account>) -> Arc<str> {
    let username = account.and_then(|account| account.username.as_deref());
    format!("{PLATFORM_PAGE}{}", username.unwrap_or_default()).into()
}

fn complain(bad: Vec<sl_edge::BadLink>) {
    for link in bad {
        tracing::error!("{link}");
    }
}

#[cfg(test)]
mod tests {
    use sl_edge::Stock;
    use sl_fjall::FjallOptions;
    use sl_store::suite::sample::{self, TEAM};

    use super::*;
    use crate::clock;

    /// Addresses of the pages of each link, by account.
    fn pages(table: &LinkTable) -> Vec<(AccountId, String)> {
        let mut pages: Vec<_> = table
            .links()
            .into_iter()
            .map(|link| (link.stock.account, link.profile_url.to_string()))
            .collect();
        pages.sort();
        pages
    }

    #[tokio::test]
    async fn links_lead_to_their_creators_page_also_when_that_gets_another_address_or_is_known_later() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = sl_fjall::open(dir.path(), FjallOptions::default()).unwrap().store().catalog;
        let account = |id: &str, name: &str| Account {
            username: Some(name.to_owned()),
            ..sample::account_row(id, TEAM)
        };
        let link =
            |number, account: &str| SmartLink { account: account.into(), ..sample::smart_link(number, TEAM) };
        catalog.put_account(account("a", "nova")).await.unwrap();
        for link in [link(1, "a"), link(2, "a")] {
            catalog.put_link(link).await.unwrap();
        }
        let table = LinkTable::new(Stock::default());
        let copy = CatalogCopy::new(None, clock::system());
        let mut feed = Feed::new(Arc::clone(&catalog), table.clone(), Duration::from_secs(1), copy);
        feed.fill().await.unwrap();
        let shown = |account: &str, page: &str| (AccountId::from(account), format!("{PLATFORM_PAGE}{page}"));
        assert_eq!(pages(&table), [shown("a", "nova"), shown("a", "nova")]);
        catalog.put_account(account("a", "stella")).await.unwrap();
        catalog.put_link(link(3, "b")).await.unwrap();
        feed.follow().await.unwrap();
        assert_eq!(pages(&table), [shown("a", "stella"), shown("a", "stella"), shown("b", "")]);
        // A link of an account that the feed has known for long, and the account of one that it has known without.
        catalog.put_link(link(4, "a")).await.unwrap();
        catalog.put_account(account("b", "iris")).await.unwrap();
        feed.follow().await.unwrap();
        let a = shown("a", "stella");
        assert_eq!(pages(&table), [a.clone(), a.clone(), a, shown("b", "iris")]);
    }
}
