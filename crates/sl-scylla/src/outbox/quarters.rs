//! Deliveries of a team by when they were made: which quarters of an hour have some, the lists, and how many are in which
//! state.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use parking_lot::Mutex;
use scylla::value::CqlValue;
use sl_core::{
    delivery::DeliveryState,
    ids::{DeliveryId, TeamId},
    time::Timestamp,
};
use sl_store::Result;

use super::names::{LANES, end_of_quarter, id_of, lane, quarter, state_code, team};
use crate::{
    codec::{decode, encode},
    cql::Cql,
    statements::statements,
    writes::Write,
};

/// A process that goes on changing deliveries of a quarter says so again after this time.
const SAY_AGAIN: Duration = Duration::from_secs(20);
/// A quarter is quiet when nobody has meant to change it for that long, in microseconds: an hour, more than clocks differ.
const QUIET: i64 = 3_600_000_000;
/// Partitions read at once.
const AT_ONCE: usize = 16;
/// Words of this process kept in memory.
const SAID: usize = 65_536;

statements!(Statements {
    say: Write "INSERT INTO outbox_quarters (lane, team, quarter, writer, at) VALUES (?, ?, ?, ?, ?)
        USING TIMESTAMP ?";
    unsay: Write "DELETE FROM outbox_quarters USING TIMESTAMP ?
        WHERE lane = ? AND team = ? AND quarter = ? AND writer = ?";
    of_lane: Read "SELECT team, quarter, writer, at FROM outbox_quarters WHERE lane = ?";
    of_team: Read "SELECT quarter FROM outbox_quarters WHERE lane = ? AND team = ?";
    put_tally: Write "INSERT INTO outbox_tallies (lane, team, quarter, counts, seen) VALUES (?, ?, ?, ?, ?)";
    tallies: Read "SELECT team, quarter, counts, seen FROM outbox_tallies WHERE lane = ?";
    remove_tally: Write "DELETE FROM outbox_tallies WHERE lane = ? AND team = ? AND quarter = ?";
    states: Read "SELECT state FROM outbox_made WHERE team = ? AND quarter = ?";
    newest: Read "SELECT created_at, id, destination, state FROM outbox_made
        WHERE team = ? AND quarter = ? AND (created_at, id) < (?, ?) LIMIT ?";
    oldest: Read "SELECT created_at, id FROM outbox_made
        WHERE team = ? AND quarter = ? AND (created_at, id) > (?, ?) AND (created_at) < (?)
        ORDER BY created_at ASC, id ASC LIMIT ?";
    aside: Read "SELECT created_at, id, destination, state FROM outbox_aside
        WHERE team = ? AND state = ? AND day = ? AND (created_at, id) < (?, ?) LIMIT ?";
    remove_run: Write "DELETE FROM outbox_made USING TIMESTAMP ?
        WHERE team = ? AND quarter = ? AND (created_at, id) > (?, ?) AND (created_at, id) <= (?, ?)";
    remove_made: Write "DELETE FROM outbox_made USING TIMESTAMP ? WHERE team = ? AND quarter = ?";
});

/// Counts by state code.
pub(super) type Tally = [u64; 5];

/// Processes that said that they change deliveries of a quarter, each with the time at which it said so; ascending.
pub(super) type Said = Vec<(i64, i64)>;

/// Quarters with deliveries.
pub(super) type Quarters = BTreeMap<(TeamId, i64), Said>;

/// A row of a list.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub(super) created_at: Timestamp,
    pub(super) id: DeliveryId,
    pub(super) destination: Option<Vec<u8>>,
    pub(super) state: Option<i8>,
}

/// A place in a list: creation and id. Lists go on behind it.
pub(super) type Place = (Timestamp, Vec<u8>);

/// The place before everything in a list that has the newest first.
pub(super) fn top() -> Place {
    (Timestamp(i64::MAX), vec![0xff; 17])
}

/// The place before everything in a list that has the oldest first.
pub(super) fn bottom() -> Place {
    (Timestamp(i64::MIN), Vec::new())
}

/// The tables.
pub(super) struct Made {
    cql: Arc<Cql>,
    statements: Statements,
    /// The number of this process among the writers of `outbox_quarters`.
    writer: i64,
    said: Mutex<HashMap<(TeamId, i64), Instant>>,
}

