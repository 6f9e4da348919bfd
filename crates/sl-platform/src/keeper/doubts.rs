//! Makings that went unanswered: until they are settled they count as made, so that no second link is (contract E.6).

use std::{collections::BTreeMap, time::Duration};

use sl_core::{
    ids::{AccountId, LinkKind},
    time::Timestamp,
};
use sl_store::Result;

use super::{Keeper, levels::Need, refill::Place, waiting::Waiting};
use crate::{links, pacer::Priority, platform::LinkWish};

/// After that a link that never turned up was not made: the platform answers in seconds.
const SETTLED: Duration = Duration::from_secs(600);
/// Between two looks for it.
const LOOK: Duration = Duration::from_secs(5);

/// Open makings.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    open: Vec<Doubt>,
    looked_at: Option<Timestamp>,
}

#[derive(Debug, Clone)]
struct Doubt {
    account: AccountId,
    place: Place,
    wish: LinkWish,
    since: Timestamp,
}

// === impl Doubts ===

impl Doubts {
    pub(super) fn add(&mut self, account: AccountId, place: Place, wish: LinkWish, since: Timestamp) {
        self.open.push(Doubt { account, place, wish, since });
    }

    pub(super) fn is_open(&self, place: &Place) -> bool {
        self.count(place) > 0
    }

    /// Links of a place that may have been made.
    pub(super) fn count(&self, place: &Place) -> u64 {
        self.open.iter().filter(|doubt| doubt.place == *place).count() as u64
    }
}

impl Keeper {
    /// Looks for links that may have been made; `true` when one was and is taken over.
    pub(super) async fn settle_doubts(&mut self, need: &Need) -> Result<bool> {
        let now = self.clock.now();
        if self.doubts.open.is_empty() || self.doubts.looked_at.is_some_and(|at| !now.is_past(at, LOOK)) {
            return Ok(false);
        }
        self.doubts.looked_at = Some(now);
        let (mut taken, mut failed) = (false, None);
        let mut lists: BTreeMap<(AccountId, LinkKind), Vec<Doubt>> = BTreeMap::new();
        for doubt in self.doubts.open.drain(..) {
            lists.entry((doubt.account.clone(), doubt.wish.kind)).or_default().push(doubt);
        }
        for ((account, kind), mut doubts) in lists {
            // One that is logged out answers nothing, and one that waits has just failed.
            let is_usable = need.accounts.get(&account).is_some_and(|account| account.usable.yes);
            let (whole, asked_at) = (Waiting::Account(account.clone()), self.clock.now());
            if !is_usable || self.waits.has(&whole, asked_at) {
                self.doubts.open.append(&mut doubts);
                continue;
            }
            let names: Vec<&str> = doubts.iter().map(|doubt| doubt.wish.name.as_str()).collect();
            let found = links::find(&*self.platform, &account, kind, &names, Priority::Rest).await;
            let answered = found.is_ok();
            // A list that is refused keeps no link from being made.
            if let Err(error) = &found
                && !error.is_about_what_was_asked()
            {
                let again_in = self.begin_wait(whole, asked_at);
                tracing::warn!(%account, %error, ?again_in, "links that may have been made could not be looked for");
            }
            let found = found.unwrap_or_default();
            for doubt in doubts {
                let link = found.iter().find(|link| link.name.as_deref() == Some(&doubt.wish.name));
                match (link, need.accounts.get(&account)) {
                    // What the store does not take now stays in doubt, and is found again.
                    (Some(link), Some(row)) if failed.is_none() => {
                        match self.take_over(row, &doubt.place, vec![link.clone()]).await {
                            Ok(_) => taken = true,
                            Err(error) => {
                                failed = Some(error);
                                self.doubts.open.push(doubt);
                            }
                        }
                    }
                    (Some(_), Some(_)) => self.doubts.open.push(doubt),
                    _ if answered && now.since(doubt.since) >= SETTLED => {}
                    // Set back: it waits as long again at most.
                    _ if now.is_set_back_since(doubt.since) => {
                        self.doubts.open.push(Doubt { since: now, ..doubt });
                    }
                    _ => self.doubts.open.push(doubt),
                }
            }
        }
        failed.map_or(Ok(taken), Err)
    }
}
