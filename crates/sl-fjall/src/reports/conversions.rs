//! Reading conversions.

use fjall::{Readable as _, Snapshot};
use sl_core::{
    conversion::Conversion,
    ids::{ClickId, ConversionId, SmartLinkId, TeamId},
};
use sl_store::{
    Result,
    reports::{ConversionFilter, Range},
};

use super::passes;
use crate::{
    codec::decode,
    db::{Db, damaged, failed, read_at},
    layout::{CLICK_CONVERSION, CONVERSION, CONVERSION_ID, Key, Reader},
    ledger::clicks,
};

/// One conversion of any team.
pub(crate) fn get(snapshot: &Snapshot, db: &Db, id: ConversionId) -> Result<Option<Conversion>> {
    let pointer = snapshot.get(&db.reports, Key::table(CONVERSION_ID).id(id.to_bytes())).map_err(failed)?;
    let Some(pointer) = pointer else { return Ok(None) };
    read_at(snapshot, &db.reports, &Key::table(CONVERSION).raw(&pointer).id(id.to_bytes()))
}

/// Conversions of a link in a range, ascending.
pub(crate) fn of_link(
    snapshot: &Snapshot,
    db: &Db,
    link: SmartLinkId,
    range: Range,
) -> impl DoubleEndedIterator<Item = Result<Conversion>> + use<> {
    let (from, to) = clicks::bounds(Key::table(CONVERSION).id(link.to_bytes()), range);
    snapshot
        .range::<Key, _>(&db.reports, from..to)
        .map(|row| row.value().map_err(failed).and_then(|bytes| decode(&bytes)))
}

/// Conversions of a link, newest first, as the filter wants them.
pub(crate) fn newest(db: &Db, link: SmartLinkId, filter: &ConversionFilter) -> Result<Vec<Conversion>> {
    let snapshot = db.snapshot();
    let mut found = Vec::new();
    let mut left_out = 0;
    for row in of_link(&snapshot, db, link, filter.range).rev() {
        let row = row?;
        if found.len() >= filter.limit {
            break;
        }
        if filter.kind.is_some_and(|kind| kind != row.kind)
            || filter.fan.as_ref().is_some_and(|fan| *fan != row.fan)
            || !click_passes(&snapshot, db, &row, filter)?
        {
            continue;
        }
        if left_out < filter.offset {
            left_out += 1;
        } else {
            found.push(row);
        }
    }
    Ok(found)
}

fn click_passes(snapshot: &Snapshot, db: &Db, row: &Conversion, filter: &ConversionFilter) -> Result<bool> {
    let Some(click) = row.click.filter(|_| !(filter.bots && filter.duplicates)) else { return Ok(true) };
    let click = clicks::get(snapshot, db, click)?;
    Ok(click.is_none_or(|click| passes(&click, filter.bots, filter.duplicates)))
}

/// Conversions credited to a click, by time.
pub(crate) fn of_click(db: &Db, team: TeamId, click: ClickId) -> Result<Vec<Conversion>> {
    let snapshot = db.snapshot();
    let all = Key::table(CLICK_CONVERSION).id(click.to_bytes());
    let mut found = Vec::new();
    for row in snapshot.prefix(&db.reports, &all) {
        let (key, link) = row.into_inner().map_err(failed)?;
        let mut fields = Reader(&key);
        let place = fields.skip(all.bytes().len()).and_then(|()| fields.at().zip(fields.id()));
        let ((at, id), link) =
            place.zip(Reader(&link).id()).ok_or_else(|| damaged("index of a click's conversions"))?;
        let key = Key::table(CONVERSION).id(link).at(at).id(id);
        found.extend(read_at::<Conversion>(&snapshot, &db.reports, &key)?.filter(|row| row.team == team));
    }
    Ok(found)
}
