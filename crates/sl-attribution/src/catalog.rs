//! The snapshot of the catalog that destinations are chosen from.

use std::{sync::Arc, time::Duration};

use sl_core::{
    attribution::Destinations,
    catalog::{Pixel, Postback},
    time::Timestamp,
};
use sl_store::{Catalog, Result};

/// The catalog as the loops of a process see it: read once for all of them. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct SharedView(Arc<tokio::sync::Mutex<Snapshot>>);

impl SharedView {
    /// What it is at `now`, read again if it may have changed.
    pub(crate) async fn at(
        &self,
        catalog: &dyn Catalog,
        now: Timestamp,
        every: Duration,
    ) -> Result<Arc<Destinations>> {
        let mut snapshot = self.0.lock().await;
        snapshot.refresh(catalog, now, every).await?;
        Ok(Arc::clone(&snapshot.view))
    }
}

/// Kept fresh by the catalog's revision, and by time for what has none.
#[derive(Debug, Default)]
struct Snapshot {
    pixels: Vec<Pixel>,
    postbacks: Vec<Postback>,
    revision: u64,
    read_at: Option<Timestamp>,
    /// Copied for a change only while a loop decides by it.
    view: Arc<Destinations>,
}

impl Snapshot {
    /// Reads again what may have changed.
    async fn refresh(&mut self, catalog: &dyn Catalog, now: Timestamp, every: Duration) -> Result<()> {
        let moved = *catalog.revisions().borrow() != self.revision;
        let fresh = self.read_at.is_some_and(|at| now >= at && now.since(at) < every);
        if fresh && !moved {
            return Ok(());
        }
        let changes = catalog.changes_since(self.revision).await?;
        let (mut pixels, mut postbacks) = (Vec::new(), Vec::new());
        for team in catalog.teams().await? {
            pixels.extend(catalog.pixels(team.id).await?);
            postbacks.extend(catalog.postbacks(team.id).await?);
        }
        if !changes.links.is_empty() {
            let view = Arc::make_mut(&mut self.view);
            changes.links.iter().for_each(|link| view.set_link(link));
        }
        if pixels != self.pixels {
            Arc::make_mut(&mut self.view).set_pixels(&pixels);
            self.pixels = pixels;
        }
        if postbacks != self.postbacks {
            Arc::make_mut(&mut self.view).set_postbacks(&postbacks);
            self.postbacks = postbacks;
        }
        self.revision = changes.revision;
        self.read_at = Some(now);
        Ok(())
    }
}
