//! Long lists page by page: what is in memory is a page, whatever the list.

use std::{collections::BTreeSet, future::Future, time::Duration};

use futures_util::{Stream, stream};
use sl_core::time::Timestamp;
use sl_store::reports::Range;

use crate::error::Result;

/// Rows of a page: 500 × 1 KB = 500 KB, and some 20 MB when every parameter of every click is as long as it may be.
pub(super) const PAGE: usize = 500;

const MILLISECOND: Duration = Duration::from_millis(1);

/// Where a list goes on: at the time of the last row, less the rows of that time that were had. What comes in meanwhile shifts
/// nothing.
struct Place<I> {
    range: Range,
    had: BTreeSet<I>,
}

/// All rows of `range`, out of a list that is sorted by time, the newest first. `read` gives the first so many of a range; `key` is the
/// time and the id of a row. A page is read when it is asked for.
pub(super) fn newest_first<R, I, F>(
    range: Range,
    read: impl Fn(Range, usize) -> F + Send,
    key: fn(&R) -> (Timestamp, I),
) -> impl Stream<Item = Result<Vec<R>>> + Send
where
    R: Send,
    I: Ord + Send,
    F: Future<Output = Result<Vec<R>>> + Send,
{
    let place = Place { range, had: BTreeSet::new() };
    stream::try_unfold((Some(place), read), move |(place, read)| async move {
        let Some(place) = place else { return Ok(None) };
        let limit = PAGE + place.had.len();
        let mut rows = read(place.range, limit).await?;
        let is_last = rows.len() < limit;
        rows.retain(|row| !place.had.contains(&key(row).1));
        let next = if is_last { None } else { place.behind(&rows, key) };
        Ok(Some((rows, (next, read))))
    })
}

impl<I: Ord> Place<I> {
    /// Behind these rows; `None` when there were none.
    fn behind<R>(self, rows: &[R], key: fn(&R) -> (Timestamp, I)) -> Option<Self> {
        let (last, _) = key(rows.last()?);
        let range = Range { to: Some(last.plus(MILLISECOND)), ..self.range };
        let mut had = if range.to == self.range.to { self.had } else { BTreeSet::new() };
        had.extend(rows.iter().map(key).filter(|(at, _)| *at == last).map(|(_, id)| id));
        Some(Self { range, had })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt as _;
    use parking_lot::Mutex;

    use super::*;

    type Row = (Timestamp, u64);

    /// Rows of a list, each with a time of its number divided by `same`.
    async fn read_all(
        count: u64,
        same: u64,
        range: Range,
        came: impl Fn(&mut Vec<Row>) + Sync,
    ) -> Vec<Vec<u64>> {
        let row = |id| (Timestamp(i64::try_from(id / same).unwrap()), id);
        let list: Mutex<Vec<Row>> = Mutex::new((0..count).map(row).collect());
        let read = |range: Range, limit: usize| {
            let mut list = list.lock();
            let rows: Vec<Row> =
                list.iter().rev().filter(|(at, _)| range.contains(*at)).take(limit).copied().collect();
            came(&mut list);
            std::future::ready(Ok(rows))
        };
        let pages: Vec<Vec<Row>> = newest_first(range, read, |row| *row).try_collect().await.unwrap();
        pages.into_iter().map(|page| page.into_iter().map(|(_, id)| id).collect()).collect()
    }

    #[tokio::test]
    async fn every_row_comes_once_and_no_page_is_long_however_many_share_a_moment() {
        for count in [0, 1, 499, 500, 501, 1000, 2600] {
            for same in [1, 3, 499, 500, 501, 1200, 5000] {
                let pages = read_all(count, same, Range::default(), |_| {}).await;
                assert!(pages.iter().all(|page| page.len() <= PAGE), "{count} {same}");
                assert_eq!(pages.concat(), (0..count).rev().collect::<Vec<_>>(), "{count} {same}");
            }
        }
    }

    #[tokio::test]
    async fn the_range_is_kept_and_what_comes_meanwhile_shifts_nothing() {
        let range = Range { from: Some(Timestamp(100)), to: Some(Timestamp(1700)) };
        let pages = read_all(2000, 1, range, |list| {
            let next = u64::try_from(list.len()).unwrap();
            list.push((Timestamp(1699), next));
        });
        assert_eq!(pages.await.concat(), (100..1700).rev().collect::<Vec<_>>());
    }
}
