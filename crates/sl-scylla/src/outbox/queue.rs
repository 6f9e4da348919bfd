//! Waiting deliveries by the minute they are due in.
//!
//! A queue in a table that only grows at one end dies of its tombstones: what was sent leaves one, and who looks for the
//! oldest crosses all of them. Here a minute is a partition of its own, and which minutes have something is a
//! small table: what lies behind is never read again.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use parking_lot::Mutex;
use scylla::value::CqlValue;
use sl_core::{delivery::Destination, ids::DeliveryId, time::Timestamp};
use sl_store::{
    Result,
    outbox::{SHARDS, shard_of},
};

use super::{
    names::{begin_of_minute, destination_bytes, destination_of, id_of, minute},
    rests::{Asleep, Rests},
};
use crate::{
    cql::Cql,
    statements::statements,
    writes::{Write, blob},
};

/// A reader begins where it found the first row, and once in this time at the beginning: what another process enters before
/// that place waits for it. So a busy minute is crossed once a second, not with every few deliveries.
const FROM_THE_BEGINNING: Duration = Duration::from_secs(1);
/// Places remembered.
const FLOORS: usize = 10_000;
/// Destinations or shards looked at at once.
const AT_ONCE: usize = 16;

statements!(Statements {
    note: Write "INSERT INTO outbox_minutes (shard, destination, minute, writer, at) VALUES (?, ?, ?, ?, ?)
        USING TIMESTAMP ?";
    forget: Write "DELETE FROM outbox_minutes USING TIMESTAMP ?
        WHERE shard = ? AND destination = ? AND minute = ? AND writer = ?";
    of_shard: Read "SELECT destination, minute, writer, at FROM outbox_minutes WHERE shard = ?";
    of_destination: Read "SELECT destination, minute, writer, at FROM outbox_minutes
        WHERE shard = ? AND destination = ?";
    of_destination_from: Read "SELECT minute FROM outbox_minutes
        WHERE shard = ? AND destination = ? AND minute >= ?";
    first: Read "SELECT due_at FROM outbox_due
        WHERE destination = ? AND minute = ? AND (due_at, id) > (?, ?) LIMIT 1";
    page: Read "SELECT due_at, id, change FROM outbox_due
        WHERE destination = ? AND minute = ? AND (due_at, id) > (?, ?) AND (due_at) <= (?) LIMIT ?";
    times: Read "SELECT due_at FROM outbox_due WHERE destination = ? AND minute = ? AND due_at <= ?";
});

/// Minutes in which something is due, each with the writers that said so and when.
type Minutes = BTreeMap<(Destination, i64), Vec<(i64, i64)>>;

/// The queues of all destinations.
pub(super) struct Queue {
    cql: Arc<Cql>,
    statements: Statements,
    /// The number of this process among the writers of `outbox_minutes`.
    writer: i64,
    /// Due time before which a minute has no row, and when that was found.
    floors: Mutex<HashMap<(Destination, i64), (Instant, Timestamp)>>,
}

/// Where a reader of one minute has got to.
pub(super) type Cursor = (Timestamp, Vec<u8>);

/// A row of the queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    pub(super) at: Timestamp,
    pub(super) id: DeliveryId,
    /// Number of the change that added it.
    pub(super) change: i64,
}

// === impl Queue ===

impl Queue {
    pub(super) async fn new(cql: Arc<Cql>) -> Result<Self> {
        let statements = Statements::prepare(&cql).await?;
        Ok(Self { writer: cql.micros(), cql, statements, floors: Mutex::default() })
    }

