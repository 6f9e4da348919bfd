//! Conversions.

use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use sl_core::{
    conversion::Conversion,
    ids::{ClickId, ConversionId, SmartLinkId, TeamId},
};
use sl_store::{
    Result, StoreError,
    reports::{ConversionFilter, Range},
};

use super::{
    clicks::{Clicks, passes},
    newest::{InParts, Spans, newest},
};
use crate::{codec::decode, cql::Cql, days::PartKind, failure::damaged, statements::statements};

/// Questions under way.
const IN_FLIGHT: usize = 32;

statements!(
    /// Reading `conversions`, `conversion_ids` and `click_conversions`.
    Conversions {
        of_part: Read "SELECT at, id, value, WRITETIME(value) FROM conversions
            WHERE link = ? AND day = ? AND part = ? AND at >= ? AND at < ?";
        one: Read "SELECT value FROM conversion_ids WHERE id = ?";
        of_click: Read "SELECT id FROM click_conversions WHERE click = ?";
    }
);

/// Time, id, value, and when it was written.
type Found = (i64, Vec<u8>, Vec<u8>, i64);

impl InParts for Found {
    fn place(&self) -> (i64, &[u8]) {
        (self.0, &self.1)
    }

    fn merge(self, other: Self) -> Self {
        if other.3 > self.3 { other } else { self }
    }
}

// === impl Conversions ===

impl Conversions {
    /// Conversions of a link in a range, the newest first.
    pub(super) async fn newest<'a>(
        &self,
        cql: &'a Cql,
        spans: &Spans,
        link: SmartLinkId,
        range: Range,
        enough: usize,
    ) -> Result<impl Stream<Item = Result<Conversion>> + Send + use<'a>> {
        let sort = (link, PartKind::Conversions);
        let found = newest::<Found>(cql, spans, &self.of_part, sort, range, enough).await?;
        Ok(found.map(|found| decode(&found?.2)))
    }

    /// Conversions of a link as the filter wants them.
    pub(super) async fn list(
        &self,
        cql: &Cql,
        spans: &Spans,
        clicks: &Clicks,
        link: SmartLinkId,
        filter: &ConversionFilter,
    ) -> Result<Vec<Conversion>> {
        let enough = filter.limit.saturating_add(filter.offset);
        let rows = self.newest(cql, spans, link, filter.range, enough).await?;
        let wanted = |row: &Conversion| {
            filter.kind.is_none_or(|kind| kind == row.kind)
                && filter.fan.as_ref().is_none_or(|fan| *fan == row.fan)
        };
        let asked = |row: Conversion| async move {
            let Some(click) = row.click.filter(|_| !(filter.bots && filter.duplicates)) else {
                return Ok(Some(row));
            };
            let click = clicks.get(cql, click).await?;
            let passes = click.is_none_or(|click| passes(&click, filter.bots, filter.duplicates));
            Ok(passes.then_some(row))
        };
        let rows = rows.try_filter(|row| std::future::ready(wanted(row)));
        let rows = rows.map_ok(asked).try_buffered(IN_FLIGHT);
        rows.try_filter_map(|row| std::future::ready(Ok(row)))
            .skip(filter.offset)
            .take(filter.limit)
            .try_collect()
            .await
    }

    /// One conversion of any team.
    pub(super) async fn get(&self, cql: &Cql, id: ConversionId) -> Result<Option<Conversion>> {
        let row: Option<(Vec<u8>,)> = cql.row(&self.one, (id.to_bytes().as_slice(),)).await?;
        row.map(|(value,)| decode(&value)).transpose()
    }

    /// Conversions credited to a click, by time.
    pub(super) async fn of_click(&self, cql: &Cql, team: TeamId, click: ClickId) -> Result<Vec<Conversion>> {
        let ids: Vec<(Vec<u8>,)> = cql.rows(&self.of_click, (click.to_bytes().as_slice(),)).await?;
        let get = |(id,): (Vec<u8>,)| async move {
            let id = id.try_into().map_err(|_| damaged("a row of click_conversions"))?;
            self.get(cql, ConversionId::from_bytes(id)).await
        };
        let found: Vec<_> = stream::iter(ids).map(get).buffered(IN_FLIGHT).try_collect().await?;
        // A step that moves a conversion to another click leaves the row under the first.
        let credited = |row: &Conversion| row.team == team && row.click == Some(click);
        Ok::<_, StoreError>(found.into_iter().flatten().filter(credited).collect())
    }
}
