//! Pool links that an edge still has after a stop while the servers are away: the file of what its stock sets aside.
//!
//! **What the file lists was given to nobody**, whenever and however the process ends: links leave the file before they are
//! opened for visitors and before they are given back. Writers take turns, so that none writes what another has just struck.

use std::{
    collections::BTreeSet,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use sl_edge::{Aside, BLOCK, Stock};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::snapshots::Snapshots;

/// Links of every stock that are set aside: a block, so that an edge that starts alone has what a quiet stock starts with.
/// The file has about 60 bytes for each.
pub(crate) const LINKS: usize = BLOCK;
/// Links that were only added are written at most this often.
const EVERY: Duration = Duration::from_secs(1);
/// The pause after a failed write.
const AGAIN: Duration = Duration::from_secs(1);

/// The file and the stock it is about.
pub(crate) struct Reserve {
    stock: Stock,
    file: Snapshots,
    written: Mutex<Written>,
}

/// What the file says, as it was last written.
#[derive(Default)]
struct Written {
    /// [`Stock::changes`] when it was written.
    changes: u64,
    fences: BTreeSet<u64>,
    at: Option<Instant>,
}

// === impl Reserve ===

impl Reserve {
    /// Gives an empty stock the links that the file lists.
    pub(crate) async fn load(stock: Stock, file: Snapshots) -> Arc<Self> {
        let reader = file.clone();
        let aside = tokio::task::spawn_blocking(move || reader.read_links()).await.unwrap_or_default();
        let fences = aside.iter().map(|aside| aside.fence).collect();
        aside.into_iter().for_each(|aside| stock.put_aside(aside));
        let written = Mutex::new(Written { changes: u64::MAX, fences, at: None });
        Arc::new(Self { stock, file, written })
    }

    /// Opens links wherever a stock runs short, until `stop`.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.open().await {
                tracing::warn!(%error, "leased pool links can't be written down; those set aside stay there");
                tokio::time::sleep(AGAIN).await;
            }
            tokio::select! {
                () = self.stock.short() => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn open(&self) -> io::Result<()> {
        let mut written = self.written.lock().await;
        if self.stock.begin_opening() {
            self.write(&mut written).await?;
            self.stock.opened();
        }
        Ok(())
    }

    /// Writes down what has come, if something has and it was not done just now.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) async fn keep_up(&self) -> io::Result<()> {
        let mut written = self.written.lock().await;
        let is_due = written.at.is_none_or(|at| at.elapsed() >= EVERY);
        if is_due && written.changes != self.stock.changes() {
            self.write(&mut written).await?;
        }
        Ok(())
    }

    /// Strikes blocks that have left the stock: only then may they be given back.
    ///
    /// # Errors
    /// The disk's: nothing may be given back.
    pub(crate) async fn strike(&self, mut fences: impl Iterator<Item = u64>) -> io::Result<()> {
        let mut written = self.written.lock().await;
        if fences.any(|fence| written.fences.contains(&fence)) {
            self.write(&mut written).await
        } else {
            Ok(())
        }
    }

    /// Writes down everything that is left, which nobody gets from here on: the next start has it.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) async fn close(&self) -> io::Result<()> {
        let mut written = self.written.lock().await;
        self.stock.set_all_aside();
        self.write(&mut written).await
    }

    async fn write(&self, written: &mut Written) -> io::Result<()> {
        let (changes, aside) = (self.stock.changes(), self.stock.aside());
        let fences = aside.iter().map(|Aside { fence, .. }| *fence);
        // Until it is known what the file says, it may say the old or the new.
        written.fences.extend(fences.clone());
        let now = fences.collect();
        let file = self.file.clone();
        tokio::task::spawn_blocking(move || file.write_links(aside)).await.map_err(io::Error::other)??;
        *written = Written { changes, fences: now, at: Some(Instant::now()) };
        Ok(())
    }
}
