//! Stats (contract A.6.5): sums out of the hourly rollups, distinct fans out of the rows per fan and day
//! (decisions 3, 19, 57).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use axum::extract::State;
use serde_json::{Value, json};
use sl_core::{
    conversion::ConversionKind,
    ids::{FanId, SmartLinkId},
    money::Cents,
    step::{FanDay, LinkTotals, Rollup},
    time::Timestamp,
};
use sl_store::reports::{ConversionFilter, Range};

use crate::{
    access::OwnLink,
    error::Result,
    parts::App,
    query::{Dates, Query},
    reply::Reply,
    smart_links::fan_days::fan_days,
};

pub(crate) async fn stats(State(app): State<App>, OwnLink(link): OwnLink, mut query: Query) -> Result<Reply> {
    let dates = query.dates("date_start", "date_end");
    query.finish()?;
    let hours = app.store.reports.hours(link.id, dates.range()).await?;
    let fan_days = fan_days(&app, link.id, dates.range()).await?;
    let summary = summary(&app, link.id, dates, &hours, &fan_days).await?;
    let rows = |bucket: fn(Timestamp) -> String| -> Vec<Value> {
        metrics(&hours, &fan_days, bucket).iter().map(Metric::json).collect()
    };
    Ok(Reply::data(json!({
        "summary": summary,
        "daily_metrics": rows(Timestamp::date),
        "monthly_metrics": rows(Timestamp::month),
    })))
}

/// The range when one is given, the lifetime otherwise (contract I.8).
async fn summary(
    app: &App,
    link: SmartLinkId,
    dates: Dates,
    hours: &[(Timestamp, Rollup)],
    fan_days: &[FanDay],
) -> Result<Value> {
    let totals = if dates.is_given() {
        LinkTotals {
            clicks: hours.iter().map(|(_, rollup)| rollup.clicks).sum(),
            conversions: 0,
            subscribers: subscribers(app, link, dates.range()).await?,
            spenders: spenders(fan_days.iter()),
            revenue: Some(hours.iter().map(|(_, rollup)| rollup.gross).sum()),
        }
    } else {
        app.store.reports.totals(&[link]).await?.first().copied().unwrap_or_default()
    };
    Ok(json!({
        "clicks_total": totals.clicks,
        "subs_total": totals.subscribers,
        "revenue_total": totals.revenue.unwrap_or_default().to_json(),
        "spenders_total": totals.spenders,
    }))
}

/// Distinct fans with a subscriber conversion in the range.
async fn subscribers(app: &App, link: SmartLinkId, range: Range) -> Result<u64> {
    let rows = app.store.reports.conversions(link, subscriber_rows(range)).await?;
    let fans: BTreeSet<&FanId> = rows.iter().map(|row| &row.fan).collect();
    Ok(u64::try_from(fans.len()).unwrap_or(u64::MAX))
}

fn subscriber_rows(range: Range) -> ConversionFilter {
    let kind = Some(ConversionKind::NewSubscriber);
    ConversionFilter { kind, ..ConversionFilter::all(range) }
}

/// Fans whose net sum over these rows is above zero.
pub(crate) fn spenders<'a>(rows: impl Iterator<Item = &'a FanDay>) -> u64 {
    let mut sums: HashMap<&FanId, Cents> = HashMap::new();
    for row in rows {
        *sums.entry(&row.fan).or_default() += row.net;
    }
    u64::try_from(sums.values().filter(|sum| **sum > Cents::ZERO).count()).unwrap_or(u64::MAX)
}

/// What happened on a day or in a month.
pub(crate) struct Metric {
    timestamp: String,
    clicks: u64,
    subs: u64,
    /// Gross.
    pub(crate) revenue: Cents,
    spenders: u64,
}

impl Metric {
    pub(crate) fn json(&self) -> Value {
        json!({
            "timestamp": self.timestamp, "clicks": self.clicks, "subs": self.subs,
            "revenue": self.revenue.to_json(), "spenders": self.spenders,
        })
    }
}

/// One entry for each bucket in which anything happened; increments, never running totals.
pub(crate) fn metrics(
    hours: &[(Timestamp, Rollup)],
    fan_days: &[FanDay],
    bucket: impl Fn(Timestamp) -> String,
) -> Vec<Metric> {
    let mut buckets: BTreeMap<String, (u64, u64, Cents, Vec<&FanDay>)> = BTreeMap::new();
    for (hour, rollup) in hours {
        let entry = buckets.entry(bucket(*hour)).or_default();
        entry.0 += rollup.clicks;
        entry.1 += rollup.subscribers;
        entry.2 += rollup.gross;
    }
    for row in fan_days {
        buckets.entry(bucket(row.day)).or_default().3.push(row);
    }
    let happened = |(_, (clicks, subs, revenue, fans)): &(String, (u64, u64, Cents, Vec<&FanDay>))| {
        *clicks > 0 || *subs > 0 || *revenue != Cents::ZERO || !fans.is_empty()
    };
    buckets
        .into_iter()
        .filter(happened)
        .map(|(timestamp, (clicks, subs, revenue, fans))| {
            let spenders = spenders(fans.into_iter());
            Metric { timestamp, clicks, subs, revenue, spenders }
        })
        .collect()
}
