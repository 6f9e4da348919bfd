//! Hourly sums, exact also where a range cuts an hour (decisions 57).

use fjall::{Readable as _, Snapshot};
use sl_core::{ids::SmartLinkId, step::Rollup, time::Timestamp};
use sl_store::{CutHour, Result, reports::Range};

use super::conversions;
use crate::{
    codec::decode,
    db::{Db, damaged, failed},
    layout::{Key, ROLLUP, Reader},
    ledger::{clicks, listing},
};

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
        let Some(part) = CutHour::new(hour, range, &whole) else {
            hours.push((hour, whole));
            continue;
        };
        let sums = cut(&snapshot, db, link, part)?;
        if sums != Rollup::default() {
            hours.push((hour, sums));
        }
    }
    Ok(hours)
}

fn cut(snapshot: &Snapshot, db: &Db, link: SmartLinkId, mut cut: CutHour) -> Result<Rollup> {
    for row in listing::of_link(snapshot, db, link, cut.part()) {
        cut.click(&row?);
    }
    for row in conversions::of_link(snapshot, db, link, cut.hour()) {
        cut.conversion(&row?);
    }
    let Some(earlier) = cut.wants_earlier() else { return Ok(cut.finish()) };
    for row in conversions::of_link(snapshot, db, link, earlier) {
        cut.earlier(&row?);
    }
    Ok(cut.finish())
}
