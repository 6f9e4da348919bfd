//! Hourly sums, exact also where a range cuts an hour (decisions 57).

use std::time::Duration;

use fjall::{Readable as _, Snapshot};
use sl_core::{ids::SmartLinkId, step::Rollup, time::Timestamp};
use sl_store::{Result, reports::Range};

use super::conversions;
use crate::{
    codec::decode,
    db::{Db, damaged, failed},
    layout::{Key, ROLLUP, Reader},
    ledger::{clicks, listing},
};

const HOUR: Duration = Duration::from_secs(3600);

/// Rollups of a link, ascending. Hours that the range cuts are counted from raw rows.
pub(crate) fn of_link(db: &Db, link: SmartLinkId, range: Range) -> Result<Vec<(Timestamp, Rollup)>> {
    let snapshot = db.snapshot();
    let all = Key::table(ROLLUP).id(link.to_bytes());
    let whole = Range { from: range.from.map(Timestamp::hour), to: range.to };
    let (from, to) = clicks::bounds(all.clone(), whole);
    let mut hours = Vec::new();
    for row in snapshot.range::<Key, _>(&db.reports, from..to) {
        let (key, value) = row.into_inner().map_err(failed)?;
        let mut fields = Reader(&key);
        let hour = fields.skip(all.bytes().len()).and_then(|()| fields.at());
        let hour = hour.ok_or_else(|| damaged("a rollup key"))?;
        let whole: Rollup = decode(&value)?;
        let end = hour.plus(HOUR);
        let part = Range {
            from: Some(range.from.map_or(hour, |from| from.max(hour))),
            to: Some(range.to.map_or(end, |to| to.min(end))),
        };
        if (part.from, part.to) == (Some(hour), Some(end)) {
            hours.push((hour, whole));
        } else {
            let sums = cut(&snapshot, db, link, hour, &whole, part)?;
            if sums != Rollup::default() {
                hours.push((hour, sums));
            }
        }
    }
    Ok(hours)
}

/// A part of an hour. Raw rows say when money came, but not when in the hour it was taken back: reversals count at the
/// start of their hour, so that the parts of an hour always add up to the whole.
fn cut(
    snapshot: &Snapshot,
    db: &Db,
    link: SmartLinkId,
    hour: Timestamp,
    whole: &Rollup,
    part: Range,
) -> Result<Rollup> {
    let mut sums = Rollup::default();
    for row in listing::of_link(snapshot, db, link, part) {
        let row = row?;
        sums.add_click(&row);
    }
    let all = Range { from: Some(hour), to: Some(hour.plus(HOUR)) };
    let mut of_rows = Rollup::default();
    for row in conversions::of_link(snapshot, db, link, all) {
        let row = row?;
        of_rows.add_conversion(&row);
        if part.contains(row.at) {
            sums.add_conversion(&row);
        }
    }
    if part.contains(hour) {
        sums.gross += whole.gross - of_rows.gross;
        sums.net += whole.net - of_rows.net;
    }
    Ok(sums)
}
