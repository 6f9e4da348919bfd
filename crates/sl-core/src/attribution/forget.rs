//! What is remembered for a time only: a queue of keys per account, in pages, worked off a little at each event.

use super::{
    CLOCK_SLACK, Decider, HOLD_SUBSCRIBER, REMEMBER,
    key::Key,
    record::{FanRecord, HolderRecord, Later, PageRecord, PrintRecord},
};
use crate::{
    click::VisitorId,
    ids::{FanId, PoolLinkId},
    time::Timestamp,
};
use std::time::Duration;

/// Entries of a page: 64 × about 30 bytes = 2 KB rewritten at most per entry added.
const PAGE: usize = 64;
/// Entries worked off per event, so that a backlog never makes one step large.
const PER_EVENT: usize = 8;

/// Queues by length of wait: inside each, entries come in order of time.
#[derive(Debug, Clone, Copy)]
enum Wait {
    /// Holds: up to two days.
    Hold,
    /// Idempotency keys: eight days.
    Applied,
    /// Fingerprints.
    Print,
}

impl Later {
    fn wait(&self) -> Wait {
        match self {
            Self::Print(..) => Wait::Print,
            Self::Holder(_) | Self::Fan(_) => Wait::Hold,
            Self::Applied(_) => Wait::Applied,
        }
    }
}

impl Decider<'_> {
    /// Looks at something again at `when`.
    pub(super) fn forget_at(&mut self, when: Timestamp, what: Later) {
        let number = what.wait() as u8;
        let Some(queue) = self.state.queues.get_mut(usize::from(number)) else { return };
        queue.next = Some(queue.next.unwrap_or(when));
        let page_key = Key::Page(self.account.clone(), number, queue.last);
        if self.memory.read::<PageRecord>(&page_key).is_some_and(|page| page.entries.len() >= PAGE) {
            // Nothing has ever been in the page behind the last one: it need not be looked for.
            queue.last += 1;
            let page_key = Key::Page(self.account.clone(), number, queue.last);
            self.memory.keep(page_key, PageRecord { entries: vec![(when, what)] });
            return;
        }
        self.memory.edit(&page_key, |page: &mut PageRecord| page.entries.push((when, what)));
    }

    /// Works off a few entries that are due.
    pub(super) fn forget_some(&mut self) {
        for wait in [Wait::Hold, Wait::Applied, Wait::Print] {
            let number = wait as u8;
            let Some(mut queue) = self.state.queues.get(usize::from(number)).copied() else { continue };
            if queue.next.is_none_or(|next| next > self.now && !self.is_misdated(next, wait)) {
                continue;
            }
            let page_key = Key::Page(self.account.clone(), number, queue.first);
            let mut page: PageRecord = self.memory.take(&page_key);
            let is_over =
                |(when, _): &&(Timestamp, Later)| *when <= self.now || self.is_misdated(*when, wait);
            let over = page.entries.iter().take(PER_EVENT).take_while(is_over).count();
            let (due, misdated): (Vec<_>, Vec<_>) =
                page.entries.drain(..over).partition(|(when, _)| *when <= self.now);
            for (_, what) in due {
                self.reconsider(what);
            }
            queue.next = page.entries.first().map(|(when, _)| *when);
            if !page.entries.is_empty() {
                self.memory.put(&page_key, page);
            } else {
                self.memory.forget(&page_key);
                if queue.first < queue.last {
                    queue.first += 1;
                    // Due at once: the next page's own times decide then.
                    queue.next = Some(self.now);
                }
            }
            if let Some(kept) = self.state.queues.get_mut(usize::from(number)) {
                *kept = queue;
            }
            let again = self.moment().plus(self.longest(wait));
            misdated.into_iter().for_each(|(_, what)| self.forget_at(again, what));
        }
    }

    /// Longest time that anything waits in a queue.
    fn longest(&self, wait: Wait) -> Duration {
        match wait {
            Wait::Hold => HOLD_SUBSCRIBER,
            Wait::Applied => REMEMBER,
            Wait::Print => self.rules.erase_prints_after,
        }
    }

    /// An entry by a clock that was far ahead: its time would come after that of everything behind it.
    fn is_misdated(&self, when: Timestamp, wait: Wait) -> bool {
        self.is_ahead(when.minus(self.longest(wait)))
    }

    /// Whether a time is one that has not come, whatever clock is believed.
    fn is_ahead(&self, at: Timestamp) -> bool {
        at > self.moment().plus(CLOCK_SLACK)
    }

    /// Looks at what has come to its time.
    fn reconsider(&mut self, what: Later) {
        match what {
            Later::Applied(name) => self.memory.forget(&Key::Applied(self.account.clone(), name)),
            Later::Print(print, held) => {
                self.erase_print(print);
                if let Some(link) = held {
                    self.clear_holder(link);
                }
            }
            Later::Holder(link) => self.clear_holder(link),
            Later::Fan(fan) => self.clear_fan(fan),
        }
    }

    fn erase_print(&mut self, print: VisitorId) {
        let key = Key::Print(self.account.clone(), print);
        let print: PrintRecord = self.memory.take(&key);
        if print.seen.plus(self.rules.erase_prints_after) <= self.now || self.is_ahead(print.seen) {
            self.memory.forget(&key);
        }
    }

    fn clear_holder(&mut self, link: PoolLinkId) {
        let (now, keep) = (self.now, self.rules.erase_prints_after);
        let key = Key::Holder(self.account.clone(), link);
        let mut record: HolderRecord = self.memory.take(&key);
        for holder in &mut record.holders {
            if holder.click.at.plus(keep) <= now || self.is_ahead(holder.click.at) {
                holder.print = None;
            }
        }
        record.pending.retain(|(until, _)| *until > now);
        self.memory.put(&key, record);
    }

    fn clear_fan(&mut self, fan: FanId) {
        let now = self.now;
        let key = Key::Fan(self.account.clone(), fan);
        let mut record: Box<FanRecord> = self.memory.take(&key);
        record.held.retain(|held| held.until() > now);
        let waits = record.announced.iter().any(|announced| announced.until > now)
            || record.last_seen.is_some_and(|seen| seen.plus(HOLD_SUBSCRIBER) > now)
            || !(record.held.is_empty() && record.undated.is_empty());
        if !waits && record.touches.is_empty() && record.subscriptions.is_empty() {
            self.memory.forget(&key);
        } else {
            self.memory.put(&key, record);
        }
    }
}
