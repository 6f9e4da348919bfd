//! Index rows of one delivery. See `schemas/cql/0005_outbox.cql` for their order and their times.

use std::sync::Arc;

use scylla::value::CqlValue;
use sl_core::{
    delivery::{DeliveryState, Destination, Job, Progress},
    ids::{AccountId, ClickId, DeliveryId, FanId, TeamId},
    time::Timestamp,
};
use sl_store::Result;

use super::{
    deliveries::Found,
    names::{ASIDE, day, destination_bytes, id_of, minute, quarter, state_code, team},
};
use crate::{
    catalog::stamp,
    cql::Cql,
    statements::statements,
    writes::{Write, blob, text},
};

statements!(Statements {
    put_due: Write "INSERT INTO outbox_due (destination, minute, due_at, id, change) VALUES (?, ?, ?, ?, ?)
        USING TIMESTAMP ?";
    remove_due: Write "DELETE FROM outbox_due USING TIMESTAMP ?
        WHERE destination = ? AND minute = ? AND due_at = ? AND id = ?";
    put_aside: Write "INSERT INTO outbox_aside (team, state, day, created_at, id, destination)
        VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ?";
    remove_aside: Write "DELETE FROM outbox_aside USING TIMESTAMP ?
        WHERE team = ? AND state = ? AND day = ? AND created_at = ? AND id = ?";
    put_fan: Write "INSERT INTO outbox_fans (destination, account, fan, occurred_at, id)
        VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?";
    remove_fan: Write "DELETE FROM outbox_fans USING TIMESTAMP ?
        WHERE destination = ? AND account = ? AND fan = ? AND occurred_at = ? AND id = ?";
    of_fan: Read "SELECT id FROM outbox_fans WHERE destination = ? AND account = ? AND fan = ?";
    put_made: Write "INSERT INTO outbox_made (team, quarter, created_at, id, destination, state)
        VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ?";
    put_state: Write "UPDATE outbox_made USING TIMESTAMP ? SET state = ?
        WHERE team = ? AND quarter = ? AND created_at = ? AND id = ?";
    remove_made: Write "DELETE FROM outbox_made USING TIMESTAMP ?
        WHERE team = ? AND quarter = ? AND created_at = ? AND id = ?";
    put_click: Write "INSERT INTO outbox_clicks (click, created_at, id) VALUES (?, ?, ?) USING TIMESTAMP ?";
    remove_click: Write "DELETE FROM outbox_clicks USING TIMESTAMP ? WHERE click = ? AND created_at = ? AND id = ?";
    of_click: Read "SELECT id FROM outbox_clicks WHERE click = ?";
    put_latest: Write "INSERT INTO outbox_latest (destination, id) VALUES (?, ?) USING TIMESTAMP ?";
    latest: Read "SELECT id FROM outbox_latest WHERE destination = ?";
});

/// The index tables that are asked by name.
pub(super) struct Places {
    cql: Arc<Cql>,
    statements: Statements,
}

// === impl Places ===

impl Places {
    pub(super) async fn new(cql: Arc<Cql>) -> Result<Self> {
        let statements = Statements::prepare(&cql).await?;
        Ok(Self { cql, statements })
    }

    /// Rows that say where a delivery is while it stands like this, since its change of that number.
    pub(super) fn enter(&self, job: &Job, progress: &Progress, change: i64, time: i64) -> Vec<Write> {
        let mut writes = Vec::new();
        let last = [CqlValue::BigInt(time)];
        if let Some(due) = progress.due() {
            let place = due_place(job, due).into_iter().chain([CqlValue::BigInt(change)]);
            writes.push(Write::new(&self.statements.put_due, place.chain(last.clone())));
            if let Some(fan) = &job.fan {
                let place = fan_place(job, fan).into_iter().chain(last);
                writes.push(Write::new(&self.statements.put_fan, place));
            }
        } else if ASIDE.contains(&progress.state) {
            let destination = [blob(destination_bytes(job.destination))];
            let place = aside_place(job, progress.state).into_iter().chain(destination).chain(last);
            writes.push(Write::new(&self.statements.put_aside, place));
        }
        writes
    }

    /// Removes the rows that [`Self::enter`] writes.
    pub(super) fn leave(&self, job: &Job, progress: &Progress, time: i64) -> Vec<Write> {
        let mut writes = Vec::new();
        let first = || std::iter::once(CqlValue::BigInt(time));
        if let Some(due) = progress.due() {
            writes.push(self.no_longer_due(job, due, time));
            if let Some(fan) = &job.fan {
                writes.push(Write::new(&self.statements.remove_fan, first().chain(fan_place(job, fan))));
            }
        } else if ASIDE.contains(&progress.state) {
            writes.push(self.no_longer_aside(job, progress.state, time));
        }
        writes
    }

    pub(super) fn no_longer_due(&self, job: &Job, due: Timestamp, time: i64) -> Write {
        let first = std::iter::once(CqlValue::BigInt(time));
        Write::new(&self.statements.remove_due, first.chain(due_place(job, due)))
    }

    /// A row in a queue whose delivery is gone.
    pub(super) fn no_delivery_due(
        &self,
        to: Destination,
        due: Timestamp,
        id: DeliveryId,
        time: i64,
    ) -> Write {
        let first = std::iter::once(CqlValue::BigInt(time));
        Write::new(&self.statements.remove_due, first.chain(due_row(to, due, id)))
    }

