//! The snapshot of the catalog that destinations are chosen from.

use std::time::Duration;

use sl_core::{
    attribution::Destinations,
    catalog::{Pixel, Postback},
    time::Timestamp,
};
use sl_store::{Catalog, Result};

/// Kept fresh by the catalog's revision, and by time for what has none.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pixels: Vec<Pixel>,
    postbacks: Vec<Postback>,
    revision: u64,
    read_at: Option<Timestamp>,
    view: Destinations,
}

impl Snapshot {
    pub(crate) fn view(&self) -> &Destinations {
        &self.view
    }

    /// Reads again what may have changed.
    pub(crate) async fn refresh(
        &mut self,
        catalog: &dyn Catalog,
        now: Timestamp,
        every: Duration,
    ) -> Result<()> {
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
        changes.links.iter().for_each(|link| self.view.set_link(link));
        if pixels != self.pixels {
            self.view.set_pixels(&pixels);
            self.pixels = pixels;
        }
        if postbacks != self.postbacks {
            self.view.set_postbacks(&postbacks);
            self.postbacks = postbacks;
        }
        self.revision = changes.revision;
        self.read_at = Some(now);
        Ok(())
    }
}
