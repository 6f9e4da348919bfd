//! Leases blocks of pool links for the edge ahead of need, prolongs them, and gives back what is left (decisions 5, 50). It takes
//! over what is at hand already, as far as that is still this edge's: in a cluster what an earlier process had set aside, on embedded
//! storage what was there before the store was opened anew.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use sl_core::{
    ids::PoolLinkId,
    pool::StockKey,
    time::{Clock, Timestamp},
};
use sl_edge::{BLOCK, Returned, Stock, StockBlock, Want};
use sl_store::{
    Pool, Result, StoreError,
    pool::{Block, LeaseRequest, PoolLinkRef, PoolRules},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::reserve::Reserve;

mod withdrawal;

/// How long a lease lasts (decisions 50).
const LEASE: Duration = Duration::from_secs(3600);
/// When it is prolonged, by the process's clock or by the wall clock, whichever says so first: the store ends leases by the
/// latter, which may leap.
const RENEW: Duration = Duration::from_secs(1800);
/// Longest time until an old lease is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// Pause after a failed look.
const PAUSE: Duration = Duration::from_millis(50);
/// At a stop, longest wait for a store that may be away.
const LAST: Duration = Duration::from_secs(1);
/// Blocks of one stock leased at once: 2,048 links, more than come while the disk is waited for.
const AT_ONCE: usize = 8;
/// A stock that had less than was wanted is asked again when links have come, and at the latest after this time: an empty
/// stock under load wakes the lessee with every click.
const AGAIN: Duration = Duration::from_secs(10);

/// The lessee of one process.
pub(crate) struct Lessee {
    stock: Stock,
    pool: Arc<dyn Pool>,
    clock: Arc<dyn Clock>,
    rules: PoolRules,
    owner: String,
    /// Blocks that are out.
    out: HashMap<u64, Out>,
    stocked: watch::Receiver<u64>,
    /// Says that links were retired, which may be at hand.
    retirements: watch::Receiver<u64>,
    /// When what is at hand was last looked through for them.
    looked_through: Option<Instant>,
    /// Stocks that had less than was wanted: when, and what `stocked` said then.
    short: HashMap<StockKey, (Instant, u64)>,
    /// Blocks that are over and not given back yet.
    ending: VecDeque<Returned>,
    /// What is written down of the stock; nothing on embedded storage.
    reserve: Option<Arc<Reserve>>,
    /// Whether earlier leases are settled.
    is_settled: bool,
}

/// A block that is out.
struct Out {
    stock: StockKey,
    /// When its lease was last asked for.
    asked: Instant,
    /// Its end, as the store knows it.
    until: Timestamp,
}

// === impl Out ===

impl Out {
    fn is_due(&self, now: (Instant, Timestamp)) -> bool {
        now.0 - self.asked >= RENEW || now.1.plus(LEASE - RENEW) >= self.until
    }
}

// === impl Lessee ===

impl Lessee {
    /// `owner` is this data directory and no other.
    pub(crate) fn new(
        owner: String,
        stock: Stock,
        pool: Arc<dyn Pool>,
        clock: Arc<dyn Clock>,
        rules: PoolRules,
        reserve: Option<Arc<Reserve>>,
    ) -> Self {
        let mut retirements = pool.retirements();
        // What is taken over may have been retired before.
        retirements.mark_changed();
        Self {
            stocked: pool.stocked(),
            retirements,
            looked_through: None,
            stock,
            pool,
            clock,
            rules,
            owner,
            out: HashMap::new(),
            short: HashMap::new(),
            ending: VecDeque::new(),
            reserve,
            is_settled: false,
        }
    }

    /// Takes over leases whose links an earlier process had set aside, and ends its others: what nobody has passes
    /// quarantine, never back to fresh.
    pub(crate) async fn settle_earlier(&mut self) -> Result<()> {
        for (fence, stock, _) in self.stock.at_hand() {
            if let Some(out) = self.prolong(fence, stock, self.clock.now()).await? {
                self.out.insert(fence, out);
            }
        }
        let blocks = self.pool.blocks().await?;
        let is_gone = |block: &Block| block.owner == self.owner && !self.out.contains_key(&block.fence);
        for block in blocks.into_iter().filter(is_gone) {
            self.pool.orphan(block.fence, self.clock.now()).await?;
        }
        self.is_settled = true;
        Ok(())
    }

    /// Works until `stop`. Then, when the edge stops too, it gives back everything that is left; under an edge that goes on, the
    /// next lessee takes over what is in stock.
    pub(crate) async fn run(
        mut self,
        stop: CancellationToken,
        edge: CancellationToken,
        edge_ended: CancellationToken,
    ) {
        while !stop.is_cancelled() {
            let look = tokio::select! {
                look = self.look() => look,
                // The store may be away for long.
                () = last(&stop) => break,
            };
            if let Err(error) = look {
                tracing::warn!(%error, "pool links can't be leased; visitors get shared links when there are no others");
                tokio::time::sleep(PAUSE).await;
            }
            tokio::select! {
                () = self.stock.low() => {}
                // The sender lives as long as the pool.
                _ = self.stocked.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
                () = stop.cancelled() => {}
            }
        }
        if !edge.is_cancelled() {
            return;
        }
        edge_ended.cancelled().await;
        if let Err(error) = self.leave().await {
            tracing::warn!(%error, "leases could not be ended; what was not written down passes quarantine");
        }
    }

    /// Gives back everything, or leaves it to the next start while the store is away.
    async fn leave(&mut self) -> Result<()> {
        if let Some(reserve) = &self.reserve {
            reserve.close().await.map_err(unwritten)?;
            let Some((fence, ..)) = self.stock.at_hand().into_iter().next() else { return Ok(()) };
            let answer = self.pool.renew(fence, self.clock.now().plus(LEASE));
            if !matches!(tokio::time::timeout(LAST, answer).await, Ok(Ok(_))) {
                tracing::warn!("the store does not answer: leased pool links are left to the next start");
                return Ok(());
            }
        }
        self.ending.extend(self.stock.drain_unused());
        self.end().await
    }

    /// One look: end what is over, prolong what ages, lease what is wanted and there.
    async fn look(&mut self) -> Result<()> {
        if !self.is_settled {
            self.settle_earlier().await?;
        }
        self.ending.extend(self.stock.expire(Instant::now()));
        self.end().await?;
        self.renew(self.clock.now()).await?;
        self.withdraw().await?;
        while self.lease_wanted(AT_ONCE).await? {}
        if let Some(reserve) = &self.reserve {
            reserve.keep_up().await.map_err(unwritten)?;
        }
        Ok(())
    }

    /// Leases up to `most` blocks for every stock that wants some; `false` when none did. One block before the listener
    /// opens, so that the first visitors find links; what is wanted beyond that would make a start with many long.
    pub(crate) async fn lease_wanted(&mut self, most: usize) -> Result<bool> {
        // Read before it is asked for: what comes meanwhile is not overlooked.
        let stocked = *self.stocked.borrow_and_update();
        let now = Instant::now();
        self.short.retain(|_, (at, seen)| *seen == stocked && now - *at < AGAIN);
        let wanted = self.stock.wanted(now).into_iter().filter(|want| want.want > 0);
        let wanted: Vec<_> = wanted.filter(|want| !self.short.contains_key(&want.stock)).collect();
        if wanted.is_empty() {
            return Ok(false);
        }
        // By one reading of the clock: should it have leapt, what is out is looked at before the store leases anything by it.
        let by = self.clock.now();
        self.renew(by).await?;
        for Want { stock, want, .. } in wanted {
            // Since then the time has gone on by the monotonic clock only.
            if !self.lease(&stock, want.min(most * BLOCK), by.plus(now.elapsed())).await? {
                self.short.insert(stock, (now, stocked));
            }
        }
        Ok(true)
    }

    /// Leases blocks, all at once, so that they wait for the disk together; `false` when there was less than wanted.
    async fn lease(&mut self, stock: &StockKey, want: usize, now: Timestamp) -> Result<bool> {
        let asked = Instant::now();
        let request = |want| LeaseRequest {
            stock: stock.clone(),
            want,
            owner: self.owner.clone(),
            now,
            until: now.plus(LEASE),
            rules: self.rules,
        };
        let sizes = (0..want).step_by(BLOCK).map(|done| BLOCK.min(want - done));
        let requests: Vec<_> = sizes.map(request).collect();
        let pool = Arc::clone(&self.pool);
        let mut leases = stream::iter(requests).map(|request| pool.lease(request)).buffered(AT_ONCE);
        let (mut leased, mut failed) = (0, None);
        while let Some(lease) = leases.next().await {
            match lease {
                Ok(block) if block.links.is_empty() => {}
                Ok(block) => {
                    leased += block.links.len();
                    let out = Out { stock: block.stock.clone(), asked, until: block.until };
                    self.out.insert(block.fence, out);
                    self.put(block, asked);
                }
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(leased >= want), Err)
    }

    /// For the edge to hand out.
    fn put(&self, block: Block, asked_at: Instant) {
        let block =
            StockBlock { fence: block.fence, stock: block.stock, links: block.links, good_for: LEASE };
        for id in self.stock.put_block(block, asked_at) {
            tracing::error!(%id, "a pool link has an address that can't be redirected to; nobody gets it");
        }
    }

    /// Prolongs what ages. What is no longer out is used up, and `expire` reports it, or was ended by the store.
    async fn renew(&mut self, now: Timestamp) -> Result<()> {
        let clocks = (Instant::now(), now);
        let due = self.out.iter().filter(|(_, out)| out.is_due(clocks));
        let due: Vec<_> = due.map(|(fence, out)| (*fence, out.stock.clone())).collect();
        for (fence, stock) in due {
            match self.prolong(fence, stock, now.plus(clocks.0.elapsed())).await? {
                Some(out) => self.out.insert(fence, out),
                None => self.out.remove(&fence),
            };
        }
        Ok(())
    }

    /// A lease that the store has ended is not used a moment longer: its links may soon be somebody else's.
    async fn prolong(&self, fence: u64, stock: StockKey, now: Timestamp) -> Result<Option<Out>> {
        let (asked, until) = (Instant::now(), now.plus(LEASE));
        if !self.pool.renew(fence, until).await? {
            tracing::warn!(
                fence,
                "the lease of a block of pool links was ended elsewhere: what is left of it passes quarantine"
            );
            self.stock.forget(&stock, fence);
            return Ok(None);
        }
        let is_here = self.stock.renewed(&stock, fence, LEASE, asked);
        Ok(is_here.then_some(Out { stock, asked, until }))
    }

    /// Gives back what is left of blocks that are over. Nothing of it may be written down any more.
    async fn end(&mut self) -> Result<()> {
        if let Some(reserve) = &self.reserve {
            reserve.strike(self.ending.iter().map(|over| over.fence)).await.map_err(unwritten)?;
        }
        while let Some(Returned { fence, stock, unused }) = self.ending.front() {
            let link = |id: &PoolLinkId| PoolLinkRef { account: stock.account.clone(), id: *id };
            match self.pool.give_back(*fence, unused.iter().map(link).collect()).await {
                // Another has ended the lease meanwhile: it was over.
                Ok(()) | Err(StoreError::Fenced(_)) => {}
                Err(error) => return Err(error),
            }
            self.pool.orphan(*fence, self.clock.now()).await?;
            self.out.remove(fence);
            self.ending.pop_front();
        }
        Ok(())
    }
}

/// The end of what may still be waited for once the service stops.
async fn last(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(LAST).await;
}

fn unwritten(error: std::io::Error) -> StoreError {
    StoreError::Unavailable(format!("pool links that are set aside can't be written down: {error}"))
}

#[cfg(test)]
mod tests;