type Row = (i64, Vec<u8>, Option<Vec<u8>>, Option<i8>);

// === impl Made ===

impl Made {
    pub(super) async fn new(cql: Arc<Cql>) -> Result<Self> {
        let statements = Statements::prepare(&cql).await?;
        Ok(Self { writer: cql.micros(), cql, statements, said: Mutex::default() })
    }

    /// Says that deliveries of these times are about to change, before they do.
    pub(super) async fn say(&self, changed: impl IntoIterator<Item = (TeamId, Timestamp)>) -> Result<()> {
        let now = Instant::now();
        let mut quarters: Vec<_> = changed.into_iter().map(|(team, at)| (team, quarter(at))).collect();
        quarters.sort_unstable();
        quarters.dedup();
        {
            let said = self.said.lock();
            quarters.retain(|place| said.get(place).is_none_or(|at| now - *at >= SAY_AGAIN));
        }
        let at = CqlValue::BigInt(self.cql.micros());
        let say = |(of, quarter): &(TeamId, i64)| {
            let writer = CqlValue::BigInt(self.writer);
            let place = [CqlValue::Int(lane(*of)), CqlValue::BigInt(team(*of)), CqlValue::BigInt(*quarter)];
            Write::new(&self.statements.say, place.into_iter().chain([writer, at.clone(), at.clone()]))
        };
        self.cql.write_all(quarters.iter().map(say).collect()).await?;
        let mut said = self.said.lock();
        if said.len() > SAID {
            said.clear();
        }
        said.extend(quarters.into_iter().map(|place| (place, now)));
        Ok(())
    }

    /// All quarters of all teams.
    pub(super) async fn all(&self) -> Result<Quarters> {
        let lanes = stream::iter(0..LANES).map(|lane| async move {
            self.cql.rows::<(i64, i64, i64, Option<i64>)>(&self.statements.of_lane, (lane,)).await
        });
        let rows: Vec<Vec<_>> = lanes.buffer_unordered(AT_ONCE).try_collect().await?;
        let mut quarters = Quarters::new();
        for (of, quarter, writer, at) in rows.into_iter().flatten() {
            let said = quarters.entry((TeamId(of.cast_unsigned()), quarter)).or_default();
            said.extend(at.map(|at| (writer, at)));
        }
        quarters.values_mut().for_each(|said| said.sort_unstable());
        Ok(quarters)
    }

    /// Quarters of a team, the newest first.
    pub(super) async fn of_team(&self, of: TeamId) -> Result<Vec<i64>> {
        let rows: Vec<(i64,)> = self.cql.rows(&self.statements.of_team, (lane(of), team(of))).await?;
        let mut quarters: Vec<_> = rows.into_iter().map(|(quarter,)| quarter).collect();
        quarters.sort_unstable_by(|a, b| b.cmp(a));
        quarters.dedup();
        Ok(quarters)
    }

    /// Deliveries of a quarter behind a place, the newest first.
    pub(super) async fn newest(
        &self,
        of: TeamId,
        quarter: i64,
        after: &Place,
        most: i32,
    ) -> Result<Vec<Listed>> {
        let values = (team(of), quarter, after.0.0, &after.1, most);
        self.cql.rows::<Row>(&self.statements.newest, values).await?.into_iter().map(listed).collect()
    }

    /// A page of a day's deliveries that came to another end than delivery, the newest first.
    pub(super) async fn aside(
        &self,
        of: TeamId,
        state: DeliveryState,
        day: i64,
        after: &Place,
        most: i32,
    ) -> Result<Vec<Listed>> {
        let values = (team(of), state_code(state), day, after.0.0, &after.1, most);
        self.cql.rows::<Row>(&self.statements.aside, values).await?.into_iter().map(listed).collect()
    }

    /// Deliveries of a quarter made before `before`, behind a place, the oldest first.
    pub(super) async fn oldest(
        &self,
        of: TeamId,
        quarter: i64,
        after: &Place,
        before: Timestamp,
        most: i32,
    ) -> Result<Vec<(Timestamp, DeliveryId)>> {
        let values = (team(of), quarter, after.0.0, &after.1, before.0, most);
        let rows: Vec<(i64, Vec<u8>)> = self.cql.rows(&self.statements.oldest, values).await?;
        rows.into_iter().map(|(at, id)| Ok((Timestamp(at), id_of(&id)?))).collect()
    }

