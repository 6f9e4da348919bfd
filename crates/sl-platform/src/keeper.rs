//! Keeps pool links in stock ahead of need, and gives every Smart Link its overflow link (architecture 4, decisions 15,
//! 33, 50).
//!
//! * [`wanted`]: what the catalog asks for · [`levels`]: what is needed and what is there · [`refill`] and [`makings`]: what is missing is made · [`waiting`]: what can't be made now · [`doubts`]: makings that went unanswered · [`report`]: how it stands
//!
//! Quarantine and recycling are computed by the pool from the looks of the matcher; a trial link that nobody claimed is
//! retired by the end of its quarantine, and the matcher retires what was ended at the platform. So the keeper only ever makes links.

mod doubts;
mod levels;
mod makings;
mod refill;
mod report;
mod waiting;
mod wanted;

use std::{collections::HashMap, sync::Arc, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use sl_core::{
    catalog::SmartLink,
    forecast::{Demand, Plan},
    ids::LinkKind,
    pool::StockKey,
    time::Clock,
};
use sl_store::{
    Result, Store,
    pool::{Level, PoolRules},
};
use tokio_util::sync::CancellationToken;

pub use self::report::{PoolSnapshot, StockReport};
use self::{doubts::Doubts, levels::Need, refill::Place, waiting::Waiting, wanted::Wanted};
use crate::{
    platform::{CreatorPlatform, LinkWish},
    replaced::EndedOverflows,
    waits::Waits,
};

/// Between two looks at the levels while nothing is missing.
const LOOK: Duration = Duration::from_secs(2);
/// Between two looks while something is missing that can't be made now.
const AGAIN: Duration = Duration::from_millis(500);
/// Longest time that a stop waits for makings under way and for the store to write them down: what is cut off there, a round of 64
/// at most, are links that nobody gets.
const GRACE: Duration = Duration::from_secs(3);
/// Share of the pace that refill may count on; the rest is for looks.
const PACE_SHARE: f64 = 0.8;
/// Overflow links that are made before a stock that runs dry.
const FIRST: usize = 4;
/// First and longest wait after the platform would not make a link.
const WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// The keeper's part of the configuration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KeeperSettings {
    /// `pool.cover`, default 2 h.
    pub cover: Duration,
    /// `pool.min`, default 20.
    pub min: u32,
    /// `pool.max`, default 20,000.
    pub max: u32,
    /// `platform.requests_per_minute`, default 900: what refill can reach is derived from it.
    pub requests_per_minute: u32,
    /// `attribution.window` and `pool.quarantine`.
    pub rules: PoolRules,
    /// There may be several edges: what one has leased no other can hand out.
    pub many_edges: bool,
}

/// The role.
pub struct Keeper {
    platform: Arc<dyn CreatorPlatform>,
    store: Store,
    clock: Arc<dyn Clock>,
    rules: PoolRules,
    plan: Plan,
    rng: StdRng,
    wanted: Wanted,
    demand: HashMap<StockKey, Demand>,
    doubts: Doubts,
    waits: Waits<Waiting>,
    /// The demand is above what the pace can make, and that was said.
    is_outrun: bool,
    ended: EndedOverflows,
    snapshot: PoolSnapshot,
}

// === impl Keeper ===

impl Keeper {
    /// The role; `seed` gives links their unique names and must differ from start to start.
    #[must_use]
    pub fn new(
        settings: KeeperSettings,
        platform: Arc<dyn CreatorPlatform>,
        store: Store,
        clock: Arc<dyn Clock>,
        seed: [u8; 32],
    ) -> Self {
        let plan = Plan {
            cover: settings.cover,
            min: settings.min,
            max: settings.max,
            pace_per_hour: f64::from(settings.requests_per_minute) * 60.0 * PACE_SHARE,
            many_edges: settings.many_edges,
        };
        Self {
            platform,
            store,
            clock,
            rules: settings.rules,
            plan,
            rng: StdRng::from_seed(seed),
            wanted: Wanted::default(),
            demand: HashMap::new(),
            doubts: Doubts::default(),
            waits: Waits::new(WAIT),
            is_outrun: false,
            ended: EndedOverflows::default(),
            snapshot: PoolSnapshot::default(),
        }
    }

    /// Replaces overflow links that the matcher says were ended.
    #[must_use]
    pub fn replacing(mut self, ended: EndedOverflows) -> Self {
        self.ended = ended;
        self
    }

    /// What it knows about each stock, for `GET /api/x/pool`; follows while the role runs.
    #[must_use]
    pub fn snapshot(&self) -> PoolSnapshot {
        self.snapshot.clone()
    }

