//! Finding the page of a link, with requests where it is not known (decisions 48).

use std::collections::HashSet;

use sl_core::{ids::PoolLinkId, time::Timestamp};

use super::{
    account::AccountMatcher,
    look::LookError,
    places::Whereabouts,
    watch::{LOST, Page},
};
use crate::pacer::Priority;

/// Pages read to find the place of one link; bisecting 100 million links takes 20.
const PLACE_READS: usize = 48;

impl AccountMatcher {
    /// The page of a link; reads pages until it is known. `None` when the platform does not list it, or its page can't be
    /// read now.
    pub(super) async fn locate(
        &mut self,
        id: PoolLinkId,
        priority: Priority,
    ) -> Result<Option<Page>, LookError> {
        let mut read = HashSet::new();
        while read.len() < PLACE_READS {
            let now = self.clock.now();
            let next = match self.watch.find(id, now) {
                Whereabouts::On(page) => {
                    let page = (id.kind, page);
                    return Ok((!self.watch.aside.pages.has(&page, now)).then_some(page));
                }
                Whereabouts::Unknown(page) if !read.contains(&page) => Some(page),
                Whereabouts::Unknown(_) | Whereabouts::Missing => self.page_moved_to(id, now),
            };
            let Some(page) = next.filter(|page| read.insert(*page)) else { break };
            self.look((id.kind, page), priority).await?;
        }
        self.watch.lose(id, self.clock.now());
        Ok(None)
    }

    /// Links before it may have left the list, and this one moved up: the page that it may be on now, unless that was read lately.
    fn page_moved_to(&self, id: PoolLinkId, now: Timestamp) -> Option<u32> {
        let page = self.watch.page_below(id, now)?;
        let read_at = self.read_at.get(&(id.kind, page));
        read_at.is_none_or(|at| now.is_past(*at, LOST)).then_some(page)
    }
}
