//! Everything there is, kind by kind, for another store. Nothing is written here.
//!
//! | keyspace | what becomes of it |
//! |---|---|
//! | `catalog` | teams, keys, accounts, links, pixels, postbacks; revisions count anew elsewhere |
//! | `pool` | links and stocks; blocks must not be out |
//! | `given` | holders of pool links |
//! | `clicks`, `marks` | click rows as reports show them |
//! | `click_ids` | made again with the rows |
//! | `reports` | all rows but [`CONVERSION_ID`], [`CLICK_CONVERSION`] and [`DEAD_LETTER_ID`], which are made again with theirs |
//! | `outbox`, `bodies` | whole deliveries, rests, trails; every other row says where they are, or how many, and is made again |
//! | `state` | pieces of memory; `late` is part of it and of `given` from the opening on |
//! | `meta` | position and numbers; fences and the count of dead letters are made again, how far addresses are cut is found again |
//!
//! [`CONVERSION_ID`]: crate::layout::CONVERSION_ID
//! [`CLICK_CONVERSION`]: crate::layout::CLICK_CONVERSION
//! [`DEAD_LETTER_ID`]: crate::layout::DEAD_LETTER_ID

mod catalog;
mod clicks;
mod deliveries;
mod pool;
mod reports;
mod scan;

use std::sync::Arc;

use async_trait::async_trait;
use sl_core::step::{StateBytes, StateKey};
use sl_store::{
    Result,
    moving::{Kind, Numbers, Page, Piece, Rows, Source, StoreStanding},
};

use self::scan::{Scan, Scanned};
use crate::{
    catalog::FjallCatalog,
    db::{Db, blocking, damaged},
    late::LateTable,
    layout::Key,
    ledger::LedgerCore,
    pool::FjallPool,
};

/// An open store, to be read out.
#[derive(Clone)]
pub(crate) struct FjallSource {
    pub(crate) db: Arc<Db>,
    pub(crate) catalog: Arc<FjallCatalog>,
    pub(crate) pool: Arc<FjallPool>,
    pub(crate) ledger: Arc<LedgerCore>,
}

/// The one partition of an embedded store.
const PARTITION: u32 = 0;

// === impl FjallSource ===

impl FjallSource {
    fn read(&self, kind: Kind, after: Option<&[u8]>, limit: usize) -> Result<Page> {
        let db = &*self.db;
        match kind {
            Kind::Teams | Kind::Keys | Kind::Accounts | Kind::Links | Kind::Pixels | Kind::Postbacks => {
                catalog::page(db, kind, after, limit)
            }
            Kind::PoolLinks => pool::links(db, after, limit),
            Kind::Holders => pool::holders(db, &self.accounts(), after, limit),
            Kind::Stocks => Ok(pool::stocks(&self.pool.lock())),
            Kind::Clicks => clicks::page(db, after, limit),
            Kind::Deliveries => deliveries::page(db, after, limit),
            Kind::Rests => deliveries::rests(db, after, limit),
            Kind::Trails => deliveries::trails(db, after, limit),
            Kind::Memory => memory(db, after, limit),
            _ => reports::page(db, kind, after, limit),
        }
    }

    /// Every account that a row may belong to.
    fn accounts(&self) -> pool::Accounts {
        let rows = self.catalog.lock();
        let links = rows.every_link().map(|link| &link.account);
        let mut accounts: pool::Accounts =
            rows.accounts.keys().chain(links).map(|account| (account.digest(), account.clone())).collect();
        drop(rows);
        let shelf = self.pool.lock();
        accounts
            .extend(shelf.stocks.iter().map(|stock| (stock.key.account.digest(), stock.key.account.clone())));
        accounts
    }
}

#[async_trait]
impl Source for FjallSource {
    async fn standing(&self) -> Result<StoreStanding> {
        let opened = self.ledger.standing(PARTITION)?;
        let number = |name| self.db.counter(name);
        Ok(StoreStanding {
            position: opened.position,
            applied: opened.applied,
            dead_letters: self.ledger.dead_letter_count(),
            blocks: self.pool.lock().blocks.len(),
            numbers: Numbers {
                keys: number("key")?,
                pixels: number("pixel")?,
                postbacks: number("postback")?,
            },
        })
    }

    async fn page(&self, kind: Kind, after: Option<Vec<u8>>, limit: usize) -> Result<Page> {
        let source = self.clone();
        blocking(move || source.read(kind, after.as_deref(), limit)).await
    }
}

/// All late rows are in their tables: nothing was written since the store was opened.
fn memory(db: &Db, after: Option<&[u8]>, limit: usize) -> Result<Page> {
    let all = Key::bare();
    let Scanned { rows, next } = Scan { all: &all, after, limit }.raw(db.late.table(LateTable::State), db)?;
    let piece = |(name, value): (Vec<u8>, Vec<u8>)| {
        let (last, key) = name.split_last().ok_or_else(|| damaged("the name of a piece of memory"))?;
        // Other partitions are none of an embedded store's, see `ledger::state_key`.
        if u32::from(*last) != PARTITION {
            return Err(damaged("the partition of a piece of memory"));
        }
        Ok(Piece { partition: PARTITION, key: StateKey(key.to_vec()), value: StateBytes(value) })
    };
    Ok(Page { rows: Rows::Memory(rows.into_iter().map(piece).collect::<Result<_>>()?), next })
}
