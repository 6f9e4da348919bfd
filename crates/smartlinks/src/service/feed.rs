//! Keeps what the edge answers from: the links of the catalog, with a copy on disk for a start without the store, and before
//! the start the visitors of the last hours.

use std::{
    collections::HashMap,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use sl_core::{
    catalog::{Account, EdgeLink, SmartLink},
    click::Rung,
    ids::{AccountId, SmartLinkId},
    pool::StockKey,
    time::{Clock, Timestamp},
};
use sl_edge::{LinkTable, Rebuild, Stock, Window};
use sl_journal::{Journal, JournalError, Past};
use sl_store::{Catalog, StoreError, catalog::Changes};
use tokio_util::sync::CancellationToken;

use super::snapshots::Snapshots;

/// Where people are sent when the creator's handle is not known yet.
const PLATFORM_PAGE: &str = "https://onlyfans.com/";
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
        Self { catalog, table, window, revision: 0, is_filled: false, copy }
    }

    /// Fills the table for the first time.
    pub(crate) async fn fill(&mut self) -> Result<(), StoreError> {
        let Changes { links, revision, .. } = self.catalog.changes_since(0).await?;
        let links = self.prepare(links, Vec::new()).await?;
        complain(self.table.replace(links));
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
        let Changes { links, accounts, revision } = self.catalog.changes_since(self.revision).await?;
        let links = self.prepare(links, accounts).await?;
        complain(self.table.apply(links));
        self.revision = revision;
        self.copy.is_old();
        Ok(())
    }

    /// Changed links, and those of changed accounts: their page may have another address.
    async fn prepare(
        &self,
        mut links: Vec<Arc<SmartLink>>,
        accounts: Vec<Account>,
    ) -> Result<Vec<EdgeLink>, StoreError> {
        for account in &accounts {
            let all = self.catalog.links(account.team).await?;
            links.extend(all.into_iter().filter(|link| link.account == account.id).map(Arc::new));
        }
        let mut pages: HashMap<AccountId, Arc<str>> =
            accounts.into_iter().map(|account| (account.id.clone(), page(Some(&account)))).collect();
        let mut prepared = Vec::with_capacity(links.len());
        for link in links {
            let page = match pages.get(&link.account) {
                Some(page) => Arc::clone(page),
                None => {
                    let page = page(self.catalog.account(&link.account).await?.as_ref());
                    pages.insert(link.account.clone(), Arc::clone(&page));
                    page
                }
            };
            prepared.push(EdgeLink {
                id: link.id,
                team: link.team,
                stock: link.stock(),
                window: link.window.unwrap_or(self.window),
                deleted: link.deleted_at.is_some(),
                paused: link.paused,
                overflow: link.overflow.clone(),
                profile_url: page,
            });
        }
        Ok(prepared)
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
fn page(account: Option<&Account>) -> Arc<str> {
    let username = account.and_then(|account| account.username.as_deref());
    format!("{PLATFORM_PAGE}{}", username.unwrap_or_default()).into()
}

fn complain(bad: Vec<sl_edge::BadLink>) {
    for link in bad {
        tracing::error!("{link}");
    }
}

/// What the last hours of the journal say.
#[derive(Debug, Default)]
pub(crate) struct Lately {
    /// Clicks that the window remembers again.
    pub(crate) remembered: usize,
    asked: HashMap<SmartLinkId, Asked>,
}

/// Visitors who got a link of their own.
#[derive(Debug, Default)]
struct Asked {
    lately: usize,
    in_all: usize,
}

/// Demand of a stock is counted in pieces of this length.
const PIECE: Duration = Duration::from_secs(600);

impl Lately {
    /// Fills the window from the journal; blocks while it reads. One thread decodes what the other remembers.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn read(window: &Window, journal: &Journal, now: Timestamp) -> Result<Self, JournalError> {
        let (batches, read) = mpsc::sync_channel::<Vec<Past>>(BATCHES);
        std::thread::scope(|scope| {
            let reading = scope.spawn(move || {
                let mut batch = Vec::with_capacity(BATCH);
                let outcome = journal.recent_visitors(now.minus(window.span()), |past| {
                    batch.push(past);
                    if batch.len() == BATCH {
                        // Nobody takes it only after a panic, which ends the start.
                        let _ = batches.send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH)));
                    }
                });
                let _ = batches.send(batch);
                outcome
            });
            let (mut lately, mut rebuild) = (Self::default(), window.rebuild(now));
            read.into_iter().flatten().for_each(|past| lately.take(&mut rebuild, &past, now));
            reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).map(|()| lately)
        })
    }

    fn take(&mut self, rebuild: &mut Rebuild<'_>, past: &Past, now: Timestamp) {
        let visit = match past {
            Past::Visit(visit) => visit,
            Past::Repeat(repeat) => return rebuild.repeat(repeat),
        };
        self.remembered += usize::from(rebuild.visit(visit));
        if matches!(visit.rung, Rung::Fresh | Rung::Recycled) {
            let asked = self.asked.entry(visit.target.link).or_default();
            asked.in_all += 1;
            asked.lately += usize::from(now.since(visit.at) < PIECE);
        }
    }

    /// Tells the stock what to expect: as many as in the last ten minutes, or as in ten average ones of `span`.
    pub(crate) fn expect(&self, links: &LinkTable, stock: &Stock, span: Duration) {
        let mut by_stock: HashMap<StockKey, Asked> = HashMap::new();
        for (link, asked) in &self.asked {
            let Some(key) = links.stock_of(*link) else { continue };
            let sum = by_stock.entry(key).or_default();
            sum.lately += asked.lately;
            sum.in_all += asked.in_all;
        }
        let pieces = span.as_secs_f64() / PIECE.as_secs_f64();
        for (key, asked) in &by_stock {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a count, smaller than it was"
            )]
            #[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
            let average = (asked.in_all as f64 / pieces.max(1.0)).ceil() as usize;
            stock.expect(key, asked.lately.max(average), Instant::now());
        }
    }
}

/// Records that go from the reading thread to the remembering one at once, and how often that many may wait.
const BATCH: usize = 1024;
const BATCHES: usize = 4;
