//! Links of a stock in the order of their creation.

use std::sync::Arc;

use scylla::value::CqlValue;
use sl_store::Result;

use crate::{cql::Cql, failure::damaged, statements::statements, writes::Write};

/// Ordinals of one partition, see `schemas/cql/0004_pool.cql`.
const PART: u64 = 4_096;

statements!(Statements {
    put: Write "INSERT INTO pool_order (stock, part, ordinal, number) VALUES (?, ?, ?, ?)";
    page: Read "SELECT ordinal, number FROM pool_order WHERE stock = ? AND part = ? AND ordinal >= ? LIMIT ?";
});

/// The table.
pub(super) struct Order {
    cql: Arc<Cql>,
    statements: Statements,
}

/// A run of links.
pub(super) struct Page {
    /// Ordinal and number.
    pub(super) numbers: Vec<(u64, u64)>,
    /// Ask from here next time.
    pub(super) next: u64,
}

// === impl Order ===

impl Order {
    pub(super) async fn new(cql: Arc<Cql>) -> Result<Self> {
        let statements = Statements::prepare(&cql).await?;
        Ok(Self { cql, statements })
    }

    /// Puts links in their places, by ordinal and number.
    pub(super) async fn put(&self, stock: i32, places: impl Iterator<Item = (u64, u64)>) -> Result<()> {
        let write = |(ordinal, number): (u64, u64)| {
            Ok(Write::new(
                &self.statements.put,
                [
                    CqlValue::Int(stock),
                    CqlValue::Int(part(ordinal)?),
                    CqlValue::BigInt(ordinal.cast_signed()),
                    CqlValue::BigInt(number.cast_signed()),
                ],
            ))
        };
        self.cql.write_all(places.map(write).collect::<Result<_>>()?).await
    }

    /// Up to `most` links from an ordinal on, of one partition.
    pub(super) async fn page(&self, stock: i32, from: u64, most: usize) -> Result<Page> {
        let limit = i32::try_from(most).unwrap_or(i32::MAX);
        let values = (stock, part(from)?, from.cast_signed(), limit);
        let rows: Vec<(i64, i64)> = self.cql.rows(&self.statements.page, values).await?;
        let numbers: Vec<_> = rows
            .into_iter()
            .map(|(ordinal, number)| (ordinal.cast_unsigned(), number.cast_unsigned()))
            .collect();
        let next = match numbers.last() {
            Some((last, _)) if numbers.len() == most => last + 1,
            _ => (from / PART + 1) * PART,
        };
        Ok(Page { numbers, next })
    }
}

fn part(ordinal: u64) -> Result<i32> {
    i32::try_from(ordinal / PART).map_err(|_| damaged("an ordinal of the pool"))
}
