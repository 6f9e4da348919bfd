//! Deliveries that come from another store, with everything that was written about them.

use sl_core::{breaker::Resting, delivery::Destination, replay::Trail};
use sl_store::{Result, moving::WholeDelivery};

use super::{Tables, deliveries::Found};
use crate::catalog::stamp;

// === impl Tables ===

impl Tables {
    /// Writes deliveries, then the rows that lead to them. A job carries `number`, as one of a step does.
    pub(crate) async fn put_whole(&self, deliveries: Vec<WholeDelivery>, number: i64) -> Result<()> {
        let jobs = || deliveries.iter().map(|whole| &whole.delivery.job);
        self.made.say(jobs().map(|job| (job.team, job.created_at))).await?;
        let mut rows = Vec::with_capacity(2 * deliveries.len());
        for whole in &deliveries {
            let job = &whole.delivery.job;
            rows.push(self.deliveries.put_job(job, number)?);
            // When the job was made nobody had worked at it.
            rows.extend(self.deliveries.put_whole(whole, stamp(job.created_at).min(number - 1))?);
        }
        self.cql.write_all(rows).await?;
        let (mut rows, mut due) = (Vec::new(), Vec::new());
        for whole in deliveries {
            let (attempted, is_touched) = (whole.attempts.last().map(|last| last.at), whole.is_touched);
            let found = Found { delivery: whole.delivery, made: number, change: is_touched.then_some(1) };
            let (job, progress) = (&found.delivery.job, &found.delivery.progress);
            let (change, added) = if is_touched { (1, found.added()) } else { (0, number) };
            rows.extend(self.places.make(job, progress, found.altered()));
            rows.extend(self.places.enter(job, progress, change, added));
            rows.extend(attempted.map(|at| self.places.note_latest(job, at)));
            due.extend(progress.due().map(|due| (job.destination, due)));
        }
        self.cql.write_all(rows).await?;
        self.queue.note(due).await
    }

    /// Destinations that rest.
    pub(crate) async fn put_rests(&self, rests: Vec<(Destination, Resting)>) -> Result<()> {
        for (to, resting) in rests {
            self.rests.rest(to, Some(resting)).await?;
        }
        Ok(())
    }

    /// Replays that were asked for.
    pub(crate) async fn put_trails(&self, trails: &[Trail]) -> Result<()> {
        for trail in trails {
            self.trails.put(trail).await?;
        }
        Ok(())
    }
}
