//! The last committed step of a stream partition: commit point and fence.

use scylla::statement::prepared::PreparedStatement;
use serde::Serialize;
use sl_core::{
    applied::{self, Applied},
    event::Position,
    step::Step,
};
use sl_store::Result;

use crate::{
    codec::{VALUES, encode},
    cql::Cql,
    failure::damaged,
    statements::{Tries, statements},
};

/// Position and applied sequences of a partition, in the layout that [`applied::read`] reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Progress {
    pub(super) position: Position,
    pub(super) applied: Applied,
}

/// A row of `steps`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) number: i64,
    pub(super) owner: String,
    /// Whether a redo record belongs to it: a take-over writes nothing.
    pub(super) redo: bool,
    pub(super) progress: Progress,
}

const READ: &str = "SELECT number, owner, redo, progress FROM steps WHERE stream = ?";

statements!(
    /// Statements on `steps` and `step_redo`.
    Heads {
        read: SerialRead READ;
        glance: Read READ;
        first: Compare "INSERT INTO steps (stream, number, owner, redo, progress) VALUES (?, ?, ?, ?, ?)
            IF NOT EXISTS";
        next: Compare "UPDATE steps SET number = ?, owner = ?, redo = ?, progress = ? WHERE stream = ?
            IF number = ?";
        redo: Read "SELECT number, body FROM step_redo WHERE stream = ? AND owner = ?";
        put_redo: Write "INSERT INTO step_redo (stream, owner, number, body) VALUES (?, ?, ?, ?)
            USING TIMESTAMP ?";
        drop_redo: Write "DELETE FROM step_redo USING TIMESTAMP ? WHERE stream = ? AND owner = ?";
    }
);

// === impl Progress ===

impl Progress {
    /// The progress behind a step.
    pub(super) fn after(step: &Step) -> Self {
        Self { position: step.position, applied: step.applied.clone() }
    }

    fn read(bytes: &[u8]) -> Result<Self> {
        let read = |value: &[u8]| applied::read(value).map(|(position, applied)| Self { position, applied });
        VALUES.decode_by(bytes, read).map_err(damaged)
    }
}

// === impl Heads ===

impl Heads {
    /// The last step, with whatever was being committed completed first.
    pub(super) async fn read(&self, cql: &Cql, stream: i32) -> Result<Option<Head>> {
        self.head(cql, &self.read, stream).await
    }

    /// The last step as an ordinary read sees it: cheap, and never wrong about a step that was acknowledged.
    pub(super) async fn glance(&self, cql: &Cql, stream: i32) -> Result<Option<Head>> {
        self.head(cql, &self.glance, stream).await
    }

    async fn head(&self, cql: &Cql, statement: &PreparedStatement, stream: i32) -> Result<Option<Head>> {
        let row: Option<(i64, String, bool, Vec<u8>)> = cql.row(statement, (stream,)).await?;
        let head = row.map(|(number, owner, redo, progress)| {
            Ok::<_, sl_store::StoreError>(Head { number, owner, redo, progress: Progress::read(&progress)? })
        });
        head.transpose()
    }

    /// Commits `to` if the last step still is number `from` (`None`: if there is none). When no answer comes, looks whether
    /// it happened, and tries again if not: a look at `SERIAL` ends what was under way, one way or the other.
    ///
    /// # Errors
    /// When that brings no answer either: whether it happened is unknown.
    pub(super) async fn commit(&self, cql: &Cql, stream: i32, from: Option<i64>, to: &Head) -> Result<bool> {
        let mut tries = Tries::of("the commit of a step");
        loop {
            let said = match self.compare(cql, stream, from, to).await {
                Ok(true) => Ok(Some(true)),
                // Refused, it may be by an earlier try of ours that brought no answer.
                Ok(false) => Ok(Some(self.read(cql, stream).await?.as_ref() == Some(to))),
                Err(error) if error.is_temporary() => {
                    let head = self.read(cql, stream).await?;
                    if head.as_ref().map(|head| head.number) == from {
                        Err(error)
                    } else {
                        Ok(Some(head.as_ref() == Some(to)))
                    }
                }
                Err(error) => Err(error),
            };
            if let Some(applied) = tries.settled(said).await? {
                return Ok(applied);
            }
        }
    }

    async fn compare(&self, cql: &Cql, stream: i32, from: Option<i64>, to: &Head) -> Result<bool> {
        let progress = encode(&to.progress)?;
        match from {
            None => cql.compare(&self.first, (stream, to.number, &to.owner, to.redo, progress)).await,
            Some(from) => {
                cql.compare(&self.next, (to.number, &to.owner, to.redo, progress, stream, from)).await
            }
        }
    }

    /// The redo record of an owner's latest step, with the step's number.
    pub(super) async fn redo(&self, cql: &Cql, stream: i32, owner: &str) -> Result<Option<(i64, Vec<u8>)>> {
        cql.row(&self.redo, (stream, owner)).await
    }

    /// Puts the redo record of the step that is to be committed in the place of the one before.
    pub(super) fn put_redo(
        &self,
        stream: i32,
        owner: &str,
        number: i64,
        body: Vec<u8>,
    ) -> crate::writes::Write {
        use scylla::value::CqlValue::{BigInt, Int};

        use crate::writes::{Write, blob, text};

        let values = [Int(stream), text(owner), BigInt(number), blob(body), BigInt(number)];
        Write::new(&self.put_redo, values)
    }

    /// Removes what an owner before has left.
    pub(super) async fn drop_redo(&self, cql: &Cql, stream: i32, owner: &str, number: i64) -> Result<()> {
        cql.run(&self.drop_redo, (number, stream, owner)).await
    }
}
