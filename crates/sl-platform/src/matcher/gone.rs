//! Links that the platform has deleted: they leave their stock as ended ones do. Those that visitors have are followed as long as ended
//! ones, by themselves, since no page shows them: whoever subscribed before is told, where the platform still says who that was.

use sl_core::{deleted::DELETED, ids::PoolLinkId, time::Timestamp};
use sl_store::pool::{Look, PoolLinkRef};

use super::{
    account::{AT_ONCE, AccountMatcher},
    list::Listed,
    look::{LookError, Reading},
    retire::{Over, Why},
    told::Told,
    watch::{Gone, Page},
};
use crate::{error::PlatformError, pacer::Priority};

impl AccountMatcher {
    /// Links of one page that are certainly deleted.
    pub(super) async fn take_deleted(
        &mut self,
        page: Page,
        links: &[PoolLinkId],
        now: Timestamp,
    ) -> Result<(), LookError> {
        let over = links.iter().map(|id| Over { id: *id, end: DELETED, created_at: None });
        self.take_out(page, over.collect(), Why::Deleted, now).await?;
        for id in links {
            if self.watch.shared.contains_key(id) {
                self.leave_shared(*id).await?;
            } else if self.watch.links.contains_key(id) {
                self.watch.gone.insert(*id, Gone { is_read: false, has_list: true });
            }
        }
        Ok(())
    }

    /// One look at a link that a visitor has: at once, and when whoever subscribed before is shown.
    pub(super) async fn look_at_gone(&mut self, id: PoolLinkId) -> Result<(), LookError> {
        let Some((link, gone)) = self.watch.links.get(&id).zip(self.watch.gone.get(&id).copied()) else {
            self.watch.gone.remove(&id);
            return Ok(());
        };
        let (team, absent_at, seen) = (link.team, link.facts.last_look_at, link.facts.subscribers_seen);
        let listed = Listed { id, team, overflow_of: None, absent_at, open_until: None };
        let at = self.reading_now();
        let has_list = match gone.has_list {
            true => self.read_newest(&listed, at).await,
            false => Ok(false),
        };
        let has_list = match has_list {
            Ok(has_list) => has_list,
            Err(LookError::Platform(error)) if error.may_be_about_one_list() => {
                self.set_aside(id, &error, at.clock);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.watch.aside.links.end(&id);
        self.watch.gone.insert(id, Gone { is_read: true, has_list });
        let told = self.told.get(&id).map_or(0, Told::count);
        let subscribers = u32::try_from(told).unwrap_or(u32::MAX).max(seen);
        let link = PoolLinkRef { account: self.account.clone(), id };
        self.store_looks(vec![Look { link, at: at.passed, subscribers }]).await
    }

    /// The overflow link of a Smart Link: nobody comes through it any more, and nothing is left to follow once its list was read.
    async fn leave_shared(&mut self, id: PoolLinkId) -> Result<(), LookError> {
        let Some(shared) = self.watch.shared.get(&id).cloned() else { return Ok(()) };
        let (absent_at, open_until) = (self.told.get(&id).and_then(Told::looked_at), shared.open_until());
        let overflow_of = Some(shared.smart_link);
        let listed = Listed { id, team: shared.team, overflow_of, absent_at, open_until };
        match self.read_newest(&listed, self.reading_now()).await {
            Ok(_) => {}
            Err(LookError::Platform(error)) => {
                let account = &self.account;
                tracing::debug!(%account, link = %id, %error, "who came last through a deleted overflow link is not known");
            }
            Err(error) => return Err(error),
        }
        self.watch.shared.remove(&id);
        self.ended.insert(id);
        Ok(())
    }

    /// Reads a list, the newest first, until a page has nobody new; `false` when the platform has none any more.
    async fn read_newest(&mut self, listed: &Listed, at: Reading) -> Result<bool, LookError> {
        let mut from = Some(0);
        for _ in 0..AT_ONCE {
            let Some(offset) = from else { break };
            match self.read_rows(listed, offset, at).await {
                Ok(rows) => from = rows.next.filter(|_| rows.new > 0),
                Err(LookError::Platform(PlatformError::Refused { status: 404, .. })) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn reading_now(&self) -> Reading {
        let clock = self.clock.now();
        let passed = clock.minus((self.lag)());
        Reading { clock, passed, priority: Priority::Sweep, most: usize::MAX }
    }
}
