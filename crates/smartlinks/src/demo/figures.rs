//! What the service says of itself, read as its users read it.

use serde_json::Value;
use sl_core::money::Cents;

use super::{
    client::Client,
    stage::Creator,
    summary::{Clicks, Pool},
};
use crate::failure::Failure;

/// The service's own figures.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    pub(crate) clicks: Clicks,
    pub(crate) pool: Pool,
    /// People's clicks as the links show them: those that reached the store.
    pub(crate) listed: u64,
    pub(crate) subscribers: i64,
    pub(crate) revenue_cents: i64,
    pub(crate) outbox: Outbox,
    /// No role has anything left to do now.
    pub(crate) settled: bool,
}

/// Deliveries by state.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Outbox {
    pub(crate) delivered: u64,
    pub(crate) waiting: u64,
    pub(crate) parked: u64,
}

impl Outbox {
    /// All that had to be told, so far.
    pub(crate) fn due(&self) -> u64 {
        self.delivered + self.waiting + self.parked
    }
}

/// Reads them all.
pub(crate) async fn read(client: &Client, creators: &[Creator]) -> Result<Figures, Failure> {
    let progress = client.get("/api/x/progress").await?;
    let count = |pointer: &str| progress.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
    let metrics = client.metrics().await?;
    let class = |name: &str| metrics.sum("smartlinks_clicks_total", &[("class", name)]);
    let rung = |name: &str| metrics.sum("smartlinks_clicks_total", &[("class", "person"), ("rung", name)]);
    let apart = |kind: &str| metrics.sum("smartlinks_clicks_unjournaled_total", &[("kind", kind)]);
    let mut figures = Figures {
        clicks: Clicks {
            person: class("person"),
            repeat: class("repeat"),
            bot: class("bot"),
            speculative: class("speculative"),
            late: apart("late"),
            lost: apart("lost"),
        },
        pool: Pool {
            fresh: rung("fresh"),
            recycled: rung("recycled"),
            overflow: rung("overflow"),
            profile: rung("profile"),
        },
        outbox: Outbox {
            delivered: metrics.sum("smartlinks_deliveries_total", &[("outcome", "delivered")]),
            waiting: count("/data/outbox/waiting"),
            parked: count("/data/outbox/parked"),
        },
        settled: progress.pointer("/data/settled") == Some(&Value::Bool(true)),
        ..Figures::default()
    };
    for link in creators.iter().flat_map(|creator| &creator.links) {
        let shown = client.get(&format!("/api/smart-links/{link}")).await?;
        let value = |key: &str| shown.get("data").and_then(|data| data.get(key));
        figures.listed += value("clicks_count").and_then(Value::as_u64).unwrap_or_default();
        figures.subscribers += value("subscribers_count").and_then(Value::as_i64).unwrap_or_default();
        let revenue = value("revenue").and_then(Value::as_str).and_then(|text| Cents::parse(text).ok());
        figures.revenue_cents += revenue.unwrap_or_default().0;
    }
    Ok(figures)
}
