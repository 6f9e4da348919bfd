//! A round of links: what the platform has made of it, and what is written down.

use std::{
    future::Future,
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
};

use futures_util::{Stream, StreamExt, stream::FuturesUnordered};
use sl_core::{
    catalog::{Account, OverflowLink},
    time::Timestamp,
};
use sl_store::{Result, Store, StoreError, pool::NewPoolLink};

use super::refill::Place;
use crate::{
    error::PlatformError,
    links::Making,
    platform::{LinkSeen, LinkWish},
};

/// Calls under way at once: at half a second each they reach the smallest plan's 15 a second. As many links are written down as soon
/// as they are made: visitors wait for them.
pub(super) const AT_ONCE: usize = 8;

/// How a round goes.
#[derive(Default)]
pub(super) struct Makings {
    /// To be written down.
    made: Vec<(LinkSeen, LinkWish)>,
    /// Made so far.
    pub(super) count: usize,
    /// May have been made.
    pub(super) doubtful: Vec<LinkWish>,
    /// Why the platform did not make one.
    pub(super) failed: Option<Failed>,
    /// Why one could not be written down.
    pub(super) lost: Option<StoreError>,
}

/// A making that failed.
pub(super) struct Failed {
    pub(super) error: PlatformError,
    /// When the platform was asked for it.
    pub(super) asked_at: Timestamp,
}

/// How a making ended, what it was for, and when it began.
pub(super) type Ended = (Making, LinkWish, Timestamp);

// === impl Makings ===

impl Makings {
    /// How many are to be written down.
    fn unwritten(&self) -> usize {
        self.made.len()
    }

    /// All of them, with what they were made for.
    fn take(&mut self) -> (Vec<LinkSeen>, Vec<LinkWish>) {
        std::mem::take(&mut self.made).into_iter().unzip()
    }

    /// The platform has answered, or has not; `false` when nothing new should begin.
    fn answered(&mut self, (making, wish, asked_at): Ended) -> bool {
        let error = match making {
            Making::Made(link) => {
                self.made.push((link, wish));
                self.count += 1;
                return true;
            }
            Making::Failed(error) => error,
            Making::Doubtful(error) => {
                self.doubtful.push(wish);
                error
            }
        };
        self.failed.get_or_insert(Failed { error, asked_at });
        false
    }

    /// What was taken has been written down, or not: then it is found by its names once the store is back.
    fn written(&mut self, result: Result<usize>, mut wishes: Vec<LinkWish>) -> bool {
        let Err(why) = result else { return true };
        self.doubtful.append(&mut wishes);
        self.lost.get_or_insert(why);
        false
    }
}

/// Has links written down part by part while others are `making`, so that a slow store holds no call up, nor its place in the pace
/// of all. One part at a time: what is made meanwhile is written together, in order. Sets `failed` once nothing new should begin;
/// `refilled` hears of each part that is down.
pub(super) async fn in_parts<W: Future<Output = Result<usize>>>(
    making: impl Stream<Item = Ended>,
    failed: &AtomicBool,
    write: impl Fn(Vec<LinkSeen>) -> W,
    refilled: impl Fn(),
) -> Makings {
    let (mut making, mut writing) = (pin!(making), FuturesUnordered::new());
    let (mut made, mut is_over) = (Makings::default(), false);
    loop {
        let enough = if is_over { 1 } else { AT_ONCE };
        if writing.is_empty() && made.unwritten() >= enough {
            let (links, wishes) = made.take();
            let written = write(links);
            writing.push(async move { (written.await, wishes) });
        }
        let is_good = tokio::select! {
            biased;
            Some((result, wishes)) = writing.next() => {
                if result.as_ref().is_ok_and(|links| *links > 0) {
                    refilled();
                }
                made.written(result, wishes)
            }
            next = making.next(), if !is_over => match next {
                Some(ended) => made.answered(ended),
                None => {
                    is_over = true;
                    true
                }
            },
            else => return made,
        };
        if !is_good {
            failed.store(true, Ordering::Relaxed);
        }
    }
}

/// Writes links down that the platform has made by `now`; says how many have an address.
pub(super) async fn write_down(
    store: &Store,
    account: &Account,
    place: &Place,
    links: Vec<LinkSeen>,
    now: Timestamp,
) -> Result<usize> {
    let addressed = |link: LinkSeen| {
        let url = link.address(account.username.as_deref());
        if url.is_none() {
            tracing::error!(account = %account.id, link = %link.id, "a link without an address was made; nobody gets it");
        }
        url.map(|url| (link, url))
    };
    let mut links: Vec<_> = links.into_iter().filter_map(addressed).collect();
    let count = links.len();
    // In the platform's order: a page of its list is then a run of neighbours (decisions 48).
    links.sort_by_key(|(link, _)| link.id);
    match place {
        Place::Stock(stock) if count > 0 => {
            let new = links.into_iter().map(|(link, url)| NewPoolLink {
                team: account.team,
                stock: stock.clone(),
                id: link.id,
                url,
                created_at: link.created_at.unwrap_or(now),
            });
            store.pool.add(new.collect()).await?;
        }
        Place::Stock(_) => {}
        Place::Overflow(id) => {
            for (link, url) in links.into_iter().take(1) {
                match store.catalog.set_overflow(*id, OverflowLink { id: link.id, url }).await {
                    Ok(()) | Err(StoreError::NotFound) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
    Ok(count)
}
