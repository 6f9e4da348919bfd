//! Raw click rows: written before the step is committed, since no decision reads them (decisions 45).
//!
//! A row depends on its click alone, so a step that is broken off before its commit leaves rows that the next owner
//! writes again, maybe in another part.

use scylla::value::CqlValue::{BigInt, Boolean, Int, TinyInt};
use sl_core::{ids::ClickId, step::ClickMark};
use sl_store::Result;

use super::begin::Placed;
use crate::{
    codec::encode,
    cql::Cql,
    days::{PartKind, day},
    statements::statements,
    writes::{Write, blob},
};

/// Slices of a second of `click_places`.
const SLICES: u8 = 4;
/// Slices of a day of `click_links`.
const LINK_SLICES: u8 = 16;

statements!(Statements {
    put: Write "INSERT INTO clicks (link, day, part, at, id, row) VALUES (?, ?, ?, ?, ?, ?)
        USING TTL ? AND TIMESTAMP ?";
    place: Write "INSERT INTO click_places (second, slice, id, link, at, part) VALUES (?, ?, ?, ?, ?, ?)
        USING TTL ? AND TIMESTAMP ?";
    // No row of its own comes of it: what is said of a row that has gone is said of nothing.
    mark: Write "UPDATE clicks USING TTL ? AND TIMESTAMP ? SET gross = ?, duplicate = ?
        WHERE link = ? AND day = ? AND part = ? AND at = ? AND id = ?";
    list: Write "INSERT INTO link_parts (link, sort, span, part) VALUES (?, ?, ?, ?) USING TIMESTAMP ?";
    link: Write "INSERT INTO click_links (day, slice, link, part) VALUES (?, ?, ?, ?) USING TIMESTAMP ?";
    day: Write "INSERT INTO click_days (always, day) VALUES (?, ?) USING TIMESTAMP ?";
});

/// Writes of click rows.
pub(super) struct Raw {
    statements: Statements,
    /// Seconds that they live, 0 for ever.
    ttl: i32,
}

/// Partition and clustering key of a click's place.
pub(crate) fn place_key(id: ClickId) -> (i64, i8, [u8; 16]) {
    let second = i64::try_from(id.0.timestamp_ms() / 1000).unwrap_or(i64::MAX);
    let bytes = id.to_bytes();
    (second, slice(&bytes, SLICES), bytes)
}

/// Which slice a ULID belongs to: its last byte is chance.
fn slice(id: &[u8; 16], slices: u8) -> i8 {
    let [.., last] = *id;
    i8::try_from(last % slices).unwrap_or(0)
}

// === impl Raw ===

impl Raw {
    pub(super) async fn new(cql: &Cql, ttl: i32) -> Result<Self> {
        Ok(Self { statements: Statements::prepare(cql).await?, ttl })
    }

    /// Rows, places, and what says where to look for them.
    pub(super) fn writes(&self, rows: &[Placed], number: i64) -> Result<Vec<Write>> {
        let mut writes = Vec::with_capacity(2 * rows.len() + 3);
        for Placed { row, part, is_new } in rows {
            let (click, part) = (&row.click, *part);
            let (link, at, id) = (click.link.to_bytes(), click.at, click.id.to_bytes());
            let day = day(at);
            if *is_new {
                writes.push(self.list_part(&link, PartKind::Clicks.number(), day, part, number));
                let slice = TinyInt(slice(&link, LINK_SLICES));
                writes.push(Write::new(
                    &self.statements.link,
                    [Int(day), slice, blob(link), Int(part), BigInt(number)],
                ));
                writes.push(Write::new(&self.statements.day, [TinyInt(0), Int(day), BigInt(number)]));
            }
            let (ttl, number) = (Int(self.ttl), BigInt(number));
            let place = [Int(day), Int(part), BigInt(at.0), blob(id), blob(encode(row)?)];
            let row = [blob(link)].into_iter().chain(place).chain([ttl.clone(), number.clone()]);
            writes.push(Write::new(&self.statements.put, row));
            let (second, slice, _) = place_key(click.id);
            let place =
                [BigInt(second), TinyInt(slice), blob(id), blob(link), BigInt(at.0), Int(part), ttl, number];
            writes.push(Write::new(&self.statements.place, place));
        }
        Ok(writes)
    }

    /// Says that a part is there.
    pub(super) fn list_part(&self, link: &[u8; 16], sort: i8, span: i32, part: i32, number: i64) -> Write {
        Write::new(&self.statements.list, [blob(*link), TinyInt(sort), Int(span), Int(part), BigInt(number)])
    }

    /// Says something of a row.
    pub(super) fn mark(&self, mark: &ClickMark, part: i32, number: i64) -> Write {
        let gross = Int(i32::try_from(mark.gross_clicks).unwrap_or(i32::MAX));
        let said = [Int(self.ttl), BigInt(number), gross, Boolean(mark.is_duplicate)];
        let (link, id) = (blob(mark.link.to_bytes()), blob(mark.click.to_bytes()));
        let place = [link, Int(day(mark.at)), Int(part), BigInt(mark.at.0), id];
        Write::new(&self.statements.mark, said.into_iter().chain(place))
    }
}
