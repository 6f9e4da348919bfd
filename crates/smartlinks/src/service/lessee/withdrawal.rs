//! Links that were retired while they are at hand: the platform has ended them, and a visitor sent there finds nothing.

use std::{
    collections::{BTreeMap, HashSet},
    time::{Duration, Instant},
};

use sl_core::{ids::PoolLinkId, pool::StockKey};
use sl_store::{Result, StoreError, pool::PoolLinkRef};

use super::{Lessee, unwritten};

/// Between two looks through what is at hand, while ever more is retired: where leases are kept far away a look reads all of it,
/// about 350 bytes a link.
const EVERY: Duration = Duration::from_secs(5);

impl Lessee {
    /// Takes retired links out of what is at hand, once somebody has said that there are some, and gives them back: nobody was
    /// sent there, and they are not leased again.
    pub(super) async fn withdraw(&mut self) -> Result<()> {
        let is_due = self.looked_through.is_none_or(|at| at.elapsed() >= EVERY);
        // The sender lives as long as the pool.
        if !is_due || !self.retirements.has_changed().unwrap_or(false) {
            return Ok(());
        }
        self.retirements.mark_unchanged();
        let withdrawn = self.withdraw_retired().await;
        if withdrawn.is_err() {
            self.retirements.mark_changed();
        }
        self.looked_through = Some(Instant::now());
        withdrawn
    }

    async fn withdraw_retired(&self) -> Result<()> {
        let at_hand = self.stock.at_hand();
        let retired = self.pool.retired_in(at_hand.iter().map(|(fence, ..)| *fence).collect()).await?;
        if retired.is_empty() {
            return Ok(());
        }
        let stocks: BTreeMap<StockKey, HashSet<PoolLinkId>> = {
            let of = |stock: &StockKey| {
                let links = retired.iter().filter(|link| link.account == stock.account);
                links.map(|link| link.id).filter(|id| id.kind == stock.kind).collect()
            };
            at_hand.iter().map(|(_, stock, _)| (stock.clone(), of(stock))).collect()
        };
        let withdrawn: Vec<_> =
            stocks.iter().flat_map(|(stock, links)| self.stock.withdraw(stock, links)).collect();
        if let Some(reserve) = &self.reserve {
            reserve.strike(withdrawn.iter().map(|block| block.fence)).await.map_err(unwritten)?;
        }
        for block in withdrawn {
            tracing::info!(
                stock = %block.stock,
                links = block.unused.len(),
                "pool links at hand lead nowhere any more; visitors get others"
            );
            let link = |id: &PoolLinkId| PoolLinkRef { account: block.stock.account.clone(), id: *id };
            match self.pool.give_back(block.fence, block.unused.iter().map(link).collect()).await {
                // The lease has ended meanwhile.
                Ok(()) | Err(StoreError::Fenced(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
