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
    ids::SmartLinkId,
    pool::{PoolState, StockKey},
};
use sl_store::{Result, pool::Level};
use tokio_util::sync::CancellationToken;

use super::{
    Keeper,
    levels::{Need, count},
    makings::{AT_ONCE, in_parts, write_down},
    waiting::Waiting,
};
use crate::{
    links,
    pacer::Priority,
    platform::{LinkSeen, LinkWish},
};

/// Most links made for one stock before the others have their turn and the levels are read again.
pub(super) const ROUND: u64 = 64;
/// A stock that will be empty in that part of `pool.cover` is running dry.
const DRY: u32 = 8;

/// What a link is made for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Stock(StockKey),
    Overflow(SmartLinkId),
}

impl Keeper {
    /// Makes a round of links for one stock; `true` when some are still missing.
    pub(super) async fn refill(
        &mut self,
        need: &Need,
        level: &Level,
        stop: &CancellationToken,
    ) -> Result<bool> {
        let stock = &level.stock;
        let place = Place::Stock(stock.clone());
        let rate = self.rate(stock);
        let free = count(level, &[PoolState::Fresh, PoolState::Recycled]) + self.doubts.count(&place);
        let leased = count(level, &[PoolState::Leased]);
        let missing = self.plan.missing(rate, free, leased);
        let Some(account) = need.accounts.get(&stock.account).filter(|_| missing > 0) else {
            return Ok(false);
        };
        if let Err(reason) = self.may_make(account, &place, stock.kind) {
            if let Some(reason) = reason {
                self.snapshot.failed(stock, reason);
            }
            return Ok(true);
        }
        // What a minute of the pace can reach, in rounds.
        let round = self.plan.to_make(rate, free, leased, Duration::from_secs(60)).min(ROUND);
        let wishes = self.wishes(stock, round);
        let all = self.make_all(account, place, wishes, stop).await?;
        Ok(!all || round < missing)
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
        let (platform, clock) = (&*platform, &*self.clock);
        let wanted = wishes.len();
        // After a failure what is under way ends, and nothing new begins.
        let failed = AtomicBool::new(false);
        let goes_on = || !stop.is_cancelled() && !failed.load(Ordering::Relaxed);
        let making = stream::iter(wishes)
            .take_while(|_| std::future::ready(goes_on()))
            .map(|wish| async move {
                let asked_at = clock.now();
                (links::make(platform, account, &wish, priority).await, wish, asked_at)
            })
            .buffered(AT_ONCE);
        let write = |links| write_down(&self.store, account, &place, links, self.clock.now());
        let made = in_parts(making, &failed, write, || self.refilled(&place)).await;
        if made.count > 0 {
            Waiting::both(account, &place).iter().for_each(|waiting| self.waits.end(waiting));
        }
        let now = self.clock.now();
        for wish in made.doubtful {
            self.doubts.add(account.id.clone(), place.clone(), wish, now);
        }
        if let Some(error) = made.lost {
            return Err(error);
        }
        if let Some(failed) = made.failed {
            self.put_off(account, &place, &failed);
        }
        Ok(made.count == wanted)
    }

    fn urgency(&self, place: &Place) -> Priority {
        match place {
            Place::Stock(stock) if self.is_running_dry(stock) => Priority::RunningDry,
            Place::Stock(_) | Place::Overflow(_) => Priority::Rest,
        }
    }

    pub(super) fn is_running_dry(&self, stock: &StockKey) -> bool {
        let report = self.snapshot.status(stock);
        match report.time_to_empty {
            Some(left) => left < self.plan.cover / DRY,
            // Nothing was ever handed out and nothing can be.
            None => report.last_refill_at.is_none(),
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
}