    /// Removes the rows of a quarter behind one place up to another.
    pub(super) async fn remove_run(
        &self,
        (of, quarter): (TeamId, i64),
        from: &Place,
        to: &Place,
        time: i64,
    ) -> Result<()> {
        let values = (time, team(of), quarter, from.0.0, &from.1, to.0.0, &to.1);
        self.cql.run(&self.statements.remove_run, values).await
    }

    /// How many deliveries are in which state, and how many rows were read for that. A quarter that has been quiet since it
    /// was counted is not counted again.
    pub(super) async fn count(&self) -> Result<(Tally, u64)> {
        // Who changes something says so first: what is read here is not newer than what is counted behind it.
        let quarters = self.all().await?;
        let known = self.tallies().await?;
        let known = &known;
        let tallies = stream::iter(quarters).map(|(place, said)| async move {
            match known.get(&place) {
                Some((tally, seen)) if *seen == said => Ok((*tally, 1)),
                _ => self.count_quarter(place, said).await,
            }
        });
        let add = |(mut sum, rows): (Tally, u64), (tally, read): (Tally, u64)| async move {
            sum.iter_mut().zip(tally).for_each(|(sum, count)| *sum += count);
            Ok((sum, rows + read))
        };
        tallies.buffer_unordered(AT_ONCE).try_fold(Default::default(), add).await
    }

    async fn count_quarter(&self, (of, quarter): (TeamId, i64), said: Said) -> Result<(Tally, u64)> {
        let mut tally = Tally::default();
        let rows: Vec<(Option<i8>,)> = self.cql.rows(&self.statements.states, (team(of), quarter)).await?;
        let read = rows.len() as u64;
        for (state,) in rows {
            let state = state.and_then(|state| usize::try_from(state).ok());
            if let Some(count) = state.and_then(|state| tally.get_mut(state)) {
                *count += 1;
            }
        }
        if self.is_quiet(&said) {
            let values = (lane(of), team(of), quarter, encode(&tally)?, encode(&said)?);
            self.cql.run(&self.statements.put_tally, values).await?;
        }
        Ok((tally, read))
    }

    async fn tallies(&self) -> Result<HashMap<(TeamId, i64), (Tally, Said)>> {
        type Row = (i64, i64, Option<Vec<u8>>, Option<Vec<u8>>);
        let lanes = stream::iter(0..LANES)
            .map(|lane| async move { self.cql.rows::<Row>(&self.statements.tallies, (lane,)).await });
        let rows: Vec<Vec<Row>> = lanes.buffer_unordered(AT_ONCE).try_collect().await?;
        let read = |(of, quarter, counts, seen): Row| {
            let tally = (decode(&counts.unwrap_or_default())?, decode(&seen.unwrap_or_default())?);
            Ok(((TeamId(of.cast_unsigned()), quarter), tally))
        };
        rows.into_iter().flatten().map(read).collect()
    }

    /// Everything that was announced has been done, or has failed, since.
    fn is_quiet(&self, said: &Said) -> bool {
        let now = self.cql.micros();
        said.iter().all(|(_, at)| now.saturating_sub(*at) > QUIET)
    }

    /// Removes a quarter that lies behind and in which nothing was found, as far as it is quiet: exactly the words that were
    /// read before, and one mark over all rows that were removed singly.
    pub(super) async fn close(
        &self,
        (of, quarter): (TeamId, i64),
        said: &Said,
        before: Timestamp,
    ) -> Result<()> {
        if !self.is_quiet(said) || end_of_quarter(quarter) > before {
            return Ok(());
        }
        let newest = said.iter().map(|(_, at)| *at).max().unwrap_or(0);
        self.cql.run(&self.statements.remove_made, (newest, team(of), quarter)).await?;
        self.cql.run(&self.statements.remove_tally, (lane(of), team(of), quarter)).await?;
        for (writer, at) in said {
            let values = (*at, lane(of), team(of), quarter, *writer);
            self.cql.run(&self.statements.unsay, values).await?;
        }
        Ok(())
    }
}

fn listed((created_at, id, destination, state): Row) -> Result<Listed> {
    Ok(Listed { created_at: Timestamp(created_at), id: id_of(&id)?, destination, state })
}
