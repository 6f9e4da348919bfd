//! One look: a page of the link list, the subscribers of the links whose counter moved, their records in the journal,
//! and only then the counters in the store (decisions 48).

use std::{collections::HashSet, time::Duration};

use sl_core::{
    event::{Event, EventBody, SubscriberSeen},
    ids::{FanId, PoolLinkId, SmartLinkId, TeamId},
    time::Timestamp,
};
use sl_journal::{LostReason, log::append_synced};
use sl_store::{
    StoreError,
    pool::{Look, PoolLinkRef},
};

use super::{account::AccountMatcher, watch::Page};
use crate::{
    error::PlatformError,
    pacer::Priority,
    platform::{LinkPage, LinkSeen, PAGE, SubscriberRow},
};

/// Looks at a link whose counter shows more subscribers than its list: the list is late. After that many it is believed.
const SHORT_LISTS: u8 = 5;

/// Why a look ended early. Nothing is lost: it is taken again.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookError {
    #[error(transparent)]
    Platform(#[from] PlatformError),
    #[error("the pool can't be read or written: {0}")]
    Store(#[from] StoreError),
    #[error("the journal does not take a subscriber: {0}")]
    Journal(#[from] LostReason),
}

/// Lists of one page that go unanswered one after the other, before that is the platform's trouble and no list's.
const IN_A_ROW: usize = 2;
/// A page waits no longer for an attribution that is behind: it may catch up at any time.
const LATEST: Duration = Duration::from_secs(300);

/// What is known of a link with subscribers; in memory only, some 60 bytes a subscriber: after a start the list of a
/// shared link is read once more, and attribution knows the repetitions.
#[derive(Debug, Default)]
pub(super) struct Told {
    counted: Option<u32>,
    fans: HashSet<FanId>,
    looked_at: Option<Timestamp>,
}

/// When a page was read.
#[derive(Clone, Copy)]
struct ReadAt {
    /// The time of the reading: fans on a list are there since then at the latest.
    clock: Timestamp,
    /// Earlier by what attribution is behind: who clicked before is known (decisions 50).
    passed: Timestamp,
}

/// What was seen of one link.
#[derive(Default)]
struct Seen {
    /// `None` when there is nothing to write down.
    look: Option<Look>,
    /// Its list of subscribers was asked for, and came.
    is_list_read: bool,
}

/// Whose list is read.
struct Listed {
    id: PoolLinkId,
    team: TeamId,
    overflow_of: Option<SmartLinkId>,
    absent_at: Option<Timestamp>,
    /// How many are new by the counter; all when it is not known.
    moved: Option<u32>,
}

impl AccountMatcher {
    /// Reads a page and does everything that follows from it.
    pub(super) async fn look(&mut self, page: Page, priority: Priority) -> Result<(), LookError> {
        let (kind, number) = page;
        let start = self.clock.now();
        let lag = (self.lag)();
        let at = ReadAt { clock: start, passed: start.minus(lag) };
        let ask = LinkPage { kind, offset: number.saturating_mul(PAGE), newest_first: false };
        self.pages_read += 1;
        let read = match self.platform.links(&self.account, ask, priority).await {
            Ok(read) => read,
            Err(error) => return self.page_failed(page, error, start),
        };
        self.page_read(page, &read);
        let rows = &read.rows;
        let numbers = rows.iter().map(|row| row.id.number);
        self.watch.places(kind).learn(number, numbers, rows.len() + read.unreadable);
        self.read_at.insert(page, start);
        let (mut looks, mut unsure) = (Vec::new(), 0);
        for row in rows {
            if self.watch.aside.links.has(&row.id, start) {
                continue;
            }
            let asked_at = self.clock.now();
            match self.look_at(row, at, priority).await {
                Ok(Seen { look, is_list_read }) => {
                    // A link that cost no request says nothing about the platform.
                    unsure = if is_list_read { 0 } else { unsure };
                    self.watch.aside.links.end(&row.id);
                    looks.extend(look);
                }
                // Where several in a row go unanswered it is none of theirs.
                Err(LookError::Platform(error)) if error.may_be_about_one_list() && unsure < IN_A_ROW => {
                    unsure += usize::from(error.is_unsure());
                    self.set_aside(row.id, &error, asked_at);
                }
                Err(error) => {
                    // What was seen before it is certain.
                    self.store_looks(looks).await?;
                    return Err(error);
                }
            }
        }
        self.store_looks(looks).await?;
        // A list that is late is read again soon, not at once; one that attribution is behind of, when it may be there.
        let again = start.plus(self.settings.again().max(lag.min(LATEST)));
        self.watch.planned(page, rows.iter().map(|row| row.id), start, again, &self.settings.looks);
        Ok(())
    }

    /// Writes down what somebody waits for: a moved counter, and a look that was due. Any other look is only remembered.
    async fn store_looks(&mut self, looks: Vec<Look>) -> Result<(), LookError> {
        let schedule = &self.settings.looks;
        let watch = &self.watch;
        let matters = |look: &&Look| {
            watch.links.get(&look.link.id).is_some_and(|link| {
                let due = schedule.next(look.link.id.kind, &link.facts);
                look.subscribers > link.facts.subscribers_seen || due.is_some_and(|due| due.at <= look.at)
            })
        };
        let written: Vec<Look> = looks.iter().filter(matters).cloned().collect();
        if !written.is_empty() {
            self.store.pool.looked(written).await?;
        }
        for look in looks {
            let Some(link) = self.watch.links.get_mut(&look.link.id) else { continue };
            link.facts.last_look_at = link.facts.last_look_at.max(Some(look.at));
            link.facts.subscribers_seen = link.facts.subscribers_seen.max(look.subscribers);
            if look.subscribers > 0 {
                link.facts.used_at = link.facts.used_at.or(Some(look.at));
            }
        }
        Ok(())
    }

    /// What the counter of one link says.
    async fn look_at(&mut self, row: &LinkSeen, at: ReadAt, priority: Priority) -> Result<Seen, LookError> {
        if self.watch.shared.contains_key(&row.id) {
            return self.look_at_shared(row, at, priority).await;
        }
        let Some(link) = self.watch.links.get(&row.id) else { return Ok(Seen::default()) };
        let seen = link.facts.subscribers_seen;
        let is_list_read = row.subscribers > seen;
        if is_list_read {
            let listed = Listed {
                id: row.id,
                team: link.team,
                overflow_of: None,
                absent_at: link.facts.last_look_at,
                moved: Some(row.subscribers - seen),
            };
            let found = self.read_subscribers(&listed, at.clock, priority).await?;
            let short = self.short.entry(row.id).or_default();
            if found < row.subscribers as usize && *short < SHORT_LISTS {
                *short += 1;
                return Ok(Seen { look: None, is_list_read });
            }
            self.short.remove(&row.id);
        }
        let link = PoolLinkRef { account: self.account.clone(), id: row.id };
        let look = Look { link, at: at.passed, subscribers: row.subscribers.max(seen) };
        Ok(Seen { look: Some(look), is_list_read })
    }

    async fn look_at_shared(
        &mut self,
        row: &LinkSeen,
        at: ReadAt,
        priority: Priority,
    ) -> Result<Seen, LookError> {
        let Some(shared) = self.watch.shared.get(&row.id).cloned() else { return Ok(Seen::default()) };
        let told = self.told.entry(row.id).or_default();
        let moved = told.counted.map(|counted| row.subscribers.saturating_sub(counted));
        let is_list_read = moved.unwrap_or(row.subscribers) > 0;
        if is_list_read {
            let listed = Listed {
                id: row.id,
                team: shared.team,
                overflow_of: Some(shared.smart_link),
                absent_at: told.looked_at,
                moved,
            };
            let before = told.fans.len();
            self.read_subscribers(&listed, at.clock, priority).await?;
            let told = self.told.entry(row.id).or_default();
            let new = u32::try_from(told.fans.len().saturating_sub(before)).unwrap_or(u32::MAX);
            let short = self.short.entry(row.id).or_default();
            if moved.is_some_and(|moved| new < moved) && *short < SHORT_LISTS {
                *short += 1;
                return Ok(Seen { look: None, is_list_read });
            }
            self.short.remove(&row.id);
        }
        let told = self.told.entry(row.id).or_default();
        (told.counted, told.looked_at) = (Some(row.subscribers), Some(at.passed));
        Ok(Seen { look: None, is_list_read })
    }

    /// Reads the list of one link and appends who is new. Gives how many could be told: a row without an id is missing.
    async fn read_subscribers(
        &mut self,
        listed: &Listed,
        seen_at: Timestamp,
        priority: Priority,
    ) -> Result<usize, LookError> {
        let (mut read, mut told, mut new) = (0, 0, 0);
        loop {
            let offset = u32::try_from(read).unwrap_or(u32::MAX);
            let page = self.platform.subscribers(&self.account, listed.id, offset, priority).await?;
            let is_empty = page.rows.is_empty() && page.unreadable == 0;
            read += page.rows.len() + page.unreadable;
            told += page.rows.len();
            for row in page.rows {
                new += u32::from(self.tell(listed, row, seen_at).await?);
            }
            // The long list of a shared link is read until everybody is there whom its counter has added; others are short.
            let enough = listed.overflow_of.is_some() && listed.moved.is_some_and(|moved| new >= moved);
            // An empty page that promises more would promise it for ever.
            if is_empty || !page.has_more || enough || u32::try_from(read).is_err() {
                return Ok(told);
            }
        }
    }

    /// Appends a subscriber; `false` when that was done before.
    async fn tell(
        &mut self,
        listed: &Listed,
        row: SubscriberRow,
        seen_at: Timestamp,
    ) -> Result<bool, LookError> {
        let fan = row.fan.clone();
        if self.told.get(&listed.id).is_some_and(|told| told.fans.contains(&fan)) {
            return Ok(false);
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
        self.told.entry(listed.id).or_default().fans.insert(fan.clone());
        self.searches.found(&fan);
        Ok(true)
    }
}
