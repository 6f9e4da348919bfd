//! What is known of a move: which, from where, how far.

use std::sync::Arc;

use sl_core::time::Timestamp;
use sl_store::{Result, StoreError};

use crate::{
    cql::Cql,
    failure::damaged,
    profiles::Kind,
    statements::{Tries, statements},
};

statements!(Statements {
    read: SerialRead "SELECT id, begun, partitions, source, number, finished FROM moves WHERE always = 0";
    begin: Compare "INSERT INTO moves (always, id, begun, partitions, source, number) VALUES (0, ?, ?, ?, ?, ?)
        IF NOT EXISTS";
    go_on: Compare "UPDATE moves SET number = ? WHERE always = 0 IF id = ? AND number = ?";
    end: Compare "UPDATE moves SET finished = ? WHERE always = 0 IF id = ?";
    note: Write "INSERT INTO move_kinds (always, kind, cursor, rows, done) VALUES (0, ?, ?, ?, ?)";
    come: Read "SELECT kind, cursor, rows, done FROM move_kinds WHERE always = 0";
});

/// Tables whose rows say nothing about whether the service was here.
const OWN: [&str; 3] = ["schema_versions", "moves", "move_kinds"];

/// A move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// An id of its own, unlike that of any other move.
    pub id: String,
    /// When it was begun.
    pub begun: Timestamp,
    /// Stream partitions that memory was shared out to.
    pub partitions: u32,
    /// How far the source was, in the mover's words.
    pub source: String,
    /// When it was finished.
    pub finished: Option<Timestamp>,
}

/// How far a kind has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Come {
    /// Key of the last row that was moved.
    pub cursor: Option<Vec<u8>>,
    /// Rows so far.
    pub rows: u64,
    /// All rows of the kind were moved.
    pub is_done: bool,
}

/// The tables.
pub(super) struct Record {
    cql: Arc<Cql>,
    statements: Statements,
}

// === impl Record ===

impl Record {
    pub(super) async fn new(cql: Arc<Cql>) -> Result<Self> {
        let statements = Statements::prepare(&cql).await?;
        Ok(Self { cql, statements })
    }

    /// The move there is, with the number of its latest run.
    pub(super) async fn read(&self) -> Result<Option<(Move, i64)>> {
        type Row = (String, i64, i32, String, i64, Option<i64>);
        let row: Option<Row> = self.cql.row(&self.statements.read, ()).await?;
        let found = row.map(|(id, begun, partitions, source, number, finished)| {
            let partitions = u32::try_from(partitions).map_err(|_| damaged("the partitions of a move"))?;
            let (begun, finished) = (Timestamp(begun), finished.map(Timestamp));
            Ok((Move { id, begun, partitions, source, finished }, number))
        });
        found.transpose()
    }

    /// Begins it, or goes on with it, under a number that no run before had.
    pub(super) async fn begin(&self, this: &Move) -> Result<i64> {
        let mut tries = Tries::of("a move");
        loop {
            if let Some(number) = tries.settled(self.begin_once(this).await).await? {
                return Ok(number);
            }
        }
    }

    /// One that was begun without an answer is gone on with by the next try.
    async fn begin_once(&self, this: &Move) -> Result<Option<i64>> {
        let number = self.cql.micros();
        let Some((known, last)) = self.read().await? else {
            let partitions = i32::try_from(this.partitions).unwrap_or(i32::MAX);
            let values = (&this.id, this.begun.0, partitions, &this.source, number);
            return Ok(self.cql.compare(&self.statements.begin, values).await?.then_some(number));
        };
        if known.id != this.id {
            return Err(StoreError::Fenced("another move was begun".to_owned()));
        }
        // A run's rows have its number and the next three.
        let number = number.max(last + 4);
        let went_on = self.cql.compare(&self.statements.go_on, (number, &this.id, last)).await?;
        Ok(went_on.then_some(number))
    }

    pub(super) async fn end(&self, this: &Move, at: Timestamp) -> Result<()> {
        let mut tries = Tries::of("a move");
        loop {
            let ended = self.cql.compare(&self.statements.end, (at.0, &this.id)).await;
            if let Some(()) = tries.settled(ended.map(|ended| ended.then_some(()))).await? {
                return Ok(());
            }
        }
    }

    pub(super) async fn note(&self, kind: &str, come: &Come) -> Result<()> {
        let rows = i64::try_from(come.rows).unwrap_or(i64::MAX);
        self.cql.run(&self.statements.note, (kind, &come.cursor, rows, come.is_done)).await
    }

    pub(super) async fn come(&self) -> Result<Vec<(String, Come)>> {
        type Row = (String, Option<Vec<u8>>, i64, bool);
        let rows: Vec<Row> = self.cql.rows(&self.statements.come, ()).await?;
        let come = |(kind, cursor, rows, is_done): Row| {
            (kind, Come { cursor, rows: u64::try_from(rows).unwrap_or(0), is_done })
        };
        Ok(rows.into_iter().map(come).collect())
    }
}

/// The first table that has a row.
pub(super) async fn occupied(cql: &Cql) -> Result<Option<String>> {
    const TABLES: &str = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?";
    let tables = cql.prepare(Kind::Read, TABLES).await?;
    let tables: Vec<(String,)> = cql.rows(&tables, (cql.keyspace(),)).await?;
    for (table,) in tables.into_iter().filter(|(table,)| !OWN.contains(&table.as_str())) {
        let first = cql.prepare(Kind::Read, &format!("SELECT * FROM {table} LIMIT 1")).await?;
        let first: Vec<scylla::value::Row> = cql.rows(&first, ()).await?;
        if !first.is_empty() {
            return Ok(Some(table));
        }
    }
    Ok(None)
}
