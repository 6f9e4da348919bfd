//! How the stocks stand, for people and for metrics.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use metrics::gauge;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use sl_core::{forecast::time_to_empty, pool::StockKey, time::Timestamp};

/// What the keeper knows of one stock beyond its counts (decisions 24).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StockReport {
    /// Links expected to be handed out in the next hour; `None` before the first look.
    pub forecast_per_hour: Option<f64>,
    /// When the stock will be gone at that rate; `None` when it will not.
    pub time_to_empty: Option<Duration>,
    /// When links were last made.
    pub last_refill_at: Option<Timestamp>,
    /// Why links could not be made; `None` once they could.
    pub last_error: Option<String>,
}

/// Reports of all stocks, shared.
#[derive(Debug, Clone, Default)]
pub struct PoolSnapshot(Arc<RwLock<HashMap<StockKey, StockReport>>>);

// === impl PoolSnapshot ===

impl PoolSnapshot {
    /// One stock; the default for a stock that the keeper has not looked at.
    #[must_use]
    pub fn status(&self, stock: &StockKey) -> StockReport {
        self.0.read().get(stock).cloned().unwrap_or_default()
    }

    /// All stocks that the keeper has looked at, in no order.
    #[must_use]
    pub fn all(&self) -> Vec<(StockKey, StockReport)> {
        self.0.read().iter().map(|(stock, report)| (stock.clone(), report.clone())).collect()
    }

    pub(super) fn level(&self, stock: &StockKey, available: u64, per_hour: f64) {
        let left = time_to_empty(available, per_hour);
        self.change(stock, |report| {
            report.forecast_per_hour = Some((per_hour * 100.0).round() / 100.0);
            report.time_to_empty = left;
        });
        time_to_empty_gauge(stock).set(left.map_or(f64::INFINITY, |left| left.as_secs_f64()));
    }

    pub(super) fn refilled(&self, stock: &StockKey, at: Timestamp) {
        self.change(stock, |report| {
            report.last_refill_at = Some(at);
            report.last_error = None;
        });
    }

    pub(super) fn failed(&self, stock: &StockKey, reason: String) {
        self.change(stock, |report| report.last_error = Some(reason));
    }

    pub(super) fn keep_only(&self, stocks: &BTreeSet<StockKey>) {
        self.0.write().retain(|stock, _| {
            let stays = stocks.contains(stock);
            if !stays {
                time_to_empty_gauge(stock).set(f64::INFINITY);
            }
            stays
        });
    }

    /// Nobody knows any more: the keeper has stopped, or is another process.
    pub fn clear(&self) {
        for stock in std::mem::take(&mut *self.0.write()).into_keys() {
            time_to_empty_gauge(&stock).set(f64::INFINITY);
        }
    }

    fn change(&self, stock: &StockKey, change: impl FnOnce(&mut StockReport)) {
        change(self.0.write().entry(stock.clone()).or_default());
    }
}

fn time_to_empty_gauge(stock: &StockKey) -> metrics::Gauge {
    let labels = [("account", stock.account.to_string()), ("type", stock.type_label())];
    gauge!("smartlinks_pool_time_to_empty_seconds", &labels)
}
