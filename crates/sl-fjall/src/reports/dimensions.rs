//! Sums by one property of the clicks.

use std::{cmp::Reverse, collections::HashMap};

use fjall::Readable as _;
use sl_core::{
    ids::SmartLinkId,
    step::{Dimension, DimensionRollup},
};
use sl_store::{
    Result,
    reports::{DimensionSum, Range},
};

use crate::{
    codec::decode,
    db::{Db, damaged, failed},
    layout::{DIMENSION, Key, Reader},
    ledger::clicks,
};

/// Adds up the days of a range, value by value, largest first.
pub(crate) fn sums(
    db: &Db,
    link: SmartLinkId,
    dimension: Dimension,
    range: Range,
) -> Result<Vec<DimensionSum>> {
    let all = Key::table(DIMENSION).id(link.to_bytes()).byte(dimension.code());
    let value_at = all.bytes().len() + 8;
    let (from, to) = clicks::bounds(all, range);
    let mut sums: HashMap<String, DimensionRollup> = HashMap::new();
    for row in db.snapshot().range::<Key, _>(&db.reports, from..to) {
        let (key, rollup) = row.into_inner().map_err(failed)?;
        let mut fields = Reader(&key);
        let value = fields.skip(value_at).and_then(|()| fields.text());
        let rollup: DimensionRollup = decode(&rollup)?;
        sums.entry(value.ok_or_else(|| damaged("a dimension key"))?).or_default().clicks += rollup.clicks;
    }
    let mut sums: Vec<_> =
        sums.into_iter().map(|(value, rollup)| DimensionSum { value, clicks: rollup.clicks }).collect();
    sums.sort_unstable_by(|left, right| {
        (Reverse(left.clicks), &left.value).cmp(&(Reverse(right.clicks), &right.value))
    });
    Ok(sums)
}
