//! Raw conversions (contract A.6.10).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use axum::extract::State;
use serde_json::{Value, json};
use sl_core::{
    click::ClickRow,
    conversion::{Conversion, ConversionKind, FanProfile, is_reversal},
    ids::{ClickId, FanId, SmartLinkId},
    money::Cents,
};
use sl_store::reports::{ConversionFilter, Range};

use crate::{
    access::OwnLink,
    error::{Result, shown},
    parts::App,
    query::Query,
    reply::Reply,
    smart_links::clicks::{self, Asked, chart, points},
};

pub(crate) async fn conversions(
    State(app): State<App>,
    OwnLink(link): OwnLink,
    mut query: Query,
) -> Result<Reply> {
    let (asked, filter) = asked(&mut query);
    query.finish()?;
    let kind = filter.kind;
    let (sums, page) = if takes_all(&filter) {
        (rolled_up(&app, link.id).await?, app.store.reports.conversions(link.id, filter).await?)
    } else {
        counted(&app, link.id, filter).await?
    };
    let mut filters = asked.echo(&link, app.now());
    if let Some(filters) = filters.as_object_mut() {
        filters.insert("conversion_type".to_owned(), json!(kind.map(ConversionKind::as_str)));
    }
    Ok(Reply::data(json!({
        "summary": {
            "conversions_total": sums.per_day.values().sum::<u64>(),
            "subscribers_total": sums.subscribers,
            "revenue_total": sums.revenue.to_json(),
        },
        "chart": points(sums.per_day, "conversions"),
        "rows": rows(&app, page.iter().collect()).await?,
        "filters": filters,
    })))
}

/// What is asked for, and the rows that it takes.
pub(crate) fn asked(query: &mut Query) -> (Asked, ConversionFilter) {
    let asked = Asked::read(query);
    let filter = ConversionFilter {
        range: asked.dates.range(),
        bots: asked.bots,
        duplicates: asked.duplicates,
        kind: kind(query),
        fan: query.text("onlyfans_user_id", 64).map(FanId::from),
        limit: asked.limit,
        offset: asked.offset,
    };
    (asked, filter)
}

/// What is said beside the rows of a page.
struct Sums {
    /// Conversions by UTC day.
    per_day: BTreeMap<String, u64>,
    /// Distinct fans.
    subscribers: u64,
    revenue: Cents,
}

/// Nothing is left out: sums are known without the rows.
fn takes_all(filter: &ConversionFilter) -> bool {
    let ConversionFilter { limit, offset, .. } = *filter;
    *filter == ConversionFilter { limit, offset, ..ConversionFilter::all(Range::default()) }
}

/// Of everything under the link.
async fn rolled_up(app: &App, link: SmartLinkId) -> Result<Sums> {
    let totals = app.store.reports.totals(&[link]).await?.first().copied().unwrap_or_default();
    let hours = app.store.reports.hours(link, Range::default()).await?;
    Ok(Sums {
        per_day: chart(hours.iter().map(|(hour, rollup)| (*hour, rollup.conversions))),
        subscribers: totals.subscribers,
        revenue: hours.iter().map(|(_, rollup)| rollup.gross).sum(),
    })
}

/// Of the rows that the filter lets through, with the page of them.
async fn counted(app: &App, link: SmartLinkId, filter: ConversionFilter) -> Result<(Sums, Vec<Conversion>)> {
    let (limit, offset) = (filter.limit, filter.offset);
    let filter = ConversionFilter { limit: usize::MAX, offset: 0, ..filter };
    let all = app.store.reports.conversions(link, filter.clone()).await?;
    let subscribed = all.iter().filter(|row| row.kind == ConversionKind::NewSubscriber);
    let subscribers: BTreeSet<&FanId> = subscribed.map(|row| &row.fan).collect();
    let sums = Sums {
        per_day: chart(all.iter().map(|row| (row.at, 1))),
        subscribers: u64::try_from(subscribers.len()).unwrap_or(u64::MAX),
        revenue: revenue(app, link, filter, &all).await?,
    };
    Ok((sums, all.into_iter().skip(offset).take(limit).collect()))
}

