//! New subscribers into the list of their Smart Link (contract B.6, E.4).

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use sl_core::{
    ids::{AccountId, SmartLinkId},
    step::ListAdd,
    time::Clock,
};
use sl_store::Store;
use tokio::time::Instant;

use super::{Next, Round, RoundError, WAIT};
use crate::{PlatformError, pacer::Priority, platform::CreatorPlatform};

/// Fans added by one call.
const AT_ONCE: usize = 100;
/// Fans read at once.
const PAGE: usize = 1000;
/// Longest pause of a list that the platform refuses: somebody has to correct it, and who does is seen within [`SEEN`].
const REFUSED: Duration = Duration::from_secs(3600);
/// Everybody who waits is read this often, to see whose Smart Link names another list by now.
const SEEN: Duration = Duration::from_secs(60);
/// How long fans wait for a wrong list to be corrected.
const KEPT: Duration = Duration::from_secs(30 * 86_400);

/// A list of an account.
type Of = (AccountId, String);

/// Adds them.
pub(super) struct Lists {
    platform: Arc<dyn CreatorPlatform>,
    store: Store,
    clock: Arc<dyn Clock>,
    pauses: Pauses,
    /// Everybody up to this one waits for a pause to end: until then only those behind are read. Who comes later with an earlier
    /// time (another partition, a clock set back) waits as long, at most 5 minutes.
    behind: Option<(ListAdd, Instant)>,
}

/// Lists that the platform did not take for now: each waits by itself, and no other waits with it.
struct Pauses {
    /// After the first failure.
    first: Duration,
    until: HashMap<Of, (Instant, Duration)>,
}

/// Why fans wait.
#[derive(Debug, thiserror::Error)]
enum NotNow {
    #[error("the account is logged out at the platform")]
    LoggedOut,
    #[error(
        "the platform refuses the list; correct user_list_id of the Smart Link, and they are added to that one ({0})"
    )]
    Refused(PlatformError),
    #[error(transparent)]
    Platform(#[from] PlatformError),
}

#[async_trait]
impl Round for Lists {
    const WHAT: &'static str = "lists";

    async fn round(&mut self, _: bool) -> Result<Next, RoundError> {
        self.add_all().await?;
        Ok(Next::Later)
    }
}

// === impl Lists ===

impl Lists {
    /// `every`: between two rounds.
    pub(super) fn new(
        platform: Arc<dyn CreatorPlatform>,
        store: Store,
        clock: Arc<dyn Clock>,
        every: Duration,
    ) -> Self {
        Self { platform, store, clock, pauses: Pauses { first: every, until: HashMap::new() }, behind: None }
    }

    /// One round, page by page. A fan that the platform refuses is given up with its words; fans of a list that it refuses wait
    /// until their Smart Link names another; everything else is tried again.
    async fn add_all(&mut self) -> Result<(), RoundError> {
        let mut after = self.behind.take().filter(|(_, until)| Instant::now() < *until).map(|(last, _)| last);
        loop {
            let adds = self.store.pool.list_adds(after.clone(), PAGE).await?;
            let is_last = adds.len() < PAGE;
            after = adds.last().cloned().or(after);
            self.add(adds).await?;
            if is_last {
                break;
            }
        }
        let now = Instant::now();
        self.behind = after.zip(self.pauses.next_end(now).map(|end| end.min(now + SEEN)));
        Ok(())
    }

    /// Adds fans of any lists.
    async fn add(&mut self, adds: Vec<ListAdd>) -> Result<(), RoundError> {
        let mut groups: BTreeMap<Of, Vec<ListAdd>> = BTreeMap::new();
        let mut named = HashMap::new();
        for add in adds {
            let list = self.list_of(&add, &mut named).await?;
            groups.entry((add.account.clone(), list)).or_default().push(add);
        }
        for (list, adds) in groups {
            if self.pauses.has(&list, Instant::now()) {
                continue;
            }
            let (added, failed) = match self.is_usable(&list.0).await? {
                true => self.add_to(&list, &adds).await?,
                false => (0, Some(NotNow::LoggedOut)),
            };
            if added > 0 {
                self.pauses.end(&list);
            }
            if let Some(error) = failed {
                let most = if matches!(error, NotNow::Refused(_)) { REFUSED } else { WAIT.1 };
                let (again_in, fans) = (self.pauses.begin(&list, Instant::now(), most), adds.len() - added);
                let (account, list) = &list;
                if again_in == self.pauses.first {
                    tracing::warn!(%account, list, %error, fans, ?again_in, "fans wait for their list; it is tried again, more seldom each time");
                } else {
                    tracing::debug!(%account, list, %error, fans, ?again_in, "fans still wait for their list");
                }
            }
        }
        Ok(())
    }