    /// Says that some minutes have something. Called when their rows are acknowledged, and it takes its time after that:
    /// whoever has read an earlier word of ours, looked and found nothing may remove that word, but not this one.
    pub(super) async fn note(&self, due: impl IntoIterator<Item = (Destination, Timestamp)>) -> Result<()> {
        let minutes: BTreeSet<_> = due.into_iter().map(|(to, due)| (to, minute(due))).collect();
        {
            let mut floors = self.floors.lock();
            floors.retain(|minute, _| !minutes.contains(minute));
        }
        let at = self.cql.micros();
        let note = |(to, minute): (Destination, i64)| {
            Write::new(
                &self.statements.note,
                [
                    CqlValue::Int(shard(to)),
                    blob(destination_bytes(to)),
                    CqlValue::BigInt(minute),
                    CqlValue::BigInt(self.writer),
                    CqlValue::BigInt(at),
                    CqlValue::BigInt(at),
                ],
            )
        };
        self.cql.write_all(minutes.into_iter().map(note).collect()).await
    }

    /// Destinations of a shard with something due by `now` that do not rest then, each with its oldest due time.
    pub(super) async fn due_in(
        &self,
        rests: &Rests,
        shard: u32,
        now: Timestamp,
    ) -> Result<Vec<(Destination, Timestamp)>> {
        let (mut minutes, asleep) =
            futures_util::try_join!(self.minutes_of_shard(shard), rests.of_shard(shard))?;
        minutes.retain(|(to, at), _| *at <= minute(now) && !asleep.rests(*to, now));
        let mut destinations: Vec<Destination> = minutes.keys().map(|(to, _)| *to).collect();
        destinations.dedup();
        let minutes = &minutes;
        let firsts = stream::iter(destinations)
            .map(|to| async move { (to, self.first_of(to, minutes, minute(now)).await) });
        let firsts: Vec<(Destination, Result<Option<Timestamp>>)> = firsts.buffered(AT_ONCE).collect().await;
        let due = firsts.into_iter().filter_map(|(to, first)| match first {
            Ok(first) => Some((to, first.filter(|first| *first <= now)?)),
            // A minute that can't be read, of which too much was sent, say, stops nobody but its own destination.
            Err(error) => {
                tracing::warn!(destination = %to, %error, "what is due can't be read; it is tried again");
                None
            }
        });
        Ok(due.collect())
    }

    /// What [`Self::due_in`] says of all shards, by destination.
    pub(super) async fn due_everywhere(
        &self,
        rests: &Rests,
        now: Timestamp,
    ) -> Result<Vec<(Destination, Timestamp)>> {
        let shards = stream::iter(0..SHARDS).map(|shard| self.due_in(rests, shard, now));
        let mut due = shards.buffer_unordered(AT_ONCE).try_concat().await?;
        due.sort_unstable();
        Ok(due)
    }

    /// When the first of all is due, of those that rest after their rest.
    pub(super) async fn next_due(&self, asleep: &Asleep) -> Result<Option<Timestamp>> {
        let mut minutes: Vec<(Timestamp, Destination, i64)> = self
            .minutes_everywhere()
            .await?
            .into_iter()
            .map(|(to, at)| (begin_of_minute(at).max(asleep.rested_at(to)), to, at))
            .collect();
        minutes.sort_unstable();
        let mut found: Option<Timestamp> = None;
        for (earliest, to, at) in minutes {
            if found.is_some_and(|found| found <= earliest) {
                break;
            }
            let first = self.first(to, at, beginning()).await?.map(|first| first.max(asleep.rested_at(to)));
            found = found.into_iter().chain(first).min();
        }
        Ok(found)
    }

    /// Every minute of every destination that may have something, in order.
    pub(super) async fn minutes_everywhere(&self) -> Result<BTreeSet<(Destination, i64)>> {
        let shards = stream::iter(0..SHARDS).map(|shard| self.minutes_of_shard(shard));
        let shards: Vec<Minutes> = shards.buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(shards.into_iter().flat_map(Minutes::into_keys).collect())
    }

    /// Minutes of a destination from one on, ascending.
    pub(super) async fn minutes_from(&self, to: Destination, from: i64) -> Result<BTreeSet<i64>> {
        let key = (shard(to), destination_bytes(to), from);
        let rows: Vec<(i64,)> = self.cql.rows(&self.statements.of_destination_from, key).await?;
        Ok(rows.into_iter().map(|(minute,)| minute).collect())
    }

