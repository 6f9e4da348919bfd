//! Pool links, who holds them, and their stocks.

use std::collections::HashMap;

use sl_core::{
    ids::{AccountId, LinkKind, PoolLinkId},
    pool::PoolFacts,
};
use sl_store::{
    Result,
    moving::{Holder, Page, Rows, Stock},
    pool::PoolEntry,
};

use super::scan::{Scan, Scanned};
use crate::{
    codec::decode,
    db::{Db, damaged},
    late::LateTable,
    layout::{Key, LINK, Reader},
    pool::{GivenRow, LinkRow, Shelf},
};

/// Accounts by the digest that keys hold in their place.
pub(super) type Accounts = HashMap<[u8; 8], AccountId>;

pub(super) fn links(db: &Db, after: Option<&[u8]>, limit: usize) -> Result<Page> {
    let all = Key::table(LINK);
    let found = Scan { all: &all, after, limit }.values::<LinkRow>(&db.pool, db)?;
    let Scanned { rows, next } = found.map(|LinkRow { link, facts }| {
        let facts = PoolFacts { given: None, leased_until: None, rounds: 0, ..facts };
        Ok(PoolEntry { link, facts })
    })?;
    Ok(Page { rows: Rows::PoolLinks(rows), next })
}

pub(super) fn holders(db: &Db, accounts: &Accounts, after: Option<&[u8]>, limit: usize) -> Result<Page> {
    let all = Key::bare();
    let found = Scan { all: &all, after, limit }.raw(db.late.table(LateTable::Given), db)?;
    let Scanned { rows, next } = found.map(|(key, value)| {
        let mut fields = Reader(&key);
        let name = || damaged("the name of a pool link's holder");
        let digest = fields.u64().ok_or_else(name)?.to_be_bytes();
        let (kind, number) = fields.byte().zip(fields.u64()).ok_or_else(name)?;
        let kind = if kind == 0 { LinkKind::TrackingLink } else { LinkKind::FreeTrial };
        let account = accounts.get(&digest).cloned();
        let account = account.ok_or_else(|| damaged("the account of a pool link's holder is not known"))?;
        let GivenRow { given, handouts } = decode(&value)?;
        Ok(Holder { account, link: PoolLinkId { kind, number }, given, handouts })
    })?;
    Ok(Page { rows: Rows::Holders(rows), next })
}

pub(super) fn stocks(shelf: &Shelf) -> Page {
    let stock = |stock: &crate::pool::Stock| {
        let links = stock.len() as u64;
        let fresh_from = stock.fresh.first().map_or(links, |ordinal| u64::from(*ordinal));
        Stock { key: stock.key.clone(), links, fresh_from }
    };
    Page { rows: Rows::Stocks(shelf.stocks.iter().map(stock).collect()), next: None }
}
