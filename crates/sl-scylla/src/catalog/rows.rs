//! Rows of any sort: written, read, listed.

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Serialize, de::DeserializeOwned};
use sl_core::ids::TeamId;
use sl_store::Result;

use super::sort::{self, Sort};
use crate::{
    codec::{decode, encode},
    cql::Cql,
    statements::statements,
};

statements!(Statements {
    put: Write "INSERT INTO catalog (kind, team, slice, id, row) VALUES (?, ?, ?, ?, ?)";
    put_own: Write "INSERT INTO catalog (kind, team, slice, id, own) VALUES (?, ?, ?, ?, ?)";
    put_own_of: Write "INSERT INTO catalog (kind, team, slice, id, own) VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?";
    get: Read "SELECT row, own FROM catalog WHERE kind = ? AND team = ? AND slice = ? AND id = ?";
    list: Read "SELECT row, own FROM catalog WHERE kind = ? AND team = ? AND slice = ?";
    all: Read "SELECT kind, row, own FROM catalog";
    remove: Write "DELETE FROM catalog WHERE kind = ? AND team = ? AND slice = ? AND id = ?";
    put_owner: Write "INSERT INTO catalog_owners (kind, id, team, value) VALUES (?, ?, ?, ?)";
    owner: Read "SELECT team, value FROM catalog_owners WHERE kind = ? AND id = ?";
});

/// A row and the field with a writer of its own, as they are stored. Without `row` there is none.
pub(crate) type Stored = (Option<Vec<u8>>, Option<Vec<u8>>);

/// The table of all sorts.
pub(crate) struct Rows {
    cql: Arc<Cql>,
    statements: Statements,
}

// === impl Rows ===

impl Rows {
    pub(crate) async fn new(cql: Arc<Cql>) -> Result<Self> {
        let statements = Statements::prepare(&cql).await?;
        Ok(Self { cql, statements })
    }

    /// Writes a row. Its team is noted first: a row that is there is found.
    pub(crate) async fn put<T: Serialize>(&self, sort: Sort, team: TeamId, id: &[u8], row: &T) -> Result<()> {
        self.note_owner(sort, team, id, None).await?;
        let row = encode(row)?;
        self.cql.run(&self.statements.put, (sort.code(), sort::team(team), sort.slice(id), id, row)).await
    }

    pub(crate) async fn note_owner(
        &self,
        sort: Sort,
        team: TeamId,
        id: &[u8],
        value: Option<&[u8]>,
    ) -> Result<()> {
        self.cql.run(&self.statements.put_owner, (sort.code(), id, sort::team(team), value)).await
    }

    /// Writes the field with a writer of its own; with `as_of` the newest stays, otherwise the last.
    pub(crate) async fn put_own<T: Serialize>(
        &self,
        sort: Sort,
        team: TeamId,
        id: &[u8],
        own: &T,
        as_of: Option<i64>,
    ) -> Result<()> {
        let (code, team, slice, own) = (sort.code(), sort::team(team), sort.slice(id), encode(own)?);
        match as_of {
            Some(as_of) => {
                self.cql.run(&self.statements.put_own_of, (code, team, slice, id, own, as_of)).await
            }
            None => self.cql.run(&self.statements.put_own, (code, team, slice, id, own)).await,
        }
    }

    /// Removes a row of any team. Whose it was stays known.
    pub(crate) async fn remove(&self, sort: Sort, id: &[u8]) -> Result<()> {
        let Some((team, _)) = self.owner(sort, id).await? else { return Ok(()) };
        self.cql.run(&self.statements.remove, (sort.code(), sort::team(team), sort.slice(id), id)).await
    }

    /// Whose a row is, and what was noted with that.
    pub(crate) async fn owner(&self, sort: Sort, id: &[u8]) -> Result<Option<(TeamId, Option<Vec<u8>>)>> {
        let found: Option<(i64, Option<Vec<u8>>)> =
            self.cql.row(&self.statements.owner, (sort.code(), id)).await?;
        Ok(found.map(|(team, value)| (TeamId(team.cast_unsigned()), value)))
    }

    /// One row of a team.
    pub(crate) async fn of_team(&self, sort: Sort, team: TeamId, id: &[u8]) -> Result<Option<Stored>> {
        let found: Option<Stored> =
            self.cql.row(&self.statements.get, (sort.code(), sort::team(team), sort.slice(id), id)).await?;
        Ok(found.filter(|(row, _)| row.is_some()))
    }

    /// One row of any team.
    pub(crate) async fn get(&self, sort: Sort, id: &[u8]) -> Result<Option<(TeamId, Stored)>> {
        let Some((team, _)) = self.owner(sort, id).await? else { return Ok(None) };
        Ok(self.of_team(sort, team, id).await?.map(|stored| (team, stored)))
    }

    /// All rows of a team, by id within a slice.
    pub(crate) async fn list(&self, sort: Sort, team: TeamId) -> Result<Vec<Stored>> {
        let slices = stream::iter(0..sort.slices()).map(|slice| async move {
            self.cql.rows::<Stored>(&self.statements.list, (sort.code(), sort::team(team), slice)).await
        });
        let slices: Vec<Vec<Stored>> = slices.buffered(8).try_collect().await?;
        Ok(slices.into_iter().flatten().filter(|(row, _)| row.is_some()).collect())
    }

    /// Every row of every team, a page at a time.
    pub(crate) async fn all(&self) -> Result<Vec<(i8, Stored)>> {
        type Row = (i8, Option<Vec<u8>>, Option<Vec<u8>>);
        let rows = self.cql.rows::<Row>(&self.statements.all, ()).await?;
        Ok(rows.into_iter().map(|(kind, row, own)| (kind, (row, own))).collect())
    }
}

/// A row without a field of its own.
pub(crate) fn plain<T: DeserializeOwned>((row, _): &Stored) -> Result<T> {
    decode(row.as_deref().unwrap_or_default())
}

/// A row, and its own field when that was written.
pub(crate) fn with_own<T: DeserializeOwned, O: DeserializeOwned>(
    (row, own): &Stored,
) -> Result<(T, Option<O>)> {
    let own = own.as_deref().map(decode).transpose()?;
    Ok((decode(row.as_deref().unwrap_or_default())?, own))
}
