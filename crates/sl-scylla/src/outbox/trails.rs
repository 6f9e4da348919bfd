//! Replays that were asked for: a row each.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sl_core::{
    ids::{ReplayId, TeamId},
    replay::Trail,
};
use sl_store::{
    Result,
    outbox::{Renewal, Replays},
};

use super::{AT_ONCE, CqlOutbox, names::team};
use crate::{
    codec::{decode, encode},
    cql::Cql,
    statements::statements,
};

statements!(Statements {
    put: Write "UPDATE outbox_trails USING TIMESTAMP ? SET trail = ? WHERE team = ? AND id = ?";
    time: Read "SELECT WRITETIME(trail) FROM outbox_trails WHERE team = ? AND id = ?";
    get: Read "SELECT trail FROM outbox_trails WHERE team = ? AND id = ?";
    newest: Read "SELECT trail FROM outbox_trails WHERE team = ? AND id < ? LIMIT ?";
});

/// The table.
pub(super) struct Trails {
    cql: Arc<Cql>,
    statements: Statements,
}

// === impl Trails ===

impl Trails {
    pub(super) async fn new(cql: Arc<Cql>) -> Result<Self> {
        let statements = Statements::prepare(&cql).await?;
        Ok(Self { cql, statements })
    }

    /// Keeps the trail in the place of the row that has its id, also after a process whose clock is ahead.
    pub(super) async fn put(&self, trail: &Trail) -> Result<()> {
        let key = key(trail.team, trail.id);
        let before: Option<(Option<i64>,)> = self.cql.row(&self.statements.time, &key).await?;
        let time = self.cql.later_than(before.and_then(|(time,)| time));
        self.cql.run(&self.statements.put, (time, encode(trail)?, key.0, key.1)).await
    }

    pub(super) async fn get(&self, team: TeamId, id: ReplayId) -> Result<Option<Trail>> {
        let row: Option<(Vec<u8>,)> = self.cql.row(&self.statements.get, key(team, id)).await?;
        row.map(|(trail,)| decode(&trail)).transpose()
    }

    /// Newest first, behind `after`.
    pub(super) async fn newest(
        &self,
        of: TeamId,
        limit: usize,
        after: Option<ReplayId>,
    ) -> Result<Vec<Trail>> {
        // Longer than an id, so behind every one.
        let before = after.map_or_else(|| vec![0xff; 17], |id| id.to_bytes().to_vec());
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        if limit == 0 {
            return Ok(Vec::new());
        }
        let rows: Vec<(Vec<u8>,)> = self.cql.rows(&self.statements.newest, (team(of), before, limit)).await?;
        rows.into_iter().map(|(trail,)| decode(&trail)).collect()
    }
}

// === impl CqlOutbox ===

#[async_trait]
impl Replays for CqlOutbox {
    /// The trail is written before the deliveries too, without their number: who asked is known whatever becomes of it.
    async fn renew(&self, mut renewals: Vec<Renewal>, trail: Option<Trail>) -> Result<usize> {
        if let Some(trail) = trail.as_ref().filter(|_| !renewals.is_empty()) {
            self.tables.trails.put(trail).await?;
        }
        let mut seen = HashSet::new();
        renewals.retain(|renewal| seen.insert(renewal.job.id));
        let renewed = stream::iter(renewals).map(|renewal| async move { self.renew_one(&renewal).await });
        let renewed: Vec<bool> = renewed.buffer_unordered(AT_ONCE).try_collect().await?;
        let renewed = renewed.into_iter().filter(|renewed| *renewed).count();
        if let Some(mut trail) = trail {
            trail.replayed = trail.replayed.saturating_add(renewed as u64);
            self.tables.trails.put(&trail).await?;
        }
        Ok(renewed)
    }

    async fn trail(&self, team: TeamId, id: ReplayId) -> Result<Option<Trail>> {
        self.tables.trails.get(team, id).await
    }

    async fn trails(&self, team: TeamId, limit: usize, after: Option<ReplayId>) -> Result<Vec<Trail>> {
        self.tables.trails.newest(team, limit, after).await
    }
}

fn key(of: TeamId, id: ReplayId) -> (i64, Vec<u8>) {
    (team(of), id.to_bytes().to_vec())
}
