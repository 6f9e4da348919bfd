//! Overflow links, one after the other, in parts: their pass over the list, and long lists of subscribers, leave room for the
//! schedule and for searches.

use sl_core::{ids::PoolLinkId, time::Timestamp};

use super::{
    account::{AT_ONCE, AccountMatcher},
    look::LookError,
    told::Told,
};
use crate::pacer::Priority;

/// A pass under way.
#[derive(Debug)]
pub(super) struct Pass {
    begun: Timestamp,
    /// Links that are left; the next one is the last.
    left: Vec<PoolLinkId>,
}

impl AccountMatcher {
    /// Overflow links every `platform.poll` (decisions 55), a few requests in each turn; `true` when some are left.
    pub(super) async fn look_at_shared_links(&mut self) -> Result<bool, LookError> {
        let Some(mut pass) = self.pass().await? else { return Ok(false) };
        let most = self.asked + AT_ONCE;
        while let Some(id) = pass.left.pop() {
            if self.asked >= most {
                pass.left.push(id);
                self.pass = Some(pass);
                return Ok(true);
            }
            if let Err(error) = self.look_at_page_of(id, pass.begun).await {
                pass.left.push(id);
                self.pass = Some(pass);
                return Err(error);
            }
            if self.unread.contains(&id) {
                pass.left.push(id);
            }
        }
        self.shared_at = Some(pass.begun);
        Ok(false)
    }

    /// Reads the page of a link unless the pass has come by it, and has read the link's list.
    async fn look_at_page_of(&mut self, id: PoolLinkId, begun: Timestamp) -> Result<(), LookError> {
        let is_unread = self.unread.remove(&id);
        let Some(page) = self.locate(id, Priority::Sweep).await? else { return Ok(()) };
        if is_unread || self.read_at.get(&page).is_none_or(|at| *at < begun) {
            self.look(page, Priority::Sweep).await?;
        }
        Ok(())
    }

    /// The pass that goes on or begins now.
    async fn pass(&mut self) -> Result<Option<Pass>, LookError> {
        if self.pass.is_some() {
            return Ok(self.pass.take());
        }
        let now = self.clock.now();
        if self.shared_at.is_some_and(|at| now.since(at) < self.settings.poll) {
            return Ok(None);
        }
        self.follow_catalog(now).await?;
        let (told, ended) = (&self.told, &mut self.ended);
        self.watch.shared.retain(|id, shared| {
            let looked_at = told.get(id).and_then(Told::looked_at);
            let is_followed = shared.is_followed(looked_at, now);
            if !is_followed {
                ended.insert(*id);
            }
            is_followed
        });
        let mut left: Vec<PoolLinkId> = self.watch.shared.keys().copied().collect();
        left.sort_unstable_by(|a, b| b.cmp(a));
        Ok(Some(Pass { begun: now, left }))
    }

    /// Which links are shared, by the catalog.
    async fn follow_catalog(&mut self, now: Timestamp) -> Result<(), LookError> {
        let revision = *self.store.catalog.revisions().borrow();
        if self.shared_as_of == Some(revision) {
            return Ok(());
        }
        let mut overflows = self.overflows.lock().await;
        let revision = overflows.follow(&*self.store.catalog, self.settings.looks.window, now).await?;
        self.watch.shared = overflows.of(&self.account, &mut self.ended, now);
        self.shared_as_of = Some(revision);
        Ok(())
    }
}
