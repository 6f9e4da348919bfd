//! New deliveries: the jobs of a step, and those that a replay enters.

use std::{collections::HashSet, sync::Arc};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sl_core::delivery::{Job, Progress};
use sl_store::Result;

use super::{Tables, deliveries::Found};

/// Jobs asked for at once.
const AT_ONCE: usize = 64;

/// Writes jobs.
pub(crate) struct Jobs(Arc<Tables>);

// === impl Jobs ===

impl Jobs {
    pub(crate) fn new(tables: Arc<Tables>) -> Self {
        Self(tables)
    }

    /// The jobs that are not stored yet, each once.
    pub(crate) async fn unknown(&self, jobs: Vec<Job>) -> Result<Vec<Job>> {
        let mut seen = HashSet::new();
        let once: Vec<_> = jobs.into_iter().filter(|job| seen.insert(job.id)).collect();
        let asked = stream::iter(once).map(|job| async move {
            let known = self.0.deliveries.is_known(job.id).await?;
            Ok((!known).then_some(job))
        });
        let unknown: Vec<Option<Job>> = asked.buffered(AT_ONCE).try_collect().await?;
        Ok(unknown.into_iter().flatten().collect())
    }

    /// Writes the jobs of a step under its number, however often. A job comes before the rows that lead to it: who finds a
    /// row without a job may remove it.
    pub(crate) async fn write(&self, jobs: &[Job], number: i64) -> Result<()> {
        if jobs.is_empty() {
            return Ok(());
        }
        self.0.made.say(jobs.iter().map(|job| (job.team, job.created_at))).await?;
        let rows = jobs.iter().map(|job| self.0.deliveries.put_job(job, number)).collect::<Result<_>>()?;
        self.0.cql.write_all(rows).await?;
        self.lead_to(jobs, number).await
    }

    async fn lead_to(&self, jobs: &[Job], time: i64) -> Result<()> {
        let (mut rows, mut due) = (Vec::new(), Vec::new());
        for job in jobs {
            let progress = Progress::of(job);
            rows.extend(self.0.places.make(job, &progress, time));
            rows.extend(self.0.places.enter(job, &progress, 0, time));
            due.extend(progress.due().map(|due| (job.destination, due)));
        }
        self.0.cql.write_all(rows).await?;
        self.0.queue.note(due).await
    }

    /// Enters a job whose id was taken by a conditional write: here the rows that lead to it come first, since nobody comes
    /// back to finish this. They are removed by nobody, because the id is taken.
    pub(super) async fn enter(&self, job: &Job) -> Result<()> {
        let time = self.0.cql.micros();
        self.0.made.say([(job.team, job.created_at)]).await?;
        // The taking was the first change.
        let found = Found {
            delivery: sl_core::delivery::Delivery { job: job.clone(), progress: Progress::of(job) },
            made: time,
            change: Some(1),
        };
        let mut rows = self.0.places.make(job, &found.delivery.progress, found.altered());
        rows.extend(self.0.places.enter(job, &found.delivery.progress, 1, found.added()));
        self.0.cql.write_all(rows).await?;
        let due = found.delivery.progress.due();
        self.0.queue.note(due.map(|due| (job.destination, due))).await?;
        self.0.cql.write_all(vec![self.0.deliveries.put_job(job, time)?]).await
    }
}
