//! Keeps what the edge answers from: the links of the catalog, and before the start the visitors of the last hours.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use sl_core::{
    catalog::{Account, EdgeLink, SmartLink},
    event::EventBody,
    ids::{AccountId, PoolLinkId},
    pool::StockKey,
    time::Timestamp,
};
use sl_edge::{LinkTable, Stock, Window};
use sl_journal::{Journal, JournalError};
use sl_store::{Catalog, Result, Store, catalog::Changes};
use tokio_util::sync::CancellationToken;

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
}

impl Feed {
    /// Fills the table for the first time.
    pub(crate) async fn start(catalog: Arc<dyn Catalog>, table: LinkTable, window: Duration) -> Result<Self> {
        let mut feed = Self { catalog, table, window, revision: 0 };
        let Changes { links, revision, .. } = feed.catalog.changes_since(0).await?;
        let links = feed.prepare(links, Vec::new()).await?;
        complain(feed.table.replace(links));
        feed.revision = revision;
        Ok(feed)
    }

    /// Follows until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut revisions = self.catalog.revisions();
        loop {
            if *revisions.borrow_and_update() > self.revision
                && let Err(error) = self.follow().await
            {
                tracing::warn!(%error, "changed links can't be read; trying again");
                tokio::time::sleep(AGAIN).await;
                revisions.mark_changed();
            }
            tokio::select! {
                changed = revisions.changed() => if changed.is_err() { return },
                () = stop.cancelled() => return,
            }
        }
    }

    async fn follow(&mut self) -> Result<()> {
        let Changes { links, accounts, revision } = self.catalog.changes_since(self.revision).await?;
        let links = self.prepare(links, accounts).await?;
        complain(self.table.apply(links));
        self.revision = revision;
        Ok(())
    }

    /// Changed links, and those of changed accounts: their page may have another address.
    async fn prepare(&self, mut links: Vec<SmartLink>, accounts: Vec<Account>) -> Result<Vec<EdgeLink>> {
        for account in &accounts {
            let all = self.catalog.links(account.team).await?;
            links.extend(all.into_iter().filter(|link| link.account == account.id));
        }
        let mut known: HashMap<AccountId, Option<Account>> =
            accounts.into_iter().map(|row| (row.id.clone(), Some(row))).collect();
        let mut prepared = Vec::with_capacity(links.len());
        for link in links {
            if !known.contains_key(&link.account) {
                known.insert(link.account.clone(), self.catalog.account(&link.account).await?);
            }
            let username = known.get(&link.account).and_then(|row| row.as_ref()?.username.clone());
            prepared.push(EdgeLink {
                id: link.id,
                team: link.team,
                stock: link.stock(),
                window: link.window.unwrap_or(self.window),
                deleted: link.deleted_at.is_some(),
                paused: link.paused,
                overflow: link.overflow,
                profile_url: format!("{PLATFORM_PAGE}{}", username.unwrap_or_default()),
            });
        }
        Ok(prepared)
    }
}

fn complain(bad: Vec<sl_edge::BadLink>) {
    for link in bad {
        tracing::error!("{link}");
    }
}

/// Pool links that visitors may hold: where they lead, and the stock they are of.
pub(crate) type Addresses = HashMap<(AccountId, PoolLinkId), (String, StockKey)>;

/// Reads them: links in visitors' hands, and links of blocks that were out.
pub(crate) async fn addresses(store: &Store) -> Result<Addresses> {
    let mut found = Addresses::new();
    for block in store.pool.blocks().await? {
        for (link, _) in block.links {
            found.insert((link.stock.account.clone(), link.id), (link.url, link.stock));
        }
    }
    for team in store.catalog.teams().await? {
        for account in store.catalog.accounts(team.id).await? {
            let held = store.pool.held(&account.id).await?;
            found.reserve(held.len());
            found
                .extend(held.into_iter().map(|link| ((account.id.clone(), link.id), (link.url, link.stock))));
        }
    }
    Ok(found)
}

/// What the last hours of the journal say.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// Clicks that the window remembers again.
    pub(crate) remembered: usize,
    asked: HashMap<StockKey, Asked>,
}

/// Visitors who got a link of their own.
#[derive(Debug, Default)]
struct Asked {
    lately: usize,
    in_all: usize,
}

/// Demand of a stock is counted in pieces of this length.
const PIECE: Duration = Duration::from_secs(600);

impl Past {
    /// Tells the stock what to expect: as many as in the last ten minutes before `now`, or as in ten average ones of `span`.
    pub(crate) fn expect(&self, stock: &Stock, span: Duration) {
        let pieces = span.as_secs_f64() / PIECE.as_secs_f64();
        for (key, asked) in &self.asked {
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

/// Fills the window from the journal; blocks while it reads.
///
/// # Errors
/// The disk's.
pub(crate) fn rebuild(
    window: &Window,
    journal: &Journal,
    addresses: &Addresses,
    now: Timestamp,
) -> std::result::Result<Past, JournalError> {
    let mut rebuild = window.rebuild(now);
    let mut past = Past::default();
    journal.recent(now.minus(window.span()), |record| match record.event.body {
        EventBody::Click(click) => {
            let link = click.pool_link;
            let known = link.and_then(|link| addresses.get(&(record.event.account, link)));
            past.remembered += usize::from(rebuild.click(&click, known.map(|(url, _)| url.as_str())));
            if let Some((_, stock)) = known {
                let asked = past.asked.entry(stock.clone()).or_default();
                asked.in_all += 1;
                asked.lately += usize::from(now.since(click.at) < PIECE);
            }
        }
        EventBody::Repeat(repeat) => rebuild.repeat(&repeat),
        _ => {}
    })?;
    Ok(past)
}
