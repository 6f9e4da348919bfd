//! Hourly sums, exact also where a range cuts an hour (decisions 57).

use std::time::Duration;

use futures_util::TryStreamExt as _;
use sl_core::{ids::SmartLinkId, step::Rollup, time::Timestamp};
use sl_store::{Result, reports::Range};

use super::CqlReports;
use crate::codec::decode;

const HOUR: Duration = Duration::from_secs(3600);

/// Rollups of a link, ascending. Hours that the range cuts are counted from raw rows.
pub(super) async fn of_link(
    reports: &CqlReports,
    link: SmartLinkId,
    range: Range,
) -> Result<Vec<(Timestamp, Rollup)>> {
    let from = range.from.map_or(i64::MIN, |from| from.hour().0);
    let to = range.to.map_or(i64::MAX, |to| to.0);
    if from >= to {
        return Ok(Vec::new());
    }
    let asked = (link.to_bytes().to_vec(), from, to);
    let rows: Vec<(i64, Vec<u8>)> = reports.cql.rows(&reports.hours, asked).await?;
    let mut hours = Vec::with_capacity(rows.len());
    for (hour, value) in rows {
        let hour = Timestamp(hour);
        let whole: Rollup = decode(&value)?;
        let end = hour.plus(HOUR);
        let part = Range {
            from: Some(range.from.map_or(hour, |from| from.max(hour))),
            to: Some(range.to.map_or(end, |to| to.min(end))),
        };
        if (part.from, part.to) == (Some(hour), Some(end)) {
            hours.push((hour, whole));
        } else {
            let sums = cut(reports, link, hour, &whole, part).await?;
            if sums != Rollup::default() {
                hours.push((hour, sums));
            }
        }
    }
    Ok(hours)
}

/// A part of an hour. Raw rows say when money came, but not when in the hour it was taken back: reversals count at the
/// start of their hour, so that the parts of an hour always add up to the whole.
async fn cut(
    reports: &CqlReports,
    link: SmartLinkId,
    hour: Timestamp,
    whole: &Rollup,
    part: Range,
) -> Result<Rollup> {
    let CqlReports { cql, spans, clicks, conversions, .. } = reports;
    let mut sums = Rollup::default();
    let mut rows = std::pin::pin!(clicks.newest(cql, spans, link, part, usize::MAX).await?);
    while let Some(row) = rows.try_next().await? {
        sums.add_click(&row);
    }
    let all = Range { from: Some(hour), to: Some(hour.plus(HOUR)) };
    let mut of_rows = Rollup::default();
    let mut rows = std::pin::pin!(conversions.newest(cql, spans, link, all, usize::MAX).await?);
    while let Some(row) = rows.try_next().await? {
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
