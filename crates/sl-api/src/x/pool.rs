//! Pool links per stock (decisions 24, 33).

use std::collections::HashSet;

use axum::extract::State;
use serde_json::{Value, json};
use sl_core::{
    ids::{AccountId, TeamId},
    pool::{PoolState, StockKey},
};
use sl_store::pool::Level;

use crate::{
    access::Caller,
    error::Result,
    parts::{App, StockStatus},
    reply::Reply,
};

pub(crate) async fn pool(State(app): State<App>, caller: Caller) -> Result<Reply> {
    let levels = levels(&app, caller.team()).await?;
    Ok(Reply::data(levels.iter().map(|(level, status)| row(level, status)).collect::<Vec<_>>()))
}

/// Stocks of the team's accounts; also those its links need and that have no link at all yet.
pub(crate) async fn levels(app: &App, team: TeamId) -> Result<Vec<(Level, StockStatus)>> {
    let accounts = app.store.catalog.accounts(team).await?;
    let own: HashSet<&AccountId> = accounts.iter().map(|account| &account.id).collect();
    let mut levels = app.store.pool.levels(app.now(), app.settings.pool_rules).await?;
    levels.retain(|level| own.contains(&level.stock.account));
    let links = app.store.catalog.links(team).await?;
    for stock in links.iter().map(sl_core::catalog::SmartLink::stock) {
        if !levels.iter().any(|level| level.stock == stock) {
            levels.push(Level { stock, counts: Vec::new(), given_total: 0 });
        }
    }
    levels.sort_by(|a, b| a.stock.cmp(&b.stock));
    let status = |level: &Level| app.pool_status.status(&level.stock);
    Ok(levels.into_iter().map(|level| (level.clone(), status(&level))).collect())
}

fn count(level: &Level, state: PoolState) -> u64 {
    level.counts.iter().filter(|(found, _)| *found == state).map(|(_, count)| count).sum()
}

pub(crate) fn row(level: &Level, status: &StockStatus) -> Value {
    let StockKey { account, kind, trial_days } = &level.stock;
    json!({
        "account_id": account.as_str(),
        "link_type": kind.as_str(),
        "trial_days": trial_days,
        "fresh": count(level, PoolState::Fresh),
        "leased": count(level, PoolState::Leased),
        "given": count(level, PoolState::Given),
        "quarantined": count(level, PoolState::Quarantined),
        "recycled": count(level, PoolState::Recycled),
        "used": count(level, PoolState::Used),
        "forecast_per_hour": status.forecast_per_hour,
        "time_to_empty_seconds": status.time_to_empty.map(|time| time.as_secs()),
        "last_refill_at": status.last_refill_at.map(|at| at.iso()),
        "last_error": status.last_error,
    })
}
