//! Making what is missing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, stream};
use sl_core::{
    catalog::Account,
    forecast::time_to_empty,
    ids::{LinkKind, SmartLinkId},
    pool::StockKey,
};
use sl_store::Result;
use tokio_util::sync::CancellationToken;

use super::{
    Keeper, WAIT, Wait,
    levels::Need,
    makings::{AT_ONCE, in_parts, write_down},
};
use crate::{
    error::PlatformError,
    links,
    pacer::Priority,
    platform::{LinkSeen, LinkWish},
};

/// Most links made for one stock before the others have their turn and the levels are read again.
const ROUND: u64 = 64;
/// A stock that will be empty in that part of `pool.cover` is running dry.
const DRY: u32 = 8;

/// What a link is made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Stock(StockKey),
    Overflow(SmartLinkId),
}

impl Keeper {
    /// Makes a round of links for one stock; `true` when some are still missing.
    pub(super) async fn refill(
        &mut self,
        need: &Need,
        stock: &StockKey,
        available: u64,
        stop: &CancellationToken,
    ) -> Result<bool> {
        let place = Place::Stock(stock.clone());
        let rate = self.rate(stock);
        let expected = available + self.doubts.count(&place);
        let missing = self.plan.target(rate).saturating_sub(expected);
        let Some(account) = need.accounts.get(&stock.account).filter(|_| missing > 0) else {
            return Ok(false);
        };
        if let Err(reason) = self.may_make(account).and_then(|()| allows(account, stock.kind)) {
            if let Some(reason) = reason {
                self.snapshot.failed(stock, reason);
            }
            return Ok(true);
        }
        // What a minute of the pace can reach, in rounds.
        let count = self.plan.to_make(rate, expected, Duration::from_secs(60)).min(ROUND);
        let wishes = self.wishes(stock, count);
        let all = self.make_all(account, place, wishes, stop).await?;
        Ok(!all || count < missing)
    }

    /// Whether links can be made for an account now; the reason when people should see one.
    pub(super) fn may_make(&self, account: &Account) -> std::result::Result<(), Option<String>> {
        if !account.usable.yes {
            return Err(Some(format!(
                "account {} is logged out at the platform; log it in there, refill then goes on by itself",
                account.id
            )));
        }
        let now = self.clock.now();
        if self.waits.get(&account.id).is_some_and(|wait| !now.is_past(wait.from, wait.span)) {
            return Err(None);
        }
        Ok(())
    }

    /// Makes links, several at once; `false` when not all were made.
    pub(super) async fn make_all(
        &mut self,
        account: &Account,
        place: Place,
        wishes: Vec<LinkWish>,
        stop: &CancellationToken,
    ) -> Result<bool> {
        let priority = self.urgency(&place);
        let platform = Arc::clone(&self.platform);
        let platform = &*platform;
        let wanted = wishes.len();
        // After a failure what is under way ends, and nothing new begins.
        let failed = AtomicBool::new(false);
        let goes_on = || !stop.is_cancelled() && !failed.load(Ordering::Relaxed);
        let making = stream::iter(wishes)
            .take_while(|_| std::future::ready(goes_on()))
            .map(|wish| async move { (links::make(platform, account, &wish, priority).await, wish) })
            .buffered(AT_ONCE);
        let write = |links| write_down(&self.store, account, &place, links, self.clock.now());
        let made = in_parts(making, &failed, write, || self.refilled(&place)).await;
        if made.count > 0 {
            self.waits.remove(&account.id);
        }
        let now = self.clock.now();
        for wish in made.doubtful {
            self.doubts.add(account.id.clone(), place.clone(), wish, now);
        }
        if let Some(error) = made.lost {
            return Err(error);
        }
        if let Some(error) = made.failed {
            self.put_off(account, &place, &error);
        }
        Ok(made.count == wanted)
    }

    fn urgency(&self, place: &Place) -> Priority {
        let Place::Stock(stock) = place else { return Priority::Rest };
        let report = self.snapshot.status(stock);
        match report.time_to_empty {
            Some(left) if left < self.plan.cover / DRY => Priority::RunningDry,
            // Nothing was ever handed out and nothing can be.
            None if report.last_refill_at.is_none() => Priority::RunningDry,
            _ => Priority::Rest,
        }
    }

    /// Writes links down that the platform has made, and notes the refill.
    pub(super) async fn take_over(
        &mut self,
        account: &Account,
        place: &Place,
        links: Vec<LinkSeen>,
    ) -> Result<()> {
        if write_down(&self.store, account, place, links, self.clock.now()).await? > 0 {
            self.refilled(place);
        }
        Ok(())
    }

    fn refilled(&self, place: &Place) {
        if let Place::Stock(stock) = place {
            self.snapshot.refilled(stock, self.clock.now());
        }
    }

    /// The account waits; twice as long each time.
    fn put_off(&mut self, account: &Account, place: &Place, error: &PlatformError) {
        let span = self.waits.get(&account.id).map_or(WAIT.0, |wait| (wait.span * 2).min(WAIT.1));
        self.waits.insert(account.id.clone(), Wait { from: self.clock.now(), span });
        if let Place::Stock(stock) = place {
            self.snapshot.failed(stock, error.to_string());
        }
        let left = match place {
            Place::Stock(stock) => self.snapshot.status(stock).time_to_empty,
            Place::Overflow(_) => None,
        };
        let left = left.and_then(|left| time_to_empty(left.as_secs(), 3600.0)).unwrap_or_default();
        tracing::warn!(account = %account.id, %error, again_in = ?span, stock_left = ?left, "links could not be made");
    }
}

/// What the account's page allows.
pub(super) fn allows(account: &Account, kind: LinkKind) -> std::result::Result<(), Option<String>> {
    match kind {
        LinkKind::FreeTrial if account.can_create_trial == Some(false) => Err(Some(format!(
            "the page of account {} allows no free trials; use a tracking link",
            account.id
        ))),
        LinkKind::TrackingLink if account.username.is_none() => Err(Some(format!(
            "the handle of account {} is not known yet; it is read from the platform with the list of accounts",
            account.id
        ))),
        _ => Ok(()),
    }
}
