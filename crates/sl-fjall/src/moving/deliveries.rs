//! Deliveries with all that was written about them, destinations that rest, replays.

use sl_core::{
    delivery::{Delivery, Job, Progress},
    replay::Trail,
};
use sl_store::{
    Result,
    moving::{Page, Rows, WholeDelivery},
};

use super::scan::Scan;
use crate::{
    codec::decode,
    db::{Db, damaged, read, scan},
    layout::{ATTEMPT, JOB, Key, PROGRESS, RESTING, Reader, TRAIL},
};

pub(super) fn page(db: &Db, after: Option<&[u8]>, limit: usize) -> Result<Page> {
    let all = Key::table(JOB);
    let found = Scan { all: &all, after, limit }.values::<Job>(&db.outbox, db)?;
    let found = found.map(|job| whole(db, job))?;
    Ok(Page { rows: Rows::Deliveries(found.rows), next: found.next })
}

fn whole(db: &Db, job: Job) -> Result<WholeDelivery> {
    let id = job.id.to_bytes();
    let progress: Option<Progress> = read(&db.outbox, &Key::table(PROGRESS).id(id))?;
    let is_touched = progress.is_some();
    let progress = progress.unwrap_or_else(|| Progress::of(&job));
    Ok(WholeDelivery {
        is_touched,
        attempts: match is_touched {
            true => scan(&db.snapshot(), &db.outbox, &Key::table(ATTEMPT).id(id))?,
            false => Vec::new(),
        },
        body: read(&db.bodies, &Key::bare().id(id))?,
        delivery: Delivery { job, progress },
    })
}

pub(super) fn rests(db: &Db, after: Option<&[u8]>, limit: usize) -> Result<Page> {
    let all = Key::table(RESTING);
    let found = Scan { all: &all, after, limit }.raw(&db.outbox, db)?.map(|(key, value)| {
        let mut fields = Reader(&key);
        let to = fields.skip(1).and_then(|()| fields.destination());
        Ok((to.ok_or_else(|| damaged("the key of a destination that rests"))?, decode(&value)?))
    })?;
    Ok(Page { rows: Rows::Rests(found.rows), next: found.next })
}

pub(super) fn trails(db: &Db, after: Option<&[u8]>, limit: usize) -> Result<Page> {
    let all = Key::table(TRAIL);
    let found = Scan { all: &all, after, limit }.values::<Trail>(&db.outbox, db)?;
    Ok(Page { rows: Rows::Trails(found.rows), next: found.next })
}
