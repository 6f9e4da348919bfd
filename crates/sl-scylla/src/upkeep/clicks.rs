//! Click rows: removed, and cut.

use std::sync::Arc;

use parking_lot::Mutex;
use scylla::{DeserializeRow, value::CqlValue};
use sl_core::{click::ClickRow, ids::ClickId, time::Timestamp};
use sl_store::{
    Result,
    upkeep::{cut, cut_from},
};

use crate::{
    codec::{decode, encode},
    cql::Cql,
    days::{day, start},
    failure::damaged,
    ledger::place_key,
    statements::statements,
    writes::{Write, blob},
};

/// Slices of a day of `click_links`.
const SLICES: i8 = 16;
/// Rows read at once: 200 × 450 bytes.
const PAGE: usize = 200;
/// Name in `upkeep_marks`.
const ADDRESSES: &str = "addresses";

statements!(Statements {
    days: Read "SELECT day FROM click_days WHERE always = 0 AND day <= ?";
    links: Read "SELECT link, part FROM click_links WHERE day = ? AND slice = ?";
    rows: Read "SELECT at, id, row, WRITETIME(row) AS written, TTL(row) AS left FROM clicks
        WHERE link = ? AND day = ? AND part = ? AND (at, id) > (?, ?) AND (at) < (?)
        ORDER BY at ASC, id ASC LIMIT ?";
    remove: Write "DELETE FROM clicks USING TIMESTAMP ?
        WHERE link = ? AND day = ? AND part = ? AND (at, id) <= (?, ?)";
    remove_place: Write "DELETE FROM click_places USING TIMESTAMP ? WHERE second = ? AND slice = ? AND id = ?";
    remove_link: Write "DELETE FROM click_links WHERE day = ? AND slice = ? AND link = ? AND part = ?";
    remove_day: Write "DELETE FROM click_days WHERE always = 0 AND day = ?";
    put: Write "UPDATE clicks USING TTL ? AND TIMESTAMP ? SET row = ?
        WHERE link = ? AND day = ? AND part = ? AND at = ? AND id = ?";
    mark: Read "SELECT value, WRITETIME(value) FROM upkeep_marks WHERE name = ?";
    set_mark: Write "INSERT INTO upkeep_marks (name, value) VALUES (?, ?) USING TIMESTAMP ?";
});

#[derive(DeserializeRow)]
struct Columns {
    at: i64,
    id: Vec<u8>,
    row: Option<Vec<u8>>,
    written: Option<i64>,
    left: Option<i32>,
}

/// A partition of click rows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    day: i32,
    slice: i8,
    link: Vec<u8>,
    part: i32,
}

/// Where a round of cutting addresses has come to within the days under way.
#[derive(Debug, Clone)]
struct Cursor {
    /// The round's horizon: behind it are rows that the next round has to cut.
    before: Timestamp,
    part: Part,
    at: i64,
    id: Vec<u8>,
}

/// Retention of click rows.
pub(super) struct Clicks {
    cql: Arc<Cql>,
    statements: Statements,
    cursor: Mutex<Option<Cursor>>,
}

// === impl Clicks ===

impl Clicks {
    pub(super) async fn new(cql: Arc<Cql>) -> Result<Self> {
        let statements = Statements::prepare(&cql).await?;
        Ok(Self { cql, statements, cursor: Mutex::default() })
    }

    /// Removes at most `limit` rows made before `before`, day by day.
    pub(super) async fn remove(&self, before: Timestamp, limit: usize) -> Result<u64> {
        let mut count = 0;
        for day in self.days(None, before).await? {
            let is_over = start(day.saturating_add(1)) <= before;
            for part in self.parts(day).await? {
                count += self.remove_part(&part, before, limit - count).await?;
                if count >= limit {
                    return Ok(count as u64);
                }
                if is_over {
                    let values = (part.day, part.slice, part.link, part.part);
                    self.cql.run(&self.statements.remove_link, values).await?;
                }
            }
            if is_over {
                self.cql.run(&self.statements.remove_day, (day,)).await?;
            }
        }
        Ok(count as u64)
    }

    /// The oldest rows of one partition: one mark over all of them, so that nobody crosses one for each.
    async fn remove_part(&self, part: &Part, before: Timestamp, limit: usize) -> Result<usize> {
        let mut count = 0;
        while count < limit {
            let most = PAGE.min(limit - count);
            let rows = self.rows(part, i64::MIN, &[], before, most).await?;
            let Some(last) = rows.last() else { return Ok(count) };
            let written = rows.iter().filter_map(|row| row.written).max().unwrap_or(0);
            // Above every row's own time, whoever's clock that was.
            let now = self.cql.micros().max(written + 1);
            let place = |row: &Columns| {
                let id = <[u8; 16]>::try_from(row.id.as_slice()).map_err(|_| damaged("the id of a click"))?;
                let (second, slice, id) = place_key(ClickId::from_bytes(id));
                let values = [CqlValue::BigInt(second), CqlValue::TinyInt(slice), blob(id)];
                let values = std::iter::once(CqlValue::BigInt(now)).chain(values);
                Ok(Write::new(&self.statements.remove_place, values))
            };
            self.cql.write_all(rows.iter().map(place).collect::<Result<_>>()?).await?;
            let values = (now, &part.link, part.day, part.part, last.at, &last.id);
            self.cql.run(&self.statements.remove, values).await?;
            count += rows.iter().filter(|row| row.row.is_some()).count();
            if rows.len() < most {
                break;
            }
        }
        Ok(count)
    }

