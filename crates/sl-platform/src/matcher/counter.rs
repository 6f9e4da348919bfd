//! What the counter of one link says, and when it is believed: subscribers may be counted before they are listed, and listed
//! before they are counted.

use sl_store::pool::{Look, PoolLinkRef};

use super::{
    account::AccountMatcher,
    list::Listed,
    look::{LookError, Reading},
};
use crate::platform::LinkSeen;

/// What was seen of one link.
#[derive(Default)]
pub(super) struct Seen {
    /// `None` when there is nothing to write down.
    pub(super) look: Option<Look>,
    /// Its list of subscribers was asked for, and came.
    pub(super) is_list_read: bool,
}

impl AccountMatcher {
    /// A link in one visitor's hands, or a shared one.
    pub(super) async fn look_at(&mut self, row: &LinkSeen, at: Reading) -> Result<Seen, LookError> {
        if self.watch.shared.contains_key(&row.id) {
            return self.look_at_shared(row, at).await;
        }
        let Some(link) = self.watch.links.get(&row.id) else { return Ok(Seen::default()) };
        let seen = link.facts.subscribers_seen;
        let is_list_read = row.subscribers > seen;
        if is_list_read {
            if self.watch.late.is_waiting(&row.id, at.clock) {
                return Ok(Seen::default());
            }
            let absent_at = link.facts.last_look_at;
            let listed =
                Listed { id: row.id, team: link.team, overflow_of: None, absent_at, open_until: None };
            let found = self.read_all(&listed, at).await?;
            let late = &mut self.watch.late;
            if found < row.subscribers as usize && !late.is_over(&row.id, at.clock) {
                late.put_off(row.id, at.clock, false, self.settings.again());
                return Ok(Seen { look: None, is_list_read });
            }
        }
        self.watch.late.end(&row.id);
        let link = PoolLinkRef { account: self.account.clone(), id: row.id };
        let look = Look { link, at: at.passed, subscribers: row.subscribers.max(seen) };
        Ok(Seen { look: Some(look), is_list_read })
    }

    async fn look_at_shared(&mut self, row: &LinkSeen, at: Reading) -> Result<Seen, LookError> {
        let Some(shared) = self.watch.shared.get(&row.id).cloned() else { return Ok(Seen::default()) };
        self.unread.remove(&row.id);
        let late = &self.watch.late;
        let (is_waiting, is_over) = (late.is_waiting(&row.id, at.clock), late.is_over(&row.id, at.clock));
        let told = self.told.entry(row.id).or_default();
        let before = told.count();
        let plan = told.plan(row.subscribers, is_waiting, is_over);
        if let Some(plan) = plan {
            let (absent_at, overflow_of) = (told.looked_at(), Some(shared.smart_link));
            let open_until = shared.open_until();
            let listed = Listed { id: row.id, team: shared.team, overflow_of, absent_at, open_until };
            let is_begun = self.asked < at.most;
            if !self.read_on(&listed, row.subscribers, plan, at).await? {
                self.unread.insert(row.id);
                return Ok(Seen { look: None, is_list_read: is_begun });
            }
        }
        let (told, late) = (self.told.entry(row.id).or_default(), &mut self.watch.late);
        if told.settle(row.subscribers, at.clock, at.passed) {
            late.end(&row.id);
        } else if is_over && plan.is_some_and(|plan| plan.is_whole) {
            told.believe(at.passed);
            late.end(&row.id);
        } else if plan.is_some() {
            late.put_off(row.id, at.clock, told.count() > before, self.settings.again());
        }
        Ok(Seen { look: None, is_list_read: plan.is_some() })
    }
}
