//! Making what is missing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{
    StreamExt,
    stream::{self, FuturesUnordered},
};
use sl_core::{
    catalog::{Account, OverflowLink},
    forecast::time_to_empty,
    ids::{LinkKind, SmartLinkId},
    pool::StockKey,
    time::Timestamp,
};
use sl_store::{Result, Store, StoreError, pool::NewPoolLink};
use tokio_util::sync::CancellationToken;

use super::{Keeper, WAIT, Wait, levels::Need};
use crate::{
    error::PlatformError,
    links::{self, Making},
    pacer::Priority,
    platform::{LinkSeen, LinkWish},
};

/// Calls under way at once: at half a second each they reach the smallest plan's 15 a second.
const AT_ONCE: usize = 8;
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

/// How a round goes.
#[derive(Default)]
struct Round {
    /// To be written down.
    made: Vec<(LinkSeen, LinkWish)>,
    /// Made so far.
    count: usize,
    /// May have been made.
    doubtful: Vec<LinkWish>,
    /// Why the platform did not make one.
    failed: Option<PlatformError>,
    /// Why one could not be written down.
    unwritten: Option<StoreError>,
}

// === impl Round ===

impl Round {
    /// The platform has answered, or has not; `false` when nothing new should begin.
    fn answered(&mut self, making: Making, wish: LinkWish) -> bool {
        let why = match making {
            Making::Made(link) => {
                self.made.push((link, wish));
                self.count += 1;
                return true;
            }
            Making::Failed(why) => why,
            Making::Doubtful(why) => {
                self.doubtful.push(wish);
                why
            }
        };
        self.failed.get_or_insert(why);
        false
    }

    /// What was made has been written down, or not: then it is found by its names once the store is back.
    fn written(&mut self, result: Result<()>, mut wishes: Vec<LinkWish>) -> bool {
        let Err(why) = result else { return true };
        self.doubtful.append(&mut wishes);
        self.unwritten.get_or_insert(why);
        false
    }
}

// === impl Keeper ===

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
        if let Err(reason) = self.may_make(account).and_then(|()| allows(account, stock)) {
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
        let store = self.store.clone();
        let wanted = wishes.len();
        // After a failure what is under way ends, and nothing new begins.
        let failed = AtomicBool::new(false);
        let goes_on = || !stop.is_cancelled() && !failed.load(Ordering::Relaxed);
        let mut under_way = stream::iter(wishes)
            .take_while(|_| std::future::ready(goes_on()))
            .map(|wish| async move { (links::make(platform, &account.id, &wish, priority).await, wish) })
            .buffered(AT_ONCE);
        // Beside it, so that a slow store holds no call up, nor its place in the pace of all.
        let mut writing = FuturesUnordered::new();
        let write = |made: Vec<(LinkSeen, LinkWish)>, now| {
            let (links, wishes): (_, Vec<_>) = made.into_iter().unzip();
            let (store, place) = (&store, &place);
            async move { (write_down(store, account, place, links, now).await, wishes) }
        };
        let mut round = Round::default();
        loop {
            // Visitors wait for them: not until the whole round is made.
            if round.made.len() >= AT_ONCE {
                writing.push(write(std::mem::take(&mut round.made), self.clock.now()));
            }
            let goes_on = tokio::select! {
                biased;
                Some((result, wishes)) = writing.next() => {
                    if result.is_ok() {
                        self.refilled(&place);
                    }
                    round.written(result, wishes)
                }
                Some((making, wish)) = under_way.next() => round.answered(making, wish),
                else => {
                    if round.made.is_empty() {
                        break;
                    }
                    writing.push(write(std::mem::take(&mut round.made), self.clock.now()));
                    true
                }
            };
            if !goes_on {
                failed.store(true, Ordering::Relaxed);
            }
        }
        drop((under_way, writing));
        if round.count > 0 {
            self.waits.remove(&account.id);
        }
        let now = self.clock.now();
        for wish in round.doubtful {
            self.doubts.add(account.id.clone(), place.clone(), wish, now);
        }
        if let Some(error) = round.unwritten {
            return Err(error);
        }
        if let Some(error) = round.failed {
            self.put_off(account, &place, &error);
        }
        Ok(round.count == wanted)
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

    /// Writes links down that the platform has made.
    pub(super) async fn take_over(
        &mut self,
        account: &Account,
        place: &Place,
        links: Vec<LinkSeen>,
    ) -> Result<()> {
        write_down(&self.store, account, place, links, self.clock.now()).await?;
        self.refilled(place);
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

/// Writes links down that the platform has made by `now`.
async fn write_down(
    store: &Store,
    account: &Account,
    place: &Place,
    links: Vec<LinkSeen>,
    now: Timestamp,
) -> Result<()> {
    let addressed = |link: LinkSeen| {
        let url = link.address(account.username.as_deref());
        if url.is_none() {
            tracing::error!(account = %account.id, link = %link.id, "a link without an address was made; nobody gets it");
        }
        url.map(|url| (link, url))
    };
    let mut links: Vec<_> = links.into_iter().filter_map(addressed).collect();
    if links.is_empty() {
        return Ok(());
    }
    // In the platform's order: a page of its list is then a run of neighbours (decisions 48).
    links.sort_by_key(|(link, _)| link.id);
    match place {
        Place::Stock(stock) => {
            let new = links.into_iter().map(|(link, url)| NewPoolLink {
                team: account.team,
                stock: stock.clone(),
                id: link.id,
                url,
                created_at: link.created_at.unwrap_or(now),
            });
            store.pool.add(new.collect()).await.map(|_| ())
        }
        Place::Overflow(id) => {
            for (link, url) in links.into_iter().take(1) {
                match store.catalog.set_overflow(*id, OverflowLink { id: link.id, url }).await {
                    Ok(()) | Err(StoreError::NotFound) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        }
    }
}

/// What the account's page allows.
fn allows(account: &Account, stock: &StockKey) -> std::result::Result<(), Option<String>> {
    match stock.kind {
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
