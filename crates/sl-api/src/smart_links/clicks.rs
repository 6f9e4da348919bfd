//! Raw clicks (contract A.6.9).

use std::collections::BTreeMap;

use axum::extract::State;
use serde_json::{Value, json};
use sl_core::{
    catalog::SmartLink,
    click::{Class, ClickRow},
    step::Rollup,
    time::Timestamp,
};
use sl_store::reports::ClickFilter;

use crate::{
    access::OwnLink,
    error::Result,
    parts::App,
    query::{Dates, Query},
    reply::Reply,
};

/// The six parameters that clicks and conversions share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) dates: Dates,
    pub(crate) bots: bool,
    pub(crate) duplicates: bool,
    pub(crate) limit: usize,
    pub(crate) offset: usize,
}

impl Asked {
    pub(crate) fn read(query: &mut Query) -> Self {
        let dates = query.dates("date_start", "date_end");
        let bots = query.flag("include_bots").unwrap_or(true);
        let duplicates = query.flag("include_duplicates").unwrap_or(true);
        let (limit, offset) = query.paging(100);
        Self { dates, bots, duplicates, limit, offset }
    }

    /// The effective values; without dates the whole life of the link (contract I.7).
    pub(crate) fn echo(&self, link: &SmartLink, now: Timestamp) -> Value {
        json!({
            "date_start": self.dates.start.unwrap_or(link.created_at).iso(),
            "date_end": self.dates.end.unwrap_or(now).iso(),
            "include_bots": self.bots,
            "include_duplicates": self.duplicates,
            "limit": self.limit,
            "offset": self.offset,
        })
    }

    pub(crate) fn filter(&self) -> ClickFilter {
        ClickFilter {
            range: self.dates.range(),
            bots: self.bots,
            duplicates: self.duplicates,
            limit: self.limit,
            offset: self.offset,
        }
    }

    /// Click rows of a rollup that the flags let through (decisions 3).
    fn count(&self, rollup: &Rollup) -> u64 {
        let bots = if self.bots { rollup.bots } else { 0 };
        let duplicates = if self.duplicates { rollup.duplicates } else { 0 };
        rollup.clicks + bots + duplicates
    }
}

pub(crate) async fn clicks(
    State(app): State<App>,
    OwnLink(link): OwnLink,
    mut query: Query,
) -> Result<Reply> {
    let asked = Asked::read(&mut query);
    query.finish()?;
    let hours = app.store.reports.hours(link.id, asked.dates.range()).await?;
    let rows = app.store.reports.clicks(link.id, asked.filter()).await?;
    let per_day = chart(hours.iter().map(|(hour, rollup)| (*hour, asked.count(rollup))));
    Ok(Reply::data(json!({
        "summary": { "clicks_total": per_day.values().sum::<u64>() },
        "chart": points(per_day, "clicks"),
        "rows": rows.iter().map(row).collect::<Vec<_>>(),
        "filters": asked.echo(&link, app.now()),
    })))
}

/// Sums per UTC day.
pub(crate) fn chart(counts: impl Iterator<Item = (Timestamp, u64)>) -> BTreeMap<String, u64> {
    let mut days = BTreeMap::new();
    for (at, count) in counts.filter(|(_, count)| *count > 0) {
        *days.entry(at.date()).or_insert(0) += count;
    }
    days
}

pub(crate) fn points(days: BTreeMap<String, u64>, what: &str) -> Vec<Value> {
    days.into_iter().map(|(day, count)| json!({ "timestamp": day, what: count })).collect()
}

/// The 30 fields.
pub(crate) fn row(row: &ClickRow) -> Value {
    let click = &row.click;
    let params = &click.params;
    json!({
        "id": click.id.to_string(),
        "created_at": click.at.iso(),
        "referrer": click.request.referrer,
        "ip_address": click.request.ip.map(|ip| ip.to_string()),
        "user_agent": click.request.user_agent,
        "browser_device_type": click.device.kind,
        "browser_name": click.device.browser,
        "browser_family": click.device.family,
        "browser_platform": click.device.platform,
        "is_bot": click.class == Class::Bot,
        "is_duplicate": row.is_duplicate,
        "country_code": click.place.country,
        "gross_clicks": row.gross_clicks,
        "external_click_id": params.ecid,
        "fbclid": params.fbclid,
        "gclid": params.gclid,
        "gbraid": params.gbraid,
        "wbraid": params.wbraid,
        "ttclid": params.ttclid,
        "sccid": params.sccid,
        "aff_s1": params.aff_s1,
        "aff_s2": params.aff_s2,
        "aff_s3": params.aff_s3,
        "aff_s4": params.aff_s4,
        "aff_s5": params.aff_s5,
        "utm_source": params.utm_source,
        "utm_medium": params.utm_medium,
        "utm_campaign": params.utm_campaign,
        "utm_content": params.utm_content,
        "utm_term": params.utm_term,
    })
}
