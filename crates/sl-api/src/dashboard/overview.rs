//! All links with what they brought.

use axum::{extract::State, response::Response};
use serde_json::{Value, json};
use sl_core::{ids::SmartLinkId, money::Cents, step::LinkTotals};

use crate::{
    dashboard::{
        figures::{dollars, per_click, share},
        page,
        session::Session,
    },
    error::Result,
    parts::App,
    smart_links::list::rows,
};

/// Newest ones shown; the API pages through all of them.
const SHOWN: usize = 200;
/// Newest ones that are summed up: each is a read.
const SUMMED: usize = 10_000;

pub(crate) async fn overview(State(app): State<App>, session: Session) -> Response {
    page(&app, "overview.html", &session, content(&app, &session).await)
}

async fn content(app: &App, session: &Session) -> Result<Value> {
    session.must("smart-links.view")?;
    let links = app.store.catalog.links(session.caller.team()).await?;
    let (newest, older) = links.split_at(links.len().min(SHOWN));
    let rows = rows(app, session.caller.team(), newest).await?;
    let left_out = older.len();
    let older: Vec<SmartLinkId> = older.iter().take(SUMMED - SHOWN).map(|link| link.id).collect();
    let mut totals = app.store.reports.totals(&older).await?;
    totals.extend(rows.iter().map(|(_, totals)| *totals));
    let sum = |of: fn(&LinkTotals) -> u64| totals.iter().map(of).sum::<u64>();
    let clicks = sum(|totals| totals.clicks);
    let revenue: Cents = totals.iter().filter_map(|totals| totals.revenue).sum();
    let outbox = app.store.deliveries.counts(app.now()).await?;
    let dead_letters = app.store.reports.dead_letter_count().await?;
    let shown = rows.iter().zip(newest).map(|((row, totals), link)| {
        let mut row = row.clone();
        if let Some(row) = row.as_object_mut() {
            row.insert("paused".to_owned(), json!(link.paused));
            let revenue = totals.revenue.unwrap_or_default();
            row.insert("dollars".to_owned(), json!(dollars(revenue)));
            row.insert("rate".to_owned(), json!(share(totals.subscribers, totals.clicks)));
            row.insert("epc".to_owned(), json!(per_click(revenue, totals.clicks)));
        }
        row
    });
    Ok(json!({
        "title": "Smart Links",
        "count": links.len(),
        "left_out": left_out,
        "summed": (links.len() > SUMMED).then_some(SUMMED),
        "links": shown.collect::<Vec<_>>(),
        "clicks": clicks,
        "subscribers": sum(|totals| totals.subscribers),
        "revenue": dollars(revenue),
        "epc": per_click(revenue, clicks),
        "parked": outbox.parked,
        "waiting": outbox.waiting,
        "dead_letters": dead_letters,
    }))
}
