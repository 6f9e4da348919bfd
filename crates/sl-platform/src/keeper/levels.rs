//! What is needed, what is there, and how fast it goes.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use sl_core::{
    catalog::{Account, SmartLink},
    forecast::Demand,
    ids::AccountId,
    pool::{PoolState, StockKey},
    time::Timestamp,
};
use sl_store::{Result, pool::Level};

use super::Keeper;

/// What is needed now.
pub(super) struct Need {
    pub(super) accounts: BTreeMap<AccountId, Account>,
    /// Links without an overflow link, or with one that was ended.
    pub(super) bare: Vec<SmartLink>,
    pub(super) stocks: BTreeSet<StockKey>,
}

impl Keeper {
    /// Reads what has changed in the catalog.
    pub(super) async fn need(&mut self) -> Result<Need> {
        self.wanted.follow(&*self.store.catalog).await?;
        let mut need = self.wanted.need();
        need.bare.extend(self.ended_overflows().await?);
        Ok(need)
    }

    /// Links whose overflow link was ended: until they have another one they need one as those that have none.
    async fn ended_overflows(&self) -> Result<Vec<SmartLink>> {
        let mut links = Vec::new();
        for (id, ended) in self.ended.all() {
            let link = self.store.catalog.link(id).await?.filter(|link| link.deleted_at.is_none());
            match link {
                Some(link) if link.overflow.as_ref().is_some_and(|overflow| overflow.id == ended) => {
                    links.push(link);
                }
                _ => self.ended.settle(id),
            }
        }
        Ok(links)
    }

    /// Levels of the needed stocks with what is available in each; notes the demand.
    pub(super) async fn levels(&mut self, need: &Need) -> Result<Vec<(Level, u64)>> {
        let now = self.clock.now();
        let mut known: BTreeMap<StockKey, Level> = BTreeMap::new();
        for level in self.store.pool.levels(now, self.rules).await? {
            known.insert(level.stock.clone(), level);
        }
        let mut levels = Vec::new();
        for stock in &need.stocks {
            let level = known.remove(stock).unwrap_or_else(|| Level {
                stock: stock.clone(),
                counts: Vec::new(),
                given_total: 0,
            });
            let available = count(&level, &[PoolState::Fresh, PoolState::Recycled, PoolState::Leased]);
            self.note_demand(&level, available, now).await?;
            levels.push((level, available));
        }
        self.snapshot.keep_only(&need.stocks);
        self.demand.retain(|stock, _| need.stocks.contains(stock));
        Ok(levels)
    }

    async fn note_demand(&mut self, level: &Level, available: u64, now: Timestamp) -> Result<()> {
        if let Some(demand) = self.demand.get_mut(&level.stock) {
            demand.observe(now, level.given_total, available == 0);
        } else {
            // After a start: the links that visitors hold say how busy the last window was.
            let mut given = Vec::new();
            let mut known_for = Duration::ZERO;
            if level.given_total > 0 {
                known_for = self.rules.window;
                let live = self.store.pool.live(&level.stock.account).await?;
                let own = live.into_iter().filter(|entry| entry.link.stock == level.stock);
                let from = now.minus(known_for);
                given.extend(
                    own.filter_map(|entry| entry.facts.given).map(|given| given.at).filter(|at| *at >= from),
                );
            }
            let demand = Demand::new(now, level.given_total, &given, known_for);
            self.demand.insert(level.stock.clone(), demand);
        }
        self.snapshot.level(&level.stock, available, self.rate(&level.stock));
        Ok(())
    }

    /// Above the pace the rest of the visitors get overflow links: people should know (decisions 48).
    pub(super) fn note_outrun(&mut self) {
        let per_hour: f64 = self.demand.values().map(Demand::per_hour).sum();
        let is_outrun = !self.plan.can_follow(per_hour);
        if is_outrun && !self.is_outrun {
            tracing::warn!(
                per_hour,
                can_make = self.plan.pace_per_hour,
                "more visitors come than platform.requests_per_minute can make links for; the rest get overflow links: \
                 raise it as far as the upstream plan allows"
            );
        }
        self.is_outrun = is_outrun;
    }

    pub(super) fn rate(&self, stock: &StockKey) -> f64 {
        self.demand.get(stock).map_or(0.0, Demand::per_hour)
    }
}

pub(super) fn count(level: &Level, states: &[PoolState]) -> u64 {
    level.counts.iter().filter(|(state, _)| states.contains(state)).map(|(_, count)| count).sum()
}
