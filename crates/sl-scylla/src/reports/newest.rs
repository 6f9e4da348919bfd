//! Rows of a link in the order of time, the newest first, out of days and their parts.

use std::collections::BTreeMap;

use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use scylla::{
    client::pager::TypedRowStream, deserialize::row::DeserializeRow, statement::prepared::PreparedStatement,
};
use sl_core::ids::SmartLinkId;
use sl_store::{Result, StoreError, reports::Range};

use crate::{
    cql::Cql,
    days::PartKind,
    failure::{damaged, page},
    profiles::Kind,
};

/// Days opened ahead: each is a way to the server and back, which a link with few rows a day would take one by one.
const AHEAD: usize = 4;
/// Rows asked for at once from all parts of a day: 2,000 × 450 bytes = 900 KB.
const ROWS: usize = 2_000;

/// A row that may lie in more than one part of its day.
pub(super) trait InParts:
    for<'frame, 'metadata> DeserializeRow<'frame, 'metadata> + Send + Unpin + 'static
{
    /// Time and id: equal for the same row in another part.
    fn place(&self) -> (i64, &[u8]);

    /// One row of two that were found for the same place: what was written last of both.
    fn merge(self, other: Self) -> Self;
}

/// Which parts of a link there are.
pub(super) struct Spans(PreparedStatement);

/// The parts of one day, each from its newest row on.
struct Day<R>(Vec<Pages<R>>);

struct Pages<R> {
    rows: TypedRowStream<R>,
    head: Option<R>,
}

// === impl Spans ===

impl Spans {
    pub(super) async fn new(cql: &Cql) -> Result<Self> {
        let text =
            "SELECT span, part FROM link_parts WHERE link = ? AND sort = ? AND span >= ? AND span <= ?";
        Ok(Self(cql.prepare(Kind::Read, text).await?))
    }

    /// Spans of a range with their parts, ascending.
    pub(super) async fn of(
        &self,
        cql: &Cql,
        link: SmartLinkId,
        sort: PartKind,
        (from, to): (i32, i32),
    ) -> Result<BTreeMap<i32, Vec<i32>>> {
        if from > to {
            return Ok(BTreeMap::new());
        }
        let asked = (link.to_bytes(), sort.number(), from, to);
        let rows: Vec<(i32, i32)> =
            cql.rows(&self.0, (asked.0.as_slice(), asked.1, asked.2, asked.3)).await?;
        let mut spans: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for (span, part) in rows {
            spans.entry(span).or_default().push(part);
        }
        Ok(spans)
    }
}

/// Rows of a link, the newest first. `statement` asks for a part: link, day, part, from (included), to (excluded).
/// `enough` rows will do.
pub(super) async fn newest<'a, R: InParts>(
    cql: &'a Cql,
    spans: &Spans,
    statement: &PreparedStatement,
    (link, sort): (SmartLinkId, PartKind),
    range: Range,
    enough: usize,
) -> Result<impl Stream<Item = Result<R>> + Send + use<'a, R>> {
    let days = spans.of(cql, link, sort, sort.spans(range)).await?;
    let statement = statement.clone();
    let open = move |(day, parts): (i32, Vec<i32>)| {
        let mut statement = statement.clone();
        let rows = (ROWS / parts.len().max(1)).min(enough).clamp(10, 500);
        statement.set_page_size(i32::try_from(rows).unwrap_or(500));
        async move { Day::<R>::open(cql, &statement, link, day, parts, range).await }
    };
    let days = stream::iter(days.into_iter().rev()).map(open).buffered(AHEAD);
    Ok(days.map_ok(|day| stream::try_unfold(day, Day::next)).try_flatten())
}

// === impl Day ===

impl<R: InParts> Day<R> {
    async fn open(
        cql: &Cql,
        statement: &PreparedStatement,
        link: SmartLinkId,
        day: i32,
        parts: Vec<i32>,
        range: Range,
    ) -> Result<Self> {
        let link = link.to_bytes();
        let from = range.from.map_or(i64::MIN, |from| from.0);
        let to = range.to.map_or(i64::MAX, |to| to.0);
        let open = |part: i32| {
            let rows = cql.session().execute_iter(statement.clone(), (link.to_vec(), day, part, from, to));
            async move {
                let mut rows =
                    rows.await.map_err(crate::failure::paging)?.rows_stream::<R>().map_err(damaged)?;
                let head = rows.try_next().await.map_err(page)?;
                Ok::<_, StoreError>(Pages { rows, head })
            }
        };
        Ok(Self(stream::iter(parts).map(open).buffer_unordered(32).try_collect().await?))
    }

    async fn next(mut self) -> Result<Option<(R, Self)>> {
        let mut found: Option<R> = None;
        let mut newest = None;
        for (number, pages) in self.0.iter().enumerate() {
            let Some(head) = &pages.head else { continue };
            let place = (head.place().0, head.place().1.to_vec());
            if newest.as_ref().is_none_or(|(_, known)| place > *known) {
                newest = Some((number, place));
            }
        }
        let Some((_, place)) = newest else { return Ok(None) };
        for pages in &mut self.0 {
            if pages.head.as_ref().is_some_and(|head| head.place() == (place.0, place.1.as_slice())) {
                let next = pages.rows.try_next().await.map_err(page)?;
                let row = std::mem::replace(&mut pages.head, next);
                found = match (found, row) {
                    (Some(one), Some(other)) => Some(one.merge(other)),
                    (one, other) => one.or(other),
                };
            }
        }
        Ok(found.map(|row| (row, self)))
    }
}
