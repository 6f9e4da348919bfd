//! Kind by kind, page by page; where a run ends, however it ends, the next one goes on.

use std::{collections::BTreeMap, fmt, time::Duration};

use sl_scylla::{Come, Mover};
use sl_store::{
    StoreError,
    moving::{Kind, Page, Target as _},
};

use super::{route::Router, source::Opened, view::View};
use crate::failure::Failure;

/// Rows read at once: 4,096 × about 450 bytes = 2 MB, some 60 requests under way.
const PAGE: usize = 4_096;
/// Deliveries read at once: with body and attempts each has some 2 KB, and five rows.
const DELIVERIES: usize = 1_024;
/// How often a request is tried while the servers do not answer, with growing pauses: a minute in all.
const TRIES: u32 = 12;

/// How much of each kind there is now.
#[derive(Debug, Default)]
pub(super) struct Moved {
    pub(super) rows: BTreeMap<&'static str, u64>,
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for kind in Kind::ALL {
            writeln!(f, "{:>12}  {}", self.rows.get(kind.as_str()).unwrap_or(&0), kind.as_str())?;
        }
        Ok(())
    }
}

/// Moves what is not moved yet, and makes the cluster whole.
///
/// # Errors
/// [`Failure::Run`]; the same command goes on.
pub(super) async fn all(
    source: &Opened,
    mover: &Mover,
    router: &Router,
    view: &mut View,
) -> Result<Moved, Failure> {
    let failed = |error: StoreError| {
        let again =
            if error.is_temporary() { "; run the same command again: it goes on from here" } else { "" };
        Failure::Run(format!("{error}{again}"))
    };
    let come = patiently(async || mover.come().await).await.map_err(failed)?;
    let mut come: BTreeMap<String, Come> = come.into_iter().collect();
    let mut moved = Moved::default();
    for kind in Kind::ALL {
        let mut come = come.remove(kind.as_str()).unwrap_or_default();
        if !come.is_done {
            view.begin(kind.as_str(), come.rows);
            one(kind, source, mover, router, &mut come, view).await.map_err(failed)?;
            view.end(come.rows);
        }
        moved.rows.insert(kind.as_str(), come.rows);
    }
    patiently(async || mover.finish(&source.standing, router.partitions()).await).await.map_err(failed)?;
    Ok(moved)
}

async fn one(
    kind: Kind,
    source: &Opened,
    mover: &Mover,
    router: &Router,
    come: &mut Come,
    view: &mut View,
) -> Result<(), StoreError> {
    let limit = if kind == Kind::Deliveries { DELIVERIES } else { PAGE };
    let read = async |after: Option<Vec<u8>>| source.rows.page(kind, after, limit).await;
    let mut page = Some(read(come.cursor.clone()).await?);
    while let Some(Page { rows, next }) = page {
        let count = rows.len() as u64;
        let rows = router.route(rows)?;
        // The next page is read while this one is written.
        let ahead = async {
            match next.clone() {
                Some(next) => read(Some(next)).await.map(Some),
                None => Ok(None),
            }
        };
        let put = patiently(async || mover.put(rows.clone()).await);
        let ((), ahead) = tokio::try_join!(put, ahead)?;
        come.rows += count;
        come.is_done = next.is_none();
        come.cursor = next.or(come.cursor.take());
        patiently(async || mover.note(kind.as_str(), come).await).await?;
        view.total(come.rows);
        page = ahead;
    }
    Ok(())
}

/// Asks again while the servers are away for a moment: everything here may be done twice.
async fn patiently<T>(ask: impl AsyncFn() -> Result<T, StoreError>) -> Result<T, StoreError> {
    for nth in 1..TRIES {
        match ask().await {
            Err(error) if error.is_temporary() => {
                tokio::time::sleep(Duration::from_secs(u64::from(nth))).await;
            }
            done => return done,
        }
    }
    ask().await
}