    /// Minutes of a destination that may have something by `now`, ascending.
    pub(super) async fn minutes(&self, to: Destination, now: Timestamp) -> Result<Vec<i64>> {
        let key = (shard(to), destination_bytes(to));
        let minutes = self.read_minutes(self.cql.rows(&self.statements.of_destination, key).await?)?;
        Ok(minutes.into_keys().map(|(_, at)| at).filter(|at| *at <= minute(now)).collect())
    }

    /// Where to begin reading a minute.
    pub(super) fn floor(&self, to: Destination, minute: i64) -> Cursor {
        let floors = self.floors.lock();
        let known = floors.get(&(to, minute)).filter(|(at, _)| at.elapsed() < FROM_THE_BEGINNING);
        known.map_or_else(beginning, |(_, first)| (Timestamp(first.0.saturating_sub(1)), vec![0xff; 17]))
    }

    /// Remembers the first row that was found behind `from`. When there was none the place where the last one was stays: there is
    /// none before it either.
    pub(super) fn note_floor(&self, to: Destination, minute: i64, from: &Cursor, first: Option<Timestamp>) {
        let mut floors = self.floors.lock();
        let known = floors.get(&(to, minute)).copied();
        // Forgotten while this was read: something was entered.
        let since = if *from == beginning() { Some(Instant::now()) } else { known.map(|(since, _)| since) };
        let Some(floor) = since.zip(first.or(known.map(|(_, first)| first))) else { return };
        if floors.len() > FLOORS {
            floors.clear();
        }
        floors.insert((to, minute), floor);
    }

    /// Rows of a minute behind `after`, due by `now`.
    pub(super) async fn page(
        &self,
        to: Destination,
        minute: i64,
        after: Cursor,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Due>> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let values = (destination_bytes(to), minute, after.0.0, after.1, now.0, limit);
        let rows: Vec<(i64, Vec<u8>, Option<i64>)> = self.cql.rows(&self.statements.page, values).await?;
        let due = rows.into_iter().map(|(due, id, change)| {
            Ok(Due { at: Timestamp(due), id: id_of(&id)?, change: change.unwrap_or(0) })
        });
        due.collect()
    }

    /// How many are due by `now` at destinations that do not rest: as many rows are read.
    pub(super) async fn count(&self, asleep: &Asleep, now: Timestamp) -> Result<u64> {
        let minutes = self.minutes_everywhere().await?.into_iter();
        let minutes = minutes.filter(|(to, at)| *at <= minute(now) && !asleep.rests(*to, now));
        let counts = stream::iter(minutes).map(|(to, minute)| async move {
            let key = (destination_bytes(to), minute, now.0);
            let rows: Vec<(i64,)> = self.cql.rows(&self.statements.times, key).await?;
            Ok(rows.len() as u64)
        });
        counts.buffer_unordered(AT_ONCE).try_fold(0, |sum, count| async move { Ok(sum + count) }).await
    }

    /// The first row of a destination up to a minute, as far as its readers have got. A minute that is over and has none from the
    /// beginning on is forgotten.
    async fn first_of(&self, to: Destination, minutes: &Minutes, now: i64) -> Result<Option<Timestamp>> {
        for ((_, minute), said) in minutes.range((to, i64::MIN)..=(to, now)) {
            let (floor, is_over) = (self.floor(to, *minute), *minute < now);
            let judges = is_over && floor != beginning();
            let mut first = self.first(to, *minute, floor).await?;
            if first.is_none() && judges {
                first = self.first(to, *minute, beginning()).await?;
                // So that readers find it as well.
                self.floors.lock().remove(&(to, *minute));
            }
            if first.is_some() {
                return Ok(first);
            }
            if is_over {
                self.forget(to, *minute, said).await?;
            }
        }
        Ok(None)
    }

    /// The first row of a minute behind `from`.
    async fn first(&self, to: Destination, minute: i64, from: Cursor) -> Result<Option<Timestamp>> {
        let values = (destination_bytes(to), minute, from.0.0, from.1);
        let first: Option<(i64,)> = self.cql.row(&self.statements.first, values).await?;
        Ok(first.map(|(due,)| Timestamp(due)))
    }