    /// The list that the fan's Smart Link names now: who waits while that is corrected goes to the right one. Where it names none any
    /// more it stays the one of before. `named`: what links name, each read once.
    async fn list_of(
        &self,
        add: &ListAdd,
        named: &mut HashMap<SmartLinkId, Option<String>>,
    ) -> Result<String, RoundError> {
        let Some(id) = add.link else { return Ok(add.list.clone()) };
        let list = match named.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(entry) => {
                let link = self.store.catalog.link(id).await?;
                entry.insert(link.and_then(|link| link.user_list_id))
            }
        };
        Ok(list.clone().unwrap_or_else(|| add.list.clone()))
    }

    /// Whether a fan goes on waiting for a refused list to be corrected. Rows of before say no Smart Link that could name another.
    fn waits_for_correction(&self, add: &ListAdd) -> bool {
        add.link.is_some() && self.clock.now().since(add.created_at) < KEPT
    }

    async fn is_usable(&self, account: &AccountId) -> Result<bool, RoundError> {
        Ok(self.store.catalog.account(account).await?.is_some_and(|account| account.usable.yes))
    }

    /// Adds fans to one list; says how many are done with, and why the others have to wait.
    async fn add_to(
        &self,
        (account, list): &Of,
        adds: &[ListAdd],
    ) -> Result<(usize, Option<NotNow>), RoundError> {
        let mut done = 0;
        for adds in adds.chunks(AT_ONCE) {
            let fans: Vec<_> = adds.iter().map(|add| add.fan.clone()).collect();
            match self.platform.add_to_list(account, list, &fans, Priority::Rest).await {
                Ok(0) => {}
                Ok(refused) => {
                    tracing::warn!(%account, list, refused, "fans are not on the list: the platform refuses them");
                }
                Err(error) if is_final(&error) => {
                    let (wait, given_up): (Vec<ListAdd>, Vec<ListAdd>) =
                        adds.iter().cloned().partition(|add| self.waits_for_correction(add));
                    if !given_up.is_empty() {
                        tracing::warn!(%account, list, %error, fans = given_up.len(), "fans are not on the list; check user_list_id of the link");
                        done += given_up.len();
                        self.store.pool.list_added(given_up).await?;
                    }
                    if !wait.is_empty() {
                        return Ok((done, Some(NotNow::Refused(error))));
                    }
                    continue;
                }
                Err(error) => return Ok((done, Some(error.into()))),
            }
            self.store.pool.list_added(adds.to_vec()).await?;
            done += adds.len();
        }
        Ok((done, None))
    }
}

// === impl Pauses ===

impl Pauses {
    fn has(&self, list: &Of, now: Instant) -> bool {
        self.until.get(list).is_some_and(|(until, _)| now < *until)
    }

    /// Begins one, twice as long as the one before and no longer than `most`; says how long.
    fn begin(&mut self, list: &Of, now: Instant, most: Duration) -> Duration {
        let span = self.until.get(list).map_or(self.first, |(_, span)| (*span * 2).min(most));
        self.until.insert(list.clone(), (now + span, span));
        span
    }

    fn end(&mut self, list: &Of) {
        self.until.remove(list);
    }

    /// When the first of them ends. Those that are over wait for their next failure or success.
    fn next_end(&self, now: Instant) -> Option<Instant> {
        self.until.values().map(|(until, _)| *until).filter(|until| now < *until).min()
    }
}

/// Whether asking again would be no use: a list or a fan that the platform does not take (contract E.4). Everything else passes, such
/// as exhausted credits and an account that is unknown or logged out (401 to 404; contract E.6, I.42).
fn is_final(error: &PlatformError) -> bool {
    matches!(error, PlatformError::Refused { status: 400 | 422, .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_not_taken_waits_longer_each_time_and_no_other_waits_with_it() {
        let seconds = Duration::from_secs;
        let mut pauses = Pauses { first: seconds(5), until: HashMap::new() };
        let (paused, other) = (("acct_1".into(), "9".to_owned()), ("acct_1".into(), "10".to_owned()));
        let mut now = Instant::now();
        for span in [5, 10, 20, 40, 80, 160, 300, 300].map(seconds) {
            assert!(!pauses.has(&paused, now));
            assert_eq!(pauses.begin(&paused, now, WAIT.1), span);
            assert_eq!(pauses.next_end(now), Some(now + span));
            now += span;
            assert_eq!(pauses.next_end(now), None, "what is over is no reason to wait");
            assert!(pauses.has(&paused, now - seconds(1)) && !pauses.has(&other, now));
        }
        pauses.end(&paused);
        assert_eq!(pauses.begin(&paused, now, WAIT.1), seconds(5), "after it was taken it begins anew");
    }
}
