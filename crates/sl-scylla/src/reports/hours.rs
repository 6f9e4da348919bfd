//! Hourly sums, exact also where a range cuts an hour (decisions 57).

use futures_util::TryStreamExt as _;
use sl_core::{ids::SmartLinkId, step::Rollup, time::Timestamp};
use sl_store::{CutHour, Result, reports::Range};

use super::CqlReports;
use crate::codec::decode;

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
    let rows: Vec<(i64, Vec<u8>)> = reports.cql.rows(&reports.statements.hours, asked).await?;
    let mut hours = Vec::with_capacity(rows.len());
    for (hour, value) in rows {
        let hour = Timestamp(hour);
        let whole: Rollup = decode(&value)?;
        let Some(part) = CutHour::new(hour, range, &whole) else {
            hours.push((hour, whole));
            continue;
        };
        let sums = cut(reports, link, part).await?;
        if sums != Rollup::default() {
            hours.push((hour, sums));
        }
    }
    Ok(hours)
}

async fn cut(reports: &CqlReports, link: SmartLinkId, mut cut: CutHour) -> Result<Rollup> {
    let CqlReports { cql, spans, clicks, conversions, .. } = reports;
    let mut rows = std::pin::pin!(clicks.newest(cql, spans, link, cut.part(), usize::MAX).await?);
    while let Some(row) = rows.try_next().await? {
        cut.click(&row);
    }
    let mut rows = std::pin::pin!(conversions.newest(cql, spans, link, cut.hour(), usize::MAX).await?);
    while let Some(row) = rows.try_next().await? {
        cut.conversion(&row);
    }
    let Some(earlier) = cut.wants_earlier() else { return Ok(cut.finish()) };
    let mut rows = std::pin::pin!(conversions.newest(cql, spans, link, earlier, usize::MAX).await?);
    while let Some(row) = rows.try_next().await? {
        cut.earlier(&row);
    }
    Ok(cut.finish())
}