    /// Removes exactly the words that were read before the minute was found empty.
    async fn forget(&self, to: Destination, minute: i64, said: &[(i64, i64)]) -> Result<()> {
        let forget = |(writer, at): &(i64, i64)| {
            Write::new(
                &self.statements.forget,
                [
                    CqlValue::BigInt(*at),
                    CqlValue::Int(shard(to)),
                    blob(destination_bytes(to)),
                    CqlValue::BigInt(minute),
                    CqlValue::BigInt(*writer),
                ],
            )
        };
        self.cql.write_all(said.iter().map(forget).collect()).await
    }

    async fn minutes_of_shard(&self, shard: u32) -> Result<Minutes> {
        let key = (shard.cast_signed(),);
        self.read_minutes(self.cql.rows(&self.statements.of_shard, key).await?)
    }

    fn read_minutes(&self, rows: Vec<(Vec<u8>, i64, i64, Option<i64>)>) -> Result<Minutes> {
        let mut minutes = Minutes::new();
        for (to, minute, writer, at) in rows {
            let said = minutes.entry((destination_of(&to)?, minute)).or_default();
            said.extend(at.map(|at| (writer, at)));
        }
        Ok(minutes)
    }
}

fn shard(to: Destination) -> i32 {
    shard_of(to).cast_signed()
}

/// The place before every row of a minute.
fn beginning() -> Cursor {
    (Timestamp(i64::MIN), Vec::new())
}

#[cfg(test)]
mod tests {
    use sl_core::{ids::PixelId, step::Step};
    use sl_store::suite::sample::{self, HOUR, after};

    use super::*;
    use crate::{connect, outbox::Tables, schema};

    const TO: Destination = Destination::Pixel(PixelId(1));

    /// On a server. A floor that does not grow old: whoever reads from the beginning finds the first row, whoever reads
    /// from there does not.
    #[tokio::test]
    #[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
    async fn a_look_at_the_running_minute_begins_where_its_reader_has_got_to() {
        let config = crate::config::of_the_dev_cluster("queue");
        let handle = connect(&config).await.unwrap();
        let store = handle.store().await.unwrap();
        store.ledger.open(0).await.unwrap();
        let jobs = [1, 20, 40].map(|second| sample::job(second, TO, after(second))).to_vec();
        store.ledger.apply(Step { jobs, ..sample::step(1) }).await.unwrap();

        let tables = Tables::new(&handle.cql).await.unwrap();
        let (queue, rests, running) = (&tables.queue, &tables.rests, minute(HOUR));
        let first = async |now| queue.due_in(rests, shard_of(TO), now).await.unwrap();
        let got_to = |second| {
            let never = Instant::now() + Duration::from_secs(3_600);
            queue.floors.lock().insert((TO, running), (never, after(second)));
        };
        assert_eq!(first(after(59)).await, [(TO, after(1))]);
        got_to(20);
        assert_eq!(first(after(59)).await, [(TO, after(20))]);
        got_to(41);
        assert_eq!(first(after(59)).await, []);
        // Once the minute is over it is forgotten only when it has nothing from the beginning on.
        assert_eq!(first(after(60)).await, [(TO, after(1))]);
        assert_eq!(queue.floor(TO, running), beginning(), "who reads it finds what is told to be there");
        got_to(41);
        // Who has found nothing knows as much as before.
        let from = queue.floor(TO, running);
        queue.note_floor(TO, running, &from, None);
        assert_eq!(queue.floor(TO, running), from);
        queue.note_floor(TO, running, &beginning(), Some(after(40)));
        assert_eq!(first(after(59)).await, [(TO, after(40))]);
        queue.note([(TO, after(1))]).await.unwrap();
        queue.note_floor(TO, running, &from, Some(after(40)));
        assert_eq!(queue.floor(TO, running), beginning(), "something was entered meanwhile");
        schema::drop_keyspace(&config).await.unwrap();
    }
}
