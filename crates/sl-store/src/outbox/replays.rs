//! Deliveries that are taken up again.

use async_trait::async_trait;
use sl_core::{
    delivery::{Job, Progress},
    ids::{ReplayId, TeamId},
    replay::Trail,
};

use crate::Result;

/// What is sent again, and who asked for it.
#[async_trait]
pub trait Replays: Send + Sync + 'static {
    /// Takes deliveries up again, and enters those that are not there yet, each in one step (an embedded backend: all in
    /// one). Each only if it stands as it was read: otherwise whoever changed it knows more, and it is left alone. Returns
    /// how many were changed. After an error some may have been; the same call again does the rest.
    ///
    /// `trail` gets that number added and is kept in the place of the row that has its id: with the deliveries in one step
    /// (an embedded backend), or before them, and after all of them with the number. So what was changed by a call that
    /// failed may be missing in its trail's number, and that never tells of more than was changed.
    async fn renew(&self, renewals: Vec<Renewal>, trail: Option<Trail>) -> Result<usize>;

    /// One replay of a team.
    async fn trail(&self, team: TeamId, id: ReplayId) -> Result<Option<Trail>>;

    /// Replays of a team, newest first, after `after`. They are never forgotten.
    async fn trails(&self, team: TeamId, limit: usize, after: Option<ReplayId>) -> Result<Vec<Trail>>;
}

/// One delivery of a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// What is told to whom; kept as it is when it is there already.
    pub job: Job,
    /// The progress as it was read; `None` when there was no such delivery.
    pub from: Option<Progress>,
    /// The progress as it is to be; for a new delivery always [`Progress::of`] the job.
    pub to: Progress,
}
