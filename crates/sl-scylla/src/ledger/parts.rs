//! To which part of a link's span new rows go.
//!
//! One owner at a time writes the rows of a link, and counts them in memory. Where it begins (a new owner, a link of
//! yesterday) it asks which parts are there, goes on in the last one, and takes it as half full. Nothing depends on two
//! owners choosing alike: readers look at every part, and of one row in two parts take the one written last.

use std::collections::HashMap;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use scylla::statement::prepared::PreparedStatement;
use sl_core::ids::SmartLinkId;
use sl_store::Result;

use crate::{cql::Cql, days::PartKind};

/// Rows of a part: 65,536 × about 450 bytes = 30 MB.
const ROWS: u32 = 65_536;
/// Spans remembered: 100,000 × 60 bytes = 6 MB. Past that all are forgotten and asked for again.
const REMEMBERED: usize = 100_000;
/// The newest part of a span.
pub(super) const LAST: &str = "SELECT part FROM link_parts WHERE link = ? AND sort = ? AND span = ? LIMIT 1";
/// Questions under way.
const IN_FLIGHT: usize = 64;

/// Names a span of a link.
pub(super) type Span = (SmartLinkId, PartKind, i32);

/// The parts of the spans that were written lately.
#[derive(Default)]
pub(super) struct Parts {
    spans: HashMap<Span, Filling>,
}

#[derive(Debug, Clone, Copy)]
struct Filling {
    part: i32,
    rows: u32,
    /// Whether `link_parts` has it.
    listed: bool,
}

// === impl Parts ===

impl Parts {
    /// Finds out about spans that were not written lately.
    pub(super) async fn ask(
        &mut self,
        cql: &Cql,
        statement: &PreparedStatement,
        spans: impl Iterator<Item = Span>,
    ) -> Result<()> {
        if self.spans.len() > REMEMBERED {
            self.spans.clear();
        }
        let mut unknown: Vec<_> = spans.filter(|span| !self.spans.contains_key(span)).collect();
        unknown.sort_unstable();
        unknown.dedup();
        let ask = |(link, sort, span): Span| async move {
            let last: Option<(i32,)> =
                cql.row(statement, (link.to_bytes().as_slice(), sort.number(), span)).await?;
            let filling = match last {
                Some((part,)) => Filling { part, rows: ROWS / 2, listed: true },
                None => Filling { part: 0, rows: 0, listed: false },
            };
            Ok::<_, sl_store::StoreError>(((link, sort, span), filling))
        };
        let found = stream::iter(unknown).map(ask).buffer_unordered(IN_FLIGHT);
        self.spans.extend(found.try_collect::<Vec<_>>().await?);
        Ok(())
    }

    /// The part for one more row of a span, and whether that part is still to be listed: said once, so the caller lists
    /// it in the step under way. Spans must have been asked for.
    pub(super) fn place(&mut self, span: Span) -> (i32, bool) {
        let filling = self.spans.entry(span).or_insert(Filling { part: 0, rows: 0, listed: false });
        if filling.rows >= ROWS {
            *filling = Filling { part: filling.part.saturating_add(1), rows: 0, listed: false };
        }
        filling.rows += 1;
        let is_new = !std::mem::replace(&mut filling.listed, true);
        (filling.part, is_new)
    }

    /// Whether a span that has one part only is still to be listed; said once.
    pub(super) fn list(&mut self, span: Span) -> bool {
        let filling = self.spans.entry(span).or_insert(Filling { part: 0, rows: 0, listed: false });
        !std::mem::replace(&mut filling.listed, true)
    }

    /// The only part there is, if there is one only.
    pub(super) fn only(&self, span: Span) -> Option<i32> {
        self.spans.get(&span).filter(|filling| filling.part == 0).map(|_| 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_is_full_is_followed_by_the_next_which_is_listed_once() {
        let (mut parts, span) = (Parts::default(), (SmartLinkId::from_bytes([1; 16]), PartKind::Clicks, 7));
        assert_eq!(parts.place(span), (0, true));
        assert_eq!(parts.only(span), Some(0));
        for _ in 1..ROWS {
            assert_eq!(parts.place(span), (0, false));
        }
        assert_eq!(parts.place(span), (1, true));
        assert_eq!(parts.place(span), (1, false));
        assert_eq!(parts.only(span), None);
    }
}
