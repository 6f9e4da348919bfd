//! Dead letters.

use sl_core::{
    ids::{DeadLetterId, TeamId},
    step::DeadLetter,
    time::Timestamp,
};
use sl_store::Result;

use crate::{codec::decode, cql::Cql, days::hour, statements::statements};

statements!(
    /// Reading the tables of dead letters.
    Letters {
        hours: Read "SELECT hour FROM dead_letter_hours WHERE team = ? AND hour <= ?";
        of_hour: Read "SELECT value FROM dead_letters WHERE team = ? AND hour = ? LIMIT ?";
        before: Read "SELECT value FROM dead_letters
            WHERE team = ? AND hour = ? AND (at, id) < (?, ?) LIMIT ?";
        place: Read "SELECT team, at FROM dead_letter_places WHERE id = ?";
        one: Read "SELECT value FROM dead_letters WHERE team = ? AND hour = ? AND at = ? AND id = ?";
        counts: Read "SELECT count FROM dead_letter_counts WHERE always = 0";
    }
);

// === impl Letters ===

impl Letters {
    pub(super) async fn get(&self, cql: &Cql, team: TeamId, id: DeadLetterId) -> Result<Option<DeadLetter>> {
        let Some(at) = self.place(cql, team, id).await? else { return Ok(None) };
        let key = (team.0.cast_signed(), hour(at), at.0, id.to_bytes().to_vec());
        let row: Option<(Vec<u8>,)> = cql.row(&self.one, key).await?;
        row.map(|(value,)| decode(&value)).transpose()
    }

    /// When a letter of this team arrived.
    async fn place(&self, cql: &Cql, team: TeamId, id: DeadLetterId) -> Result<Option<Timestamp>> {
        let row: Option<(i64, i64)> = cql.row(&self.place, (id.to_bytes().as_slice(),)).await?;
        Ok(row.filter(|(owner, _)| *owner == team.0.cast_signed()).map(|(_, at)| Timestamp(at)))
    }

    /// The newest first, behind the place of `after`, which may have been revived meanwhile.
    pub(super) async fn list(
        &self,
        cql: &Cql,
        team: TeamId,
        limit: usize,
        after: Option<DeadLetterId>,
    ) -> Result<Vec<DeadLetter>> {
        let mut found: Vec<(Vec<u8>,)> = Vec::new();
        let mut last = i32::MAX;
        if let Some(id) = after {
            let at = id.received_at();
            last = hour(at).saturating_sub(1);
            let key = (team.0.cast_signed(), hour(at), at.0, id.to_bytes().to_vec(), most(limit));
            found.extend(cql.rows(&self.before, key).await?);
        }
        let hours: Vec<(i32,)> = cql.rows(&self.hours, (team.0.cast_signed(), last)).await?;
        for (hour,) in hours {
            let missing = limit.saturating_sub(found.len());
            if missing == 0 {
                break;
            }
            found.extend(cql.rows(&self.of_hour, (team.0.cast_signed(), hour, most(missing))).await?);
        }
        found.into_iter().take(limit).map(|(value,)| decode(&value)).collect()
    }

    /// How many dead letters there are, of all teams.
    pub(super) async fn count(&self, cql: &Cql) -> Result<u64> {
        let counts: Vec<(i64,)> = cql.rows(&self.counts, ()).await?;
        Ok(u64::try_from(counts.into_iter().map(|(count,)| count).sum::<i64>()).unwrap_or(0))
    }
}

/// A limit as CQL has it; 0 is none there.
fn most(limit: usize) -> i32 {
    i32::try_from(limit).unwrap_or(i32::MAX).max(1)
}