fn kind(query: &mut Query) -> Option<ConversionKind> {
    let word = query.raw("conversion_type")?.to_owned();
    let kind = ConversionKind::from_slug(&word);
    if kind.is_none() {
        let known = ConversionKind::ALL.map(ConversionKind::as_str).join(", ");
        query.wrong("conversion_type", format!("must be one of {known}, not {}.", shown(&word)));
    }
    kind
}

/// Gross of the transactions that the filter lets through. What was taken back subtracts when it was, whenever it had come
/// (decisions 19).
async fn revenue(
    app: &App,
    link: SmartLinkId,
    filter: ConversionFilter,
    all: &[Conversion],
) -> Result<Cents> {
    let reports = &app.store.reports;
    if filter.kind.is_some_and(|kind| kind != ConversionKind::NewTransaction) {
        return Ok(Cents::ZERO);
    }
    let range = filter.range;
    if filter.bots && filter.duplicates && filter.fan.is_none() {
        let hours = reports.hours(link, range).await?;
        return Ok(hours.iter().map(|(_, rollup)| rollup.gross).sum());
    }
    let earlier = match range.from {
        Some(from) => {
            let before = Range { from: None, to: Some(from) };
            let kind = Some(ConversionKind::NewTransaction);
            reports.conversions(link, ConversionFilter { range: before, kind, ..filter }).await?
        }
        None => Vec::new(),
    };
    let moved = |row: &Conversion| -> Cents {
        let moves = row.moves().filter(|(at, _)| range.contains(*at));
        moves.map(|(_, sign)| Cents(sign * row.gross.0)).sum()
    };
    Ok(all.iter().chain(&earlier).filter(|row| says_when(row)).map(moved).sum())
}

/// A transaction that says when its money moved. Rows of older versions do not say when they were taken back: their money counts
/// nowhere.
pub(crate) fn says_when(row: &Conversion) -> bool {
    stands(row) || row.transaction.as_ref().is_some_and(|transaction| !transaction.turns.is_empty())
}

/// A transaction that was not taken back.
fn stands(row: &Conversion) -> bool {
    row.kind == ConversionKind::NewTransaction
        && !row.transaction.as_ref().is_some_and(|transaction| is_reversal(&transaction.status))
}

/// Rows with their click and fan; each is read once.
pub(crate) async fn rows(app: &App, page: Vec<&Conversion>) -> Result<Vec<Value>> {
    let mut clicks: HashMap<ClickId, Option<ClickRow>> = HashMap::new();
    let mut fans: HashMap<&FanId, FanProfile> = HashMap::new();
    let mut rows = Vec::with_capacity(page.len());
    for conversion in page {
        if let Some(id) = conversion.click
            && !clicks.contains_key(&id)
        {
            clicks.insert(id, app.store.reports.click(conversion.team, id).await?);
        }
        if !fans.contains_key(&conversion.fan) {
            let known = app.store.reports.fan(&conversion.account, &conversion.fan).await?;
            fans.insert(&conversion.fan, known.unwrap_or_default());
        }
        let click = conversion.click.and_then(|id| clicks.get(&id)).and_then(Option::as_ref);
        rows.push(row(conversion, fans.get(&conversion.fan), click));
    }
    Ok(rows)
}

fn row(conversion: &Conversion, fan: Option<&FanProfile>, click: Option<&ClickRow>) -> Value {
    let fan_id = conversion.fan.as_str();
    let handle = fan.cloned().unwrap_or_default().handle(&conversion.fan);
    json!({
        "id": conversion.id.to_string(),
        "conversion_type": conversion.kind.as_str(),
        "amount_gross": conversion.gross.to_json(),
        "amount_net": conversion.net.to_json(),
        "conversion_at": conversion.at.iso(),
        "fan_onlyfans_id": fan_id,
        "fan": {
            "onlyfans_id": fan_id,
            "username": handle,
            "name": fan.and_then(|fan| fan.name.as_deref()),
            "avatar_url": fan.and_then(|fan| fan.avatar.as_deref()),
            "onlyfans_url": format!("https://onlyfans.com/{handle}"),
        },
        // Decisions 40: shown beside the amounts, which a reversal leaves alone.
        "status": conversion.transaction.as_ref().map(|transaction| transaction.status.as_str()),
        "transaction_type": conversion.transaction.as_ref().map(|transaction| transaction.kind.as_str()),
        "click": click.map(clicks::row),
    })
}
