//! Click rows.

use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use scylla::DeserializeRow;
use sl_core::{
    click::{Class, ClickRow},
    ids::{ClickId, SmartLinkId},
};
use sl_store::{
    Result,
    reports::{ClickFilter, Range},
};

use super::newest::{InParts, Spans, newest};
use crate::{
    codec::decode,
    cql::Cql,
    days::{PartKind, day},
    ledger::place_key,
    statements::statements,
};

statements!(
    /// Reading `clicks` and `click_places`.
    Clicks {
        of_part: Read "SELECT at, id, row, WRITETIME(row), gross, duplicate, WRITETIME(gross) FROM clicks
            WHERE link = ? AND day = ? AND part = ? AND at >= ? AND at < ?";
        one: Read "SELECT at, id, row, WRITETIME(row), gross, duplicate, WRITETIME(gross) FROM clicks
            WHERE link = ? AND day = ? AND part = ? AND at = ? AND id = ?";
        place: Read "SELECT link, at, part FROM click_places WHERE second = ? AND slice = ? AND id = ?";
    }
);

#[derive(DeserializeRow)]
#[scylla(flavor = "enforce_order", skip_name_checks)]
struct Found {
    at: i64,
    id: Vec<u8>,
    row: Option<Vec<u8>>,
    written: Option<i64>,
    gross: Option<i32>,
    duplicate: Option<bool>,
    marked: Option<i64>,
}

impl InParts for Found {
    fn place(&self) -> (i64, &[u8]) {
        (self.at, &self.id)
    }

    /// Row and mark each as written last.
    fn merge(mut self, other: Self) -> Self {
        if other.written > self.written {
            (self.row, self.written) = (other.row, other.written);
        }
        if other.marked > self.marked {
            (self.gross, self.duplicate, self.marked) = (other.gross, other.duplicate, other.marked);
        }
        self
    }
}

impl Found {
    /// The row as it is now; `None` when only a mark is left of it.
    fn row(self) -> Result<Option<ClickRow>> {
        let Some(bytes) = self.row else { return Ok(None) };
        let mut row: ClickRow = decode(&bytes)?;
        if let Some(gross) = self.gross {
            row.gross_clicks = u32::try_from(gross).unwrap_or(0);
        }
        row.is_duplicate = self.duplicate.unwrap_or(row.is_duplicate);
        Ok(Some(row))
    }
}

/// Whether a click row is asked for.
pub(super) fn passes(row: &ClickRow, bots: bool, duplicates: bool) -> bool {
    (bots || row.click.class != Class::Bot) && (duplicates || !row.is_duplicate)
}

// === impl Clicks ===

impl Clicks {
    /// Rows of a link in a range, the newest first.
    pub(super) async fn newest<'a>(
        &self,
        cql: &'a Cql,
        spans: &Spans,
        link: SmartLinkId,
        range: Range,
        enough: usize,
    ) -> Result<impl Stream<Item = Result<ClickRow>> + Send + use<'a>> {
        let found =
            newest::<Found>(cql, spans, &self.of_part, (link, PartKind::Clicks), range, enough).await?;
        Ok(found.try_filter_map(|found| async move { found.row() }))
    }

    /// Rows of a link as the filter wants them.
    pub(super) async fn list(
        &self,
        cql: &Cql,
        spans: &Spans,
        link: SmartLinkId,
        filter: ClickFilter,
    ) -> Result<Vec<ClickRow>> {
        let enough = filter.limit.saturating_add(filter.offset);
        let rows = self.newest(cql, spans, link, filter.range, enough).await?;
        rows.try_filter(|row| std::future::ready(passes(row, filter.bots, filter.duplicates)))
            .skip(filter.offset)
            .take(filter.limit)
            .try_collect()
            .await
    }

    /// One click of any team.
    pub(super) async fn get(&self, cql: &Cql, id: ClickId) -> Result<Option<ClickRow>> {
        let (second, slice, bytes) = place_key(id);
        let place: Option<(Vec<u8>, i64, i32)> =
            cql.row(&self.place, (second, slice, bytes.as_slice())).await?;
        let Some((link, at, part)) = place else { return Ok(None) };
        let day = day(sl_core::time::Timestamp(at));
        let found: Option<Found> = cql.row(&self.one, (link, day, part, at, bytes.as_slice())).await?;
        found.map_or(Ok(None), Found::row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(row: Option<(u8, i64)>, mark: Option<(i32, i64)>) -> Found {
        Found {
            at: 1,
            id: vec![1],
            row: row.map(|(byte, _)| vec![byte]),
            written: row.map(|(_, at)| at),
            gross: mark.map(|(gross, _)| gross),
            duplicate: mark.map(|_| true),
            marked: mark.map(|(_, at)| at),
        }
    }

    #[test]
    fn of_a_row_in_two_parts_what_was_written_last_counts() {
        let broken_off = || found(Some((1, 10)), None);
        let made = || found(Some((2, 20)), Some((5, 30)));
        for merged in [broken_off().merge(made()), made().merge(broken_off())] {
            assert_eq!((merged.row, merged.gross), (Some(vec![2]), Some(5)));
        }
        let marked = found(None, Some((6, 40))).merge(made());
        assert_eq!((marked.row, marked.gross), (Some(vec![2]), Some(6)));
    }
}
