//! New subscribers into the list of their Smart Link (contract B.6, E.4).

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use sl_core::{ids::AccountId, step::ListAdd};
use sl_store::Store;
use tokio::time::Instant;

use super::{Round, RoundError, WAIT};
use crate::{PlatformError, pacer::Priority, platform::CreatorPlatform};

/// Fans added by one call.
const AT_ONCE: usize = 100;
/// Fans looked at in one round, beside those who could not be added in the last one.
const ROUND: usize = 1000;
/// Most fans looked at in one round: 20,000 × about 200 B = 4 MB (on CQL each of 16 lanes is read that far). When more of them can't
/// be added, those behind wait with them.
const MOST: usize = 20_000;

/// A list of an account.
type Of = (AccountId, String);

/// Adds them.
pub(super) struct Lists {
    platform: Arc<dyn CreatorPlatform>,
    store: Store,
    /// Fans who could not be added in the last round. They come first in the next one.
    left: usize,
    pauses: Pauses,
}

/// Lists that the platform did not take for now: each waits by itself, and no other waits with it.
struct Pauses {
    /// After the first failure.
    first: Duration,
    until: HashMap<Of, (Instant, Duration)>,
}

#[async_trait]
impl Round for Lists {
    const WHAT: &'static str = "lists";

    async fn round(&mut self) -> Result<bool, RoundError> {
        self.add().await?;
        Ok(false)
    }
}

// === impl Lists ===

impl Lists {
    /// `every`: between two rounds.
    pub(super) fn new(platform: Arc<dyn CreatorPlatform>, store: Store, every: Duration) -> Self {
        let pauses = Pauses { first: WAIT.0.min(every), until: HashMap::new() };
        Self { platform, store, left: 0, pauses }
    }

    /// One round. A fan or list that the platform refuses is given up with its words; everything else is tried again.
    async fn add(&mut self) -> Result<(), RoundError> {
        let mut groups: BTreeMap<Of, Vec<ListAdd>> = BTreeMap::new();
        let adds = self.store.pool.list_adds((self.left + ROUND).min(MOST)).await?;
        self.left = adds.len();
        for add in adds {
            groups.entry((add.account.clone(), add.list.clone())).or_default().push(add);
        }
        self.pauses.until.retain(|list, _| groups.contains_key(list));
        for (list, adds) in groups {
            if self.pauses.has(&list, Instant::now()) {
                continue;
            }
            match self.add_to(&list, &adds).await? {
                None => self.pauses.end(&list),
                Some(error) => {
                    let again_in = self.pauses.begin(&list, Instant::now());
                    let (account, list) = list;
                    tracing::warn!(%account, list, %error, ?again_in, fans = adds.len(), "fans wait for their list");
                }
            }
        }
        Ok(())
    }

    /// Adds fans to one list; says why the rest of them has to wait.
    async fn add_to(
        &mut self,
        (account, list): &Of,
        adds: &[ListAdd],
    ) -> Result<Option<PlatformError>, RoundError> {
        for adds in adds.chunks(AT_ONCE) {
            let fans: Vec<_> = adds.iter().map(|add| add.fan.clone()).collect();
            match self.platform.add_to_list(account, list, &fans, Priority::Rest).await {
                Ok(0) => {}
                Ok(refused) => {
                    tracing::warn!(%account, list, refused, "fans are not on the list: the platform refuses them");
                }
                Err(error) if is_final(&error) => {
                    tracing::warn!(%account, list, %error, fans = adds.len(), "fans are not on the list; check user_list_id of the link");
                }
                Err(error) => return Ok(Some(error)),
            }
            self.store.pool.list_added(adds.to_vec()).await?;
            self.left -= adds.len();
        }
        Ok(None)
    }
}

// === impl Pauses ===

impl Pauses {
    fn has(&self, list: &Of, now: Instant) -> bool {
        self.until.get(list).is_some_and(|(until, _)| now < *until)
    }

    /// Begins one, twice as long as the one before; says how long.
    fn begin(&mut self, list: &Of, now: Instant) -> Duration {
        let span = self.until.get(list).map_or(self.first, |(_, span)| (*span * 2).min(WAIT.1));
        self.until.insert(list.clone(), (now + span, span));
        span
    }

    fn end(&mut self, list: &Of) {
        self.until.remove(list);
    }
}

/// Whether asking again would be no use. Exhausted credits and an account that is logged out (402, 403; contract I.42) pass.
fn is_final(error: &PlatformError) -> bool {
    matches!(error, PlatformError::Refused { status, .. } if !matches!(status, 402 | 403))
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
            assert_eq!(pauses.begin(&paused, now), span);
            now += span;
            assert!(pauses.has(&paused, now - seconds(1)) && !pauses.has(&other, now));
        }
        pauses.end(&paused);
        assert_eq!(pauses.begin(&paused, now), seconds(5), "after it was taken it begins anew");
    }
}
