//! One link: sums, two days by the hour, a month by one property, the newest clicks and conversions.

use std::{collections::HashMap, time::Duration};

use axum::{
    extract::{Path, State},
    response::Response,
};
use serde_json::{Value, json};
use sl_core::{
    catalog::SmartLink,
    click::ClickRow,
    conversion::Conversion,
    step::{Dimension, Rollup},
    time::Timestamp,
};
use sl_store::reports::{ClickFilter, ConversionFilter, Range};

use crate::{
    access::own_link,
    dashboard::{
        figures::{dollars, per_click, share},
        page,
        session::Session,
    },
    error::Result,
    parts::App,
    query::Query,
    smart_links::{clicks, object::object},
    x::breakdown,
};

const HOURS: u32 = 48;
const ROWS: usize = 25;
/// Of the clicks by one property.
const DAYS: u32 = 30;
const VALUES: usize = 10;
/// Height of the chart in its own units.
const HEIGHT: u64 = 80;

pub(crate) async fn link(
    State(app): State<App>,
    session: Session,
    Path(id): Path<String>,
    query: Query,
) -> Response {
    page(&app, "link.html", &session, content(&app, &session, &id, query).await)
}

async fn content(app: &App, session: &Session, id: &str, mut query: Query) -> Result<Value> {
    session.must("smart-links.view")?;
    let link = own_link(app, session.caller.team(), id).await?;
    let by = breakdown::asked(&mut query);
    query.finish()?;
    let totals = app.store.reports.totals(&[link.id]).await?.first().copied().unwrap_or_default();
    let account = app.store.catalog.account(&link.account).await?;
    let (hours, highest) = hours(app, &link).await?;
    let revenue = totals.revenue.unwrap_or_default();
    Ok(json!({
        "title": link.name,
        "link": object(app, &link, totals, account.as_ref()),
        "paused": link.paused,
        "speculative": (app.speculative)(link.id),
        "spenders": totals.spenders,
        "rate": share(totals.subscribers, totals.clicks),
        "revenue": dollars(revenue),
        "epc": per_click(revenue, totals.clicks),
        "hours": hours,
        "highest": highest,
        "breakdown": values(app, &link, by.unwrap_or(Dimension::Country)).await?,
        "clicks": newest_clicks(app, &link).await?.iter().map(clicks::row).collect::<Vec<_>>(),
        "conversions": newest_conversions(app, &link).await?.iter().map(conversion).collect::<Vec<_>>(),
    }))
}

/// Every hour of the last two days, oldest first, with the place of its bar; and the most clicks of an hour.
async fn hours(app: &App, link: &SmartLink) -> Result<(Vec<Value>, u64)> {
    let hour = Duration::from_secs(3600);
    let first = app.now().hour().minus(hour * (HOURS - 1));
    let known = app.store.reports.hours(link.id, Range { from: Some(first), to: None }).await?;
    let known: HashMap<Timestamp, Rollup> =
        known.into_iter().map(|(at, rollup)| (at.hour(), rollup)).collect();
    let highest = known.values().map(|rollup| rollup.clicks).max().unwrap_or(0);
    let bars = (0..HOURS)
        .map(|n| {
            let at = first.plus(hour * n);
            let rollup = known.get(&at).copied().unwrap_or_default();
            let height = rollup.clicks * HEIGHT / highest.max(1);
            json!({
                "hour": at.iso().get(..16).map(|text| text.replace('T', " ")),
                "clicks": rollup.clicks,
                "bots": rollup.bots,
                "subscribers": rollup.subscribers,
                "dollars": dollars(rollup.gross),
                "x": n * 10,
                "y": HEIGHT - height,
                "height": height,
                "empty": rollup == Rollup::default(),
            })
        })
        .collect();
    Ok((bars, highest))
}

/// The clicks of the last days by their commonest values.
async fn values(app: &App, link: &SmartLink, by: Dimension) -> Result<Value> {
    let first = app.now().day().minus(Duration::from_secs(24 * 3600) * (DAYS - 1));
    let breakdown = breakdown::read(app, link.id, by, Range { from: Some(first), to: None }).await?;
    let (rows, rest) = breakdown.top(VALUES);
    let row = |value: Option<&str>, clicks: u64| json!({ "value": value, "clicks": clicks, "share": share(clicks, breakdown.clicks) });
    Ok(json!({
        "by": by.as_str(),
        "choices": Dimension::ALL.map(Dimension::as_str),
        "days": DAYS,
        "first": first.date(),
        "rows": rows.iter().map(|one| row(one.value.as_deref(), one.clicks)).collect::<Vec<_>>(),
        "others": rest.len(),
        "rest": row(None, breakdown::clicks(rest)),
    }))
}

async fn newest_clicks(app: &App, link: &SmartLink) -> Result<Vec<ClickRow>> {
    let filter = ClickFilter { limit: ROWS, ..ClickFilter::all(Range::default()) };
    Ok(app.store.reports.clicks(link.id, filter).await?)
}

async fn newest_conversions(app: &App, link: &SmartLink) -> Result<Vec<Conversion>> {
    let filter = ConversionFilter { limit: ROWS, ..ConversionFilter::all(Range::default()) };
    Ok(app.store.reports.conversions(link.id, filter).await?)
}

fn conversion(row: &Conversion) -> Value {
    json!({
        "at": row.at.iso(),
        "kind": row.kind.as_str(),
        "fan": row.fan.as_str(),
        "dollars": dollars(row.gross),
        "status": row.transaction.as_ref().map(|transaction| transaction.status.as_str()),
        "click": row.click.map(|click| click.to_string()),
    })
}
