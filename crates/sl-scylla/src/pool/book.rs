//! The blocks of a stock that are out: one partition, changed as a whole by conditional writes.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use scylla::{DeserializeRow, statement::prepared::PreparedStatement, value::CqlValue};
use serde::{Deserialize, Serialize};
use sl_core::{ids::ClickId, time::Timestamp};
use sl_store::Result;

use super::links::Entry;
use crate::{
    codec::{decode, encode},
    cql::Cql,
    failure::damaged,
    statements::statements,
    writes::{blob, text},
};

/// A fencing number is the stock's own count, which grows with every lease, and the stock's number in the low bits.
const STOCK_BITS: u32 = 31;

statements!(Statements {
    read: Read "SELECT change, ordinals, fences, fresh_from, fence, owner, until, links
        FROM pool_blocks WHERE stock = ?";
    read_serial: SerialRead "SELECT change, ordinals, fences, fresh_from, fence, owner, until, links
        FROM pool_blocks WHERE stock = ?";
    change: Compare "UPDATE pool_blocks SET change = ?, ordinals = ?, fences = ?, fresh_from = ?
        WHERE stock = ? IF change = ?";
    put: Compare "INSERT INTO pool_blocks (stock, fence, owner, until, links) VALUES (?, ?, ?, ?, ?)";
    remove: Compare "DELETE FROM pool_blocks WHERE stock = ? AND fence = ?";
});

/// A block that is out. Written when it is taken, prolonged or given back, but not when one of its links is given: a link
/// whose holder is no longer the one it had when it was leased has left the block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BlockRow {
    pub(super) fence: u64,
    pub(super) owner: String,
    pub(super) until: Timestamp,
    pub(super) links: Vec<Leased>,
}

/// A link of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Leased {
    pub(super) number: u64,
    pub(super) ordinal: u64,
    pub(super) recycled: bool,
    /// The click of the visitor who had it before.
    pub(super) before: Option<ClickId>,
    /// How many visitors had it before.
    pub(super) handouts: u32,
}

/// A stock's blocks and counts as they were read.
#[derive(Debug, Clone, Default)]
pub(super) struct Book {
    /// Number of the last change, `None` before the first one.
    change: Option<i64>,
    /// Ordinals given.
    pub(super) ordinals: u64,
    /// Leases made.
    pub(super) fences: u64,
    /// No link with a lower ordinal is fresh.
    pub(super) fresh_from: u64,
    pub(super) blocks: Vec<BlockRow>,
}

/// What is to become of a block.
#[derive(Debug)]
pub(super) enum Change {
    Put(BlockRow),
    Remove(u64),
}

#[derive(DeserializeRow)]
struct Columns {
    change: Option<i64>,
    ordinals: Option<i64>,
    fences: Option<i64>,
    fresh_from: Option<i64>,
    fence: Option<i64>,
    owner: Option<String>,
    until: Option<i64>,
    links: Option<Vec<u8>>,
}

/// The table.
pub(super) struct Books {
    cql: Arc<Cql>,
    statements: Statements,
    /// Those who change the same stock in this process do it one by one; other processes are met at the database.
    turns: Mutex<HashMap<i32, Arc<tokio::sync::Mutex<()>>>>,
}

// === impl Leased ===

impl Leased {
    /// Whether nobody is known to have got it from the block.
    pub(super) fn is_in(&self, entry: &Entry) -> bool {
        entry.facts.given.map(|given| given.click) == self.before
    }
}

// === impl Book ===

impl Book {
    pub(super) fn block(&self, fence: u64) -> Option<&BlockRow> {
        self.blocks.iter().find(|block| block.fence == fence)
    }

    /// For each link number that is leased, the newest block that has it.
    pub(super) fn leases(&self) -> HashMap<u64, (&BlockRow, &Leased)> {
        let links =
            self.blocks.iter().flat_map(|block| block.links.iter().map(move |leased| (block, leased)));
        links.map(|(block, leased)| (leased.number, (block, leased))).collect()
    }

    /// The next fencing number.
    pub(super) fn next_fence(&mut self, stock: i32) -> u64 {
        self.fences += 1;
        self.fences << STOCK_BITS | u64::from(stock.unsigned_abs())
    }
}

/// The stock that a fencing number belongs to.
pub(super) fn stock_of(fence: u64) -> i32 {
    i32::try_from(fence & ((1 << STOCK_BITS) - 1)).unwrap_or(0)
}

// === impl Books ===

impl Books {
    pub(super) async fn new(cql: Arc<Cql>) -> Result<Self> {
        let statements = Statements::prepare(&cql).await?;
        Ok(Self { cql, statements, turns: Mutex::default() })
    }

    /// Waits for one's turn to change a stock.
    pub(super) async fn turn(&self, stock: i32) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = Arc::clone(self.turns.lock().entry(stock).or_default());
        turn.lock_owned().await
    }

    /// Reads a stock's blocks, as far as this node has heard of them.
    pub(super) async fn read(&self, stock: i32) -> Result<Book> {
        self.read_by(&self.statements.read, stock).await
    }

    /// What is out, with what is being written at this moment: to be changed.
    pub(super) async fn read_to_change(&self, stock: i32) -> Result<Book> {
        self.read_by(&self.statements.read_serial, stock).await
    }

    async fn read_by(&self, statement: &PreparedStatement, stock: i32) -> Result<Book> {
        let count = |count: Option<i64>| count.unwrap_or(0).cast_unsigned();
        let mut book = Book::default();
        for row in self.cql.rows::<Columns>(statement, (stock,)).await? {
            book.change = row.change;
            book.ordinals = count(row.ordinals);
            book.fences = count(row.fences);
            book.fresh_from = count(row.fresh_from);
            if let (Some(fence), Some(owner), Some(until), Some(links)) =
                (row.fence, row.owner, row.until, row.links)
            {
                let (fence, until, links) = (fence.cast_unsigned(), Timestamp(until), decode(&links)?);
                book.blocks.push(BlockRow { fence, owner, until, links });
            }
        }
        Ok(book)
    }

    /// Writes the counts of `book` and some blocks; `false` when somebody has changed the stock since it was read.
    pub(super) async fn change(&self, stock: i32, book: &Book, changes: Vec<Change>) -> Result<bool> {
        let (big, own) =
            (|number: u64| Some(CqlValue::BigInt(number.cast_signed())), Some(CqlValue::Int(stock)));
        let next = book.change.unwrap_or(0) + 1;
        let mut statements = vec![&self.statements.change];
        let mut values = vec![vec![
            Some(CqlValue::BigInt(next)),
            big(book.ordinals),
            big(book.fences),
            big(book.fresh_from),
            own.clone(),
            book.change.map(CqlValue::BigInt),
        ]];
        for change in changes {
            match change {
                Change::Put(BlockRow { fence, owner, until, links }) => {
                    statements.push(&self.statements.put);
                    let (until, links) = (CqlValue::BigInt(until.0), blob(encode(&links)?));
                    values.push(vec![own.clone(), big(fence), Some(text(owner)), Some(until), Some(links)]);
                }
                Change::Remove(fence) => {
                    statements.push(&self.statements.remove);
                    values.push(vec![own.clone(), big(fence)]);
                }
            }
        }
        if statements.len() > 64 {
            return Err(damaged("too many blocks changed at once"));
        }
        self.cql.compare_together(&statements, values).await
    }
}
