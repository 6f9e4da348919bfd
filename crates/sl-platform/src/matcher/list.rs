//! Lists of subscribers, page by page: whoever is new is appended to the journal.

use sl_core::{
    event::{Event, EventBody, SubscriberSeen},
    ids::{PoolLinkId, SmartLinkId, TeamId},
    time::Timestamp,
};
use sl_journal::log::append_synced;

use super::{
    account::AccountMatcher,
    look::{LookError, Reading},
    told::Plan,
};
use crate::platform::SubscriberRow;

/// Whose list is read.
pub(super) struct Listed {
    pub(super) id: PoolLinkId,
    pub(super) team: TeamId,
    pub(super) overflow_of: Option<SmartLinkId>,
    /// The last look that did not show who is new.
    pub(super) absent_at: Option<Timestamp>,
    /// Whoever subscribed later came for a Smart Link that was deleted too long before.
    pub(super) open_until: Option<Timestamp>,
}

/// What a page of a list held.
pub(super) struct Rows {
    /// Subscribers that could be told: a row without an id is missing.
    told: usize,
    pub(super) new: usize,
    /// Where the next page begins.
    pub(super) next: Option<u32>,
}

impl AccountMatcher {
    /// Reads the list of a link that one visitor has: it is short. Gives how many could be told.
    pub(super) async fn read_all(&mut self, listed: &Listed, at: Reading) -> Result<usize, LookError> {
        let (mut told, mut from) = (0, Some(0));
        while let Some(offset) = from {
            let rows = self.read_rows(listed, offset, at).await?;
            told += rows.told;
            from = rows.next;
        }
        Ok(told)
    }

    /// Reads on in the list of a shared link; `false` when the look has used up its requests before the end.
    pub(super) async fn read_on(
        &mut self,
        listed: &Listed,
        counter: u32,
        mut plan: Plan,
        at: Reading,
    ) -> Result<bool, LookError> {
        loop {
            self.told.entry(listed.id).or_default().begin(plan);
            if self.asked >= at.most {
                return Ok(false);
            }
            let rows = self.read_rows(listed, plan.from, at).await?;
            let told = self.told.entry(listed.id).or_default();
            match rows.next {
                Some(from) if !told.is_enough(plan, counter, rows.told, rows.new) => plan.from = from,
                _ => {
                    told.end(plan);
                    return Ok(true);
                }
            }
        }
    }

    pub(super) async fn read_rows(
        &mut self,
        listed: &Listed,
        offset: u32,
        at: Reading,
    ) -> Result<Rows, LookError> {
        self.asked += 1;
        let page = self.platform.subscribers(&self.account, listed.id, offset, at.priority).await?;
        let told = page.rows.len();
        let read = u32::try_from(told + page.unreadable).unwrap_or(u32::MAX);
        // An empty page that promises more would promise it for ever.
        let next = offset.checked_add(read).filter(|_| page.has_more && read > 0);
        let mut new = 0;
        for row in page.rows {
            new += usize::from(self.tell(listed, row, at.clock).await?);
        }
        Ok(Rows { told, new, next })
    }

    /// Appends a subscriber, unless it came too late; `false` when that was done before.
    async fn tell(
        &mut self,
        listed: &Listed,
        row: SubscriberRow,
        seen_at: Timestamp,
    ) -> Result<bool, LookError> {
        let fan = row.fan.clone();
        if self.told.get(&listed.id).is_some_and(|told| told.has(&fan)) {
            return Ok(false);
        }
        if listed.open_until.zip(row.subscribed_at).is_some_and(|(until, at)| at > until) {
            self.told.entry(listed.id).or_default().tell(fan);
            return Ok(true);
        }
        let event = Event {
            team: listed.team,
            account: self.account.clone(),
            at: self.clock.now(),
            body: EventBody::SubscriberSeen(SubscriberSeen {
                pool_link: listed.id,
                overflow_of: listed.overflow_of,
                fan: row.fan,
                profile: row.profile,
                subscribed_at: row.subscribed_at,
                price: row.price,
                seen_at,
                absent_at: listed.absent_at,
            }),
        };
        append_synced(&*self.log, event).await?;
        self.searches.found(&fan);
        self.told.entry(listed.id).or_default().tell(fan);
        Ok(true)
    }
}