    /// Cuts the addresses of at most `limit` rows made before `before`; it goes on where it was with the same horizon.
    pub(super) async fn cut(&self, before: Timestamp, limit: usize) -> Result<u64> {
        let found: Option<(Option<i64>, Option<i64>)> =
            self.cql.row(&self.statements.mark, (ADDRESSES,)).await?;
        let (mark, mut written) = found.unwrap_or_default();
        let mark = Timestamp(mark.unwrap_or(i64::MIN));
        let from = cut_from(mark, before);
        if from < mark {
            written = Some(self.set_mark(from, written).await?);
        }
        if from >= before {
            *self.cursor.lock() = None;
            return Ok(0);
        }
        let mut count = 0;
        for day in self.days(Some(from), before).await? {
            for part in self.parts(day).await? {
                count += self.cut_part(part, from, before, limit - count).await?;
                if count >= limit {
                    return Ok(count as u64);
                }
            }
        }
        *self.cursor.lock() = None;
        self.set_mark(before, written).await?;
        Ok(count as u64)
    }

    /// Writes the mark with a later time than the one before was `written` with, whose maker's clock may have been ahead, and
    /// returns that time.
    async fn set_mark(&self, mark: Timestamp, written: Option<i64>) -> Result<i64> {
        let time = self.cql.later_than(written);
        self.cql.run(&self.statements.set_mark, (ADDRESSES, mark.0, time)).await?;
        Ok(time)
    }

    async fn cut_part(&self, part: Part, from: Timestamp, before: Timestamp, limit: usize) -> Result<usize> {
        let cursor = self.cursor.lock().clone();
        let cursor = cursor.filter(|cursor| cursor.before == before && cursor.part >= part);
        let (mut at, mut id) = match cursor {
            Some(cursor) if cursor.part > part => return Ok(0),
            Some(cursor) => (cursor.at, cursor.id),
            None => (from.0.saturating_sub(1), vec![0xff; 17]),
        };
        let mut count = 0;
        loop {
            let rows = self.rows(&part, at, &id, before, PAGE).await?;
            let is_last = rows.len() < PAGE;
            for row in rows {
                (at, id) = (row.at, row.id.clone());
                count += usize::from(self.cut_row(&part, row).await?);
                if count == limit {
                    *self.cursor.lock() = Some(Cursor { before, part, at, id });
                    return Ok(count);
                }
            }
            if is_last {
                return Ok(count);
            }
        }
    }

    /// Written a moment after the row: a step that is written again does not bring the address back.
    async fn cut_row(&self, part: &Part, found: Columns) -> Result<bool> {
        let (Some(bytes), Some(written)) = (found.row, found.written) else { return Ok(false) };
        let mut row: ClickRow = decode(&bytes)?;
        if !cut(&mut row) {
            return Ok(false);
        }
        let (left, row) = (found.left.unwrap_or(0), encode(&row)?);
        let values = (left, written + 1, row, &part.link, part.day, part.part, found.at, found.id);
        self.cql.run(&self.statements.put, values).await?;
        Ok(true)
    }

    /// Days with click rows, ascending.
    async fn days(&self, from: Option<Timestamp>, before: Timestamp) -> Result<Vec<i32>> {
        if before <= Timestamp(0) {
            return Ok(Vec::new());
        }
        let rows: Vec<(i32,)> = self.cql.rows(&self.statements.days, (day(before),)).await?;
        let from = from.filter(|from| *from > Timestamp(0)).map_or(i32::MIN, day);
        Ok(rows.into_iter().map(|(day,)| day).filter(|day| *day >= from).collect())
    }

    /// Partitions of a day, in their order.
    async fn parts(&self, day: i32) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        for slice in 0..SLICES {
            let rows: Vec<(Vec<u8>, i32)> = self.cql.rows(&self.statements.links, (day, slice)).await?;
            parts.extend(rows.into_iter().map(|(link, part)| Part { day, slice, link, part }));
        }
        Ok(parts)
    }

    async fn rows(
        &self,
        part: &Part,
        at: i64,
        id: &[u8],
        before: Timestamp,
        most: usize,
    ) -> Result<Vec<Columns>> {
        let most = i32::try_from(most).unwrap_or(i32::MAX);
        let values = (&part.link, part.day, part.part, at, id, before.0, most);
        self.cql.rows(&self.statements.rows, values).await
    }
}