    pub(super) fn no_longer_aside(&self, job: &Job, state: DeliveryState, time: i64) -> Write {
        let first = std::iter::once(CqlValue::BigInt(time));
        Write::new(&self.statements.remove_aside, first.chain(aside_place(job, state)))
    }

    pub(super) fn no_longer_first(&self, job: &Job, fan: &FanId, time: i64) -> Write {
        let first = std::iter::once(CqlValue::BigInt(time));
        Write::new(&self.statements.remove_fan, first.chain(fan_place(job, fan)))
    }

    /// Rows of a delivery that stay: in the list of all, and with its click.
    pub(super) fn make(&self, job: &Job, progress: &Progress, time: i64) -> Vec<Write> {
        let (state, time) = (CqlValue::TinyInt(state_code(progress.state)), [CqlValue::BigInt(time)]);
        let destination = [blob(destination_bytes(job.destination)), state];
        let made = made_place(job).into_iter().chain(destination).chain(time.clone());
        let mut writes = vec![Write::new(&self.statements.put_made, made)];
        if let Some(click) = job.click {
            let click = click_place(click, job).into_iter().chain(time);
            writes.push(Write::new(&self.statements.put_click, click));
        }
        writes
    }

    /// A delivery that is gone leaves its click.
    pub(super) fn leave_click(&self, job: &Job, time: i64) -> Option<Write> {
        let click = click_place(job.click?, job);
        let values = std::iter::once(CqlValue::BigInt(time)).chain(click);
        Some(Write::new(&self.statements.remove_click, values))
    }

    /// A row in the list of all whose delivery is gone.
    pub(super) fn unmake_row(&self, team: TeamId, created_at: Timestamp, id: DeliveryId, time: i64) -> Write {
        let first = std::iter::once(CqlValue::BigInt(time));
        Write::new(&self.statements.remove_made, first.chain(made_row(team, created_at, id)))
    }

    /// The state in the list of all.
    pub(super) fn note_state(&self, found: &Found) -> Write {
        let job = &found.delivery.job;
        let state = CqlValue::TinyInt(state_code(found.delivery.progress.state));
        let register = [CqlValue::BigInt(found.altered()), state];
        Write::new(&self.statements.put_state, register.into_iter().chain(made_place(job)))
    }

    /// The newest attempt at a destination, by the attempt's own time.
    pub(super) fn note_latest(&self, job: &Job, at: Timestamp) -> Write {
        let destination = blob(destination_bytes(job.destination));
        let values = [destination, blob(job.id.to_bytes()), CqlValue::BigInt(stamp(at))];
        Write::new(&self.statements.put_latest, values)
    }

    pub(super) async fn latest(&self, destination: Destination) -> Result<Option<DeliveryId>> {
        let key = (destination_bytes(destination),);
        let found: Option<(Option<Vec<u8>>,)> = self.cql.row(&self.statements.latest, key).await?;
        found.and_then(|(id,)| id).map(|id| id_of(&id)).transpose()
    }

    pub(super) async fn of_click(&self, click: ClickId) -> Result<Vec<DeliveryId>> {
        let rows = self.cql.rows::<(Vec<u8>,)>(&self.statements.of_click, (click.to_bytes().to_vec(),));
        rows.await?.into_iter().map(|(id,)| id_of(&id)).collect()
    }

    /// Waiting deliveries of a fan to a destination, by when their events happened.
    pub(super) async fn of_fan(
        &self,
        to: Destination,
        account: &AccountId,
        fan: &FanId,
    ) -> Result<Vec<DeliveryId>> {
        let key = (destination_bytes(to), account.as_str(), fan.as_str());
        let rows: Vec<(Vec<u8>,)> = self.cql.rows(&self.statements.of_fan, key).await?;
        rows.into_iter().map(|(id,)| id_of(&id)).collect()
    }
}

fn due_place(job: &Job, due: Timestamp) -> [CqlValue; 4] {
    due_row(job.destination, due, job.id)
}

fn due_row(to: Destination, due: Timestamp, id: DeliveryId) -> [CqlValue; 4] {
    let minute = CqlValue::BigInt(minute(due));
    [blob(destination_bytes(to)), minute, CqlValue::BigInt(due.0), blob(id.to_bytes())]
}

fn fan_place(job: &Job, fan: &FanId) -> [CqlValue; 5] {
    [
        blob(destination_bytes(job.destination)),
        text(job.account.as_str()),
        text(fan.as_str()),
        CqlValue::BigInt(job.occurred_at.0),
        blob(job.id.to_bytes()),
    ]
}

fn aside_place(job: &Job, state: DeliveryState) -> [CqlValue; 5] {
    [
        CqlValue::BigInt(team(job.team)),
        CqlValue::TinyInt(state_code(state)),
        CqlValue::BigInt(day(job.created_at)),
        CqlValue::BigInt(job.created_at.0),
        blob(job.id.to_bytes()),
    ]
}

fn made_place(job: &Job) -> [CqlValue; 4] {
    made_row(job.team, job.created_at, job.id)
}

fn made_row(of: TeamId, created_at: Timestamp, id: DeliveryId) -> [CqlValue; 4] {
    let quarter = CqlValue::BigInt(quarter(created_at));
    [CqlValue::BigInt(team(of)), quarter, CqlValue::BigInt(created_at.0), blob(id.to_bytes())]
}

fn click_place(click: ClickId, job: &Job) -> [CqlValue; 3] {
    [blob(click.to_bytes()), CqlValue::BigInt(job.created_at.0), blob(job.id.to_bytes())]
}