    /// Works until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut revisions = self.store.catalog.revisions();
        while !stop.is_cancelled() {
            revisions.mark_unchanged();
            let late = async {
                stop.cancelled().await;
                tokio::time::sleep(GRACE).await;
            };
            let pause = tokio::select! {
                turn = self.turn(&stop) => match turn {
                    Ok(true) => AGAIN,
                    Ok(false) => LOOK,
                    Err(error) => {
                        tracing::warn!(%error, "the pool can't be read; trying again");
                        LOOK
                    }
                },
                () = late => return,
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = revisions.changed() => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// One look at everything; `true` when something is still missing.
    ///
    /// # Errors
    /// The store's. What the platform refuses is reported per stock and tried again later.
    pub async fn turn(&mut self, stop: &CancellationToken) -> Result<bool> {
        let mut need = self.need().await?;
        if self.settle_doubts(&need).await? {
            need = self.need().await?;
        }
        let mut levels = self.levels(&need).await?;
        self.note_outrun();
        // The stock that will be empty first goes first.
        levels.sort_by_key(|(level, available)| {
            sl_core::forecast::time_to_empty(*available, self.rate(&level.stock)).unwrap_or(Duration::MAX)
        });
        let (dry, rest): (Vec<_>, Vec<_>) =
            levels.into_iter().partition(|(level, _)| self.is_running_dry(&level.stock));
        // Who gets no link of their own is credited by the overflow link: a few of them cost a dry stock little. Many wait for it,
        // and those that can't be made now are none of the few.
        let bare = std::mem::take(&mut need.bare);
        let (mut first, mut later): (Vec<_>, Vec<_>) =
            bare.into_iter().partition(|link| self.may_overflow(&need, link));
        later.splice(..0, first.drain(first.len().min(FIRST)..));
        let mut missing = self.overflow(&need, &first, stop).await?;
        missing |= self.refill_all(&need, dry, stop).await?;
        missing |= self.overflow(&need, &later, stop).await?;
        missing |= self.refill_all(&need, rest, stop).await?;
        Ok(missing)
    }

    async fn refill_all(
        &mut self,
        need: &Need,
        levels: Vec<(Level, u64)>,
        stop: &CancellationToken,
    ) -> Result<bool> {
        let mut missing = false;
        for (level, _) in levels {
            missing |= self.refill(need, &level, stop).await?;
        }
        Ok(missing)
    }

    /// Whether the overflow link of a Smart Link can be made now.
    fn may_overflow(&self, need: &Need, link: &SmartLink) -> bool {
        let place = Place::Overflow(link.id);
        let may = |account| !self.doubts.is_open(&place) && self.may_make(account, &place, link.kind).is_ok();
        need.accounts.get(&link.account).is_some_and(may)
    }

    /// Gives `links` their overflow link, a round of them at most.
    async fn overflow(&mut self, need: &Need, links: &[SmartLink], stop: &CancellationToken) -> Result<bool> {
        let (mut missing, mut left) = (false, refill::ROUND);
        for link in links {
            let Some(account) = need.accounts.get(&link.account) else { continue };
            let place = Place::Overflow(link.id);
            if self.doubts.is_open(&place) || stop.is_cancelled() {
                continue;
            }
            if left == 0 || self.may_make(account, &place, link.kind).is_err() {
                missing = true;
                continue;
            }
            left -= 1;
            let name = self.name(&format!("o-{}", link.id));
            let wish = LinkWish { kind: link.kind, trial_days: link.trial_days, single_use: false, name };
            missing |= !self.make_all(account, place, vec![wish], stop).await?;
        }
        Ok(missing)
    }

    /// A name that no other link has, at most 64 characters (contract E.2).
    fn name(&mut self, what: &str) -> String {
        format!("sl-{what}-{:016x}", self.rng.random::<u64>())
    }

    /// The wishes for `count` links of a stock.
    fn wishes(&mut self, stock: &StockKey, count: u64) -> Vec<LinkWish> {
        let what = match (stock.kind, stock.trial_days) {
            (LinkKind::FreeTrial, Some(days)) => format!("t{days}"),
            (LinkKind::FreeTrial, None) => "t".to_owned(),
            (LinkKind::TrackingLink, _) => "c".to_owned(),
        };
        let wish = |keeper: &mut Self| LinkWish {
            kind: stock.kind,
            trial_days: stock.trial_days,
            single_use: true,
            name: keeper.name(&what),
        };
        (0..count).map(|_| wish(self)).collect()
    }
}
