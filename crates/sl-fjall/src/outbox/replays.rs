//! Deliveries that are taken up again, and a row of each replay.

use async_trait::async_trait;
use sl_core::{
    ids::{ReplayId, TeamId},
    replay::Trail,
};
use sl_store::{
    Result,
    outbox::{Renewal, Replays},
};

use super::{FjallOutbox, write};
use crate::{
    codec::decode,
    db::{commit, failed, put, read},
    layout::{Key, TRAIL},
};

#[async_trait]
impl Replays for FjallOutbox {
    async fn renew(&self, renewals: Vec<Renewal>, trail: Option<Trail>) -> Result<usize> {
        self.locked(move |db, books| {
            let mut batch = db.batch();
            let renewed = write::renew(db, books, &mut batch, &renewals)?;
            if let Some(mut trail) = trail {
                trail.replayed = trail.replayed.saturating_add(renewed as u64);
                put(&mut batch, &db.outbox, trail_key(trail.team, trail.id), &trail)?;
            }
            commit(batch)?;
            Ok(renewed)
        })
        .await
    }

    async fn trail(&self, team: TeamId, id: ReplayId) -> Result<Option<Trail>> {
        read(&self.db.outbox, &trail_key(team, id))
    }

    async fn trails(&self, team: TeamId, limit: usize, after: Option<ReplayId>) -> Result<Vec<Trail>> {
        let all = Key::table(TRAIL).u64(team.0);
        let end = match after {
            Some(after) => trail_key(team, after),
            None => all.clone().raw(&[0xff; 17]),
        };
        let rows = self.db.outbox.range::<Key, _>(all..end).rev().take(limit);
        rows.map(|row| row.value().map_err(failed).and_then(|bytes| decode(&bytes))).collect()
    }
}

fn trail_key(team: TeamId, id: ReplayId) -> Key {
    Key::table(TRAIL).u64(team.0).id(id.to_bytes())
}
