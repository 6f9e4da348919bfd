//! What the matcher has to do: subscribers to find, fans to add to lists. Written by steps of the ledger, removed by
//! whoever has done it.

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use scylla::{statement::prepared::PreparedStatement, value::CqlValue};
use sl_core::{
    ids::{AccountId, FanId},
    step::{ListAdd, Unmatched},
};
use sl_store::Result;

use crate::{
    codec::{decode, encode},
    cql::Cql,
    statements::statements,
    writes::{Write, blob, text},
};

/// Lanes of `pool_unmatched`, see `schemas/cql/0004_pool.cql`.
const UNMATCHED_LANES: u8 = 32;
const LIST_LANES: u8 = 16;
/// Lanes read at once.
const AT_ONCE: usize = 16;

statements!(Statements {
    wait: Write "INSERT INTO pool_unmatched (lane, account, fan, row) VALUES (?, ?, ?, ?) USING TIMESTAMP ?";
    found: Write "DELETE FROM pool_unmatched USING TIMESTAMP ? WHERE lane = ? AND account = ? AND fan = ?";
    waits_since: Read "SELECT WRITETIME(row) FROM pool_unmatched WHERE lane = ? AND account = ? AND fan = ?";
    waiting: Read "SELECT row FROM pool_unmatched WHERE lane = ?";
    add: Write "INSERT INTO pool_list_adds (lane, created_at, account, list, fan, row)
        VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ?";
    added: Write "DELETE FROM pool_list_adds USING TIMESTAMP ?
        WHERE lane = ? AND created_at = ? AND account = ? AND list = ? AND fan = ?";
    asked_at: Read "SELECT WRITETIME(row) FROM pool_list_adds
        WHERE lane = ? AND created_at = ? AND account = ? AND list = ? AND fan = ?";
    adds: Read "SELECT row FROM pool_list_adds
        WHERE lane = ? AND (created_at, account, list, fan) > (?, ?, ?, ?) LIMIT ?";
});

/// The two tables. A row is removed with the time it was written with: exactly what was seen, not what a later step
/// writes under the same name, whatever the clocks say.
pub(crate) struct Waiting {
    cql: Arc<Cql>,
    statements: Statements,
}

// === impl Waiting ===

impl Waiting {
    pub(crate) async fn new(cql: Arc<Cql>) -> Result<Self> {
        let statements = Statements::prepare(&cql).await?;
        Ok(Self { cql, statements })
    }

    /// A step's write of a subscriber whose link is unknown.
    pub(crate) fn wait(&self, row: &Unmatched, number: i64) -> Result<Write> {
        let row_bytes = [blob(encode(row)?), CqlValue::BigInt(number)];
        Ok(Write::new(&self.statements.wait, fan(&row.account, &row.fan).into_iter().chain(row_bytes)))
    }

    /// A step's removal of one that was found.
    pub(crate) fn found(&self, account: &AccountId, id: &FanId, number: i64) -> Write {
        let values = std::iter::once(CqlValue::BigInt(number)).chain(fan(account, id));
        Write::new(&self.statements.found, values)
    }

    /// A step's write of a fan to be added to a list.
    pub(crate) fn add(&self, add: &ListAdd, number: i64) -> Result<Write> {
        let row = [blob(encode(add)?), CqlValue::BigInt(number)];
        Ok(Write::new(&self.statements.add, place(add).into_iter().chain(row)))
    }

    pub(super) async fn unmatched(&self) -> Result<Vec<Unmatched>> {
        let lanes = stream::iter(0..UNMATCHED_LANES).map(|lane| async move {
            self.cql.rows::<(Option<Vec<u8>>,)>(&self.statements.waiting, (i32::from(lane),)).await
        });
        let rows: Vec<Vec<_>> = lanes.buffer_unordered(AT_ONCE).try_collect().await?;
        let mut all: Vec<Unmatched> = read(rows)?;
        all.sort_by(|a, b| (&a.account, a.subscribed_at, &a.fan).cmp(&(&b.account, b.subscribed_at, &b.fan)));
        Ok(all)
    }

    pub(super) async fn give_up(&self, account: &AccountId, id: &FanId) -> Result<()> {
        let place = fan(account, id).to_vec();
        self.remove(&self.statements.waits_since, &self.statements.found, place).await
    }

    /// The oldest ones behind `after`: of each lane as many, since all of them may be in one.
    pub(super) async fn list_adds(&self, after: Option<ListAdd>, limit: usize) -> Result<Vec<ListAdd>> {
        let most = i32::try_from(limit).unwrap_or(i32::MAX);
        if most == 0 {
            return Ok(Vec::new());
        }
        let after = after.as_ref();
        let at = after.map_or(i64::MIN, |after| after.created_at.0);
        let account = after.map_or("", |after| after.account.as_str());
        let (list, fan) = after.map_or(("", ""), |after| (after.list.as_str(), after.fan.as_str()));
        let lanes = stream::iter(0..LIST_LANES).map(|lane| async move {
            let values = (i32::from(lane), at, account, list, fan, most);
            self.cql.rows::<(Option<Vec<u8>>,)>(&self.statements.adds, values).await
        });
        let rows: Vec<Vec<_>> = lanes.buffer_unordered(AT_ONCE).try_collect().await?;
        let mut adds: Vec<ListAdd> = read(rows)?;
        adds.sort_by(|a, b| {
            let key =
                |add: &ListAdd| (add.created_at, add.account.clone(), add.list.clone(), add.fan.clone());
            key(a).cmp(&key(b))
        });
        adds.truncate(limit);
        Ok(adds)
    }

    pub(super) async fn list_added(&self, done: &[ListAdd]) -> Result<()> {
        let places: Vec<_> = done.iter().map(|add| place(add).to_vec()).collect();
        let removals = stream::iter(places)
            .map(|place| self.remove(&self.statements.asked_at, &self.statements.added, place));
        removals.buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn remove(
        &self,
        written: &PreparedStatement,
        remove: &PreparedStatement,
        place: Vec<CqlValue>,
    ) -> Result<()> {
        let found: Option<(Option<i64>,)> = self.cql.row(written, &place).await?;
        let Some(written_at) = found.and_then(|(at,)| at) else { return Ok(()) };
        let values: Vec<_> = std::iter::once(CqlValue::BigInt(written_at)).chain(place).collect();
        self.cql.run(remove, values).await
    }
}

fn read<T: serde::de::DeserializeOwned>(lanes: Vec<Vec<(Option<Vec<u8>>,)>>) -> Result<Vec<T>> {
    lanes.into_iter().flatten().filter_map(|(row,)| row).map(|row| decode(&row)).collect()
}

fn lane(account: &AccountId, lanes: u8) -> CqlValue {
    CqlValue::Int((account.digest()[0] % lanes).into())
}

fn fan(account: &AccountId, fan: &FanId) -> [CqlValue; 3] {
    [lane(account, UNMATCHED_LANES), text(account.as_str()), text(fan.as_str())]
}

fn place(add: &ListAdd) -> [CqlValue; 5] {
    [
        lane(&add.account, LIST_LANES),
        CqlValue::BigInt(add.created_at.0),
        text(add.account.as_str()),
        text(add.list.as_str()),
        text(add.fan.as_str()),
    ]
}
