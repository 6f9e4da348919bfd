//! One link: sums, two days by the hour, the newest clicks and conversions.

use std::{collections::HashMap, time::Duration};

use axum::{
    extract::{Path, State},
    response::Response,
};
use serde_json::{Value, json};
use sl_core::{catalog::SmartLink, click::ClickRow, conversion::Conversion, step::Rollup, time::Timestamp};
use sl_store::reports::{ClickFilter, ConversionFilter, Range};

use crate::{
    access::own_link,
    dashboard::{dollars, failed, page, session::Session},
    error::Result,
    parts::App,
    smart_links::{clicks, object::object},
};

const HOURS: u32 = 48;
const ROWS: usize = 25;
/// Height of the chart in its own units.
const HEIGHT: u64 = 80;

pub(crate) async fn link(State(app): State<App>, session: Session, Path(id): Path<String>) -> Response {
    match content(&app, &session, &id).await {
        Ok(content) => page(&app, "link.html", &session, content),
        Err(error) => failed(&app, Some(&session), &error),
    }
}

async fn content(app: &App, session: &Session, id: &str) -> Result<Value> {
    session.must("smart-links.view")?;
    let link = own_link(app, session.caller.team(), id).await?;
    let totals = app.store.reports.totals(&[link.id]).await?.first().copied().unwrap_or_default();
    let account = app.store.catalog.account(&link.account).await?;
    Ok(json!({
        "title": link.name,
        "link": object(app, &link, totals, account.as_ref()),
        "paused": link.paused,
        "spenders": totals.spenders,
        "revenue": dollars(totals.revenue.unwrap_or_default()),
        "hours": hours(app, &link).await?,
        "clicks": newest_clicks(app, &link).await?.iter().map(clicks::row).collect::<Vec<_>>(),
        "conversions": newest_conversions(app, &link).await?.iter().map(conversion).collect::<Vec<_>>(),
    }))
}

/// Every hour of the last two days, oldest first, with the place of its bar.
async fn hours(app: &App, link: &SmartLink) -> Result<Vec<Value>> {
    let hour = Duration::from_secs(3600);
    let first = app.now().hour().minus(hour * (HOURS - 1));
    let known = app.store.reports.hours(link.id, Range { from: Some(first), to: None }).await?;
    let known: HashMap<Timestamp, Rollup> =
        known.into_iter().map(|(at, rollup)| (at.hour(), rollup)).collect();
    let highest = known.values().map(|rollup| rollup.clicks).max().unwrap_or(0).max(1);
    Ok((0..HOURS)
        .map(|n| {
            let at = first.plus(hour * n);
            let rollup = known.get(&at).copied().unwrap_or_default();
            let height = rollup.clicks * HEIGHT / highest;
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
        .collect())
}

async fn newest_clicks(app: &App, link: &SmartLink) -> Result<Vec<ClickRow>> {
    let filter =
        ClickFilter { range: Range::default(), bots: true, duplicates: true, limit: ROWS, offset: 0 };
    Ok(app.store.reports.clicks(link.id, filter).await?)
}

async fn newest_conversions(app: &App, link: &SmartLink) -> Result<Vec<Conversion>> {
    let filter = ConversionFilter {
        range: Range::default(),
        bots: true,
        duplicates: true,
        kind: None,
        fan: None,
        limit: ROWS,
        offset: 0,
    };
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
