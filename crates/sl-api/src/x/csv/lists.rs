//! What each list is made of. The link is the caller's own, and the caller may see it.

use axum::response::Response;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sl_core::{
    click::ClickRow,
    ids::{SmartLinkId, TeamId},
    step::Dimension,
    time::Timestamp,
};
use sl_store::{
    outbox::DeliveryFilter,
    reports::{ClickFilter, ConversionFilter},
};

use super::{
    answer::file,
    columns,
    line::{Cell, cells},
    pages::{PAGE, newest_first},
};
use crate::{
    error::Result,
    parts::App,
    query::Query,
    smart_links::{
        clicks::{self, Asked},
        conversions,
        fan_days::fan_days,
        fans, stats,
    },
    x::{breakdown, deliveries},
};

const DATES: [&str; 2] = ["date_start", "date_end"];

pub(crate) async fn clicks(app: App, link: SmartLinkId, mut query: Query) -> Result<Response> {
    query.only(&["date_start", "date_end", "include_bots", "include_duplicates"]);
    let filter = Asked::read(&mut query).filter();
    query.finish()?;
    let read = move |range, limit| {
        let reports = app.store.reports.clone();
        let filter = ClickFilter { range, limit, offset: 0, ..filter };
        async move { Ok(reports.clicks(link, filter).await?) }
    };
    let pages = newest_first(filter.range, read, |row| (row.click.at, row.click.id));
    let row = |row: &ClickRow| cells(&columns::CLICK, &clicks::row(row), &[]);
    let pages = pages.map_ok(move |page| page.iter().map(row).collect());
    file(&format!("clicks-{link}"), &columns::CLICK, pages).await
}

pub(crate) async fn conversions(app: App, link: SmartLinkId, mut query: Query) -> Result<Response> {
    query.only(&[
        "date_start",
        "date_end",
        "include_bots",
        "include_duplicates",
        "conversion_type",
        "onlyfans_user_id",
    ]);
    let (_, filter) = conversions::asked(&mut query);
    query.finish()?;
    let (range, reports) = (filter.range, app.store.reports.clone());
    let read = move |range, limit| {
        let reports = reports.clone();
        let filter = ConversionFilter { range, limit, offset: 0, ..filter.clone() };
        async move { Ok(reports.conversions(link, filter).await?) }
    };
    let names = columns::conversion();
    let pages = newest_first(range, read, |row| (row.at, row.id)).and_then({
        let names = names.clone();
        move |page| {
            let (app, names) = (app.clone(), names.clone());
            async move {
                let rows = conversions::rows(&app, page.iter().collect()).await?;
                let amounts = page.iter().map(|row| [("amount_gross", row.gross), ("amount_net", row.net)]);
                Ok(rows.iter().zip(amounts).map(|(row, amounts)| cells(&names, row, &amounts)).collect())
            }
        }
    });
    file(&format!("conversions-{link}"), &names, pages).await
}

/// All values, not only as many as a page of JSON has.
pub(crate) async fn breakdown(app: App, link: SmartLinkId, mut query: Query) -> Result<Response> {
    query.only(&["by", "date_start", "date_end"]);
    let by = breakdown::required(&mut query);
    let days = breakdown::Days::read(&mut query, app.now());
    query.finish()?;
    let by = by.unwrap_or(Dimension::Country);
    let breakdown = breakdown::read(&app, link, by, days.range()).await?;
    let rows = breakdown.top(usize::MAX).0.iter().map(|row| cells(&columns::BREAKDOWN, &row.json(), &[]));
    let name = format!("breakdown-{}-{link}", by.as_str());
    file(&name, &columns::BREAKDOWN, at_once(rows.collect())).await
}

/// The fans are read at once, as for JSON: they are sorted by what the store does not sort them by.
pub(crate) async fn fans(app: App, team: TeamId, link: SmartLinkId, mut query: Query) -> Result<Response> {
    query.only(&[
        "sort",
        "has_messages",
        "min_messages_sent_by_fan",
        "min_revenue_net",
        "min_tips_net",
        "previously_subscribed",
        "subscribed_using_promo",
    ]);
    let wanted = fans::Wanted::read(&mut query);
    query.finish()?;
    let fans = fans::listed(&app, link, &wanted).await?;
    let pages = stream::iter(fans).chunks(PAGE).then(move |page| {
        let app = app.clone();
        async move {
            let rows = fans::shown(&app, team, page.iter()).await?;
            let amounts = page.iter().map(|fan| [("revenue_net", fan.net), ("tips_net", fan.tips_net)]);
            Ok(rows.iter().zip(amounts).map(|(row, amounts)| cells(&columns::FAN, row, &amounts)).collect())
        }
    });
    file(&format!("fans-{link}"), &columns::FAN, pages).await
}

/// Day by day.
pub(crate) async fn stats(app: App, link: SmartLinkId, mut query: Query) -> Result<Response> {
    query.only(&DATES);
    let range = query.dates("date_start", "date_end").range();
    query.finish()?;
    let hours = app.store.reports.hours(link, range).await?;
    let days = stats::metrics(&hours, &fan_days(&app, link, range).await?, Timestamp::date);
    let rows = days.iter().map(|day| cells(&columns::DAY, &day.json(), &[("revenue", day.revenue)]));
    file(&format!("stats-{link}"), &columns::DAY, at_once(rows.collect())).await
}

pub(crate) async fn deliveries(app: App, team: TeamId, mut query: Query) -> Result<Response> {
    query.only(&["state", "destination"]);
    let filter = DeliveryFilter { limit: PAGE, ..deliveries::filter(&mut query) };
    query.finish()?;
    let pages = stream::try_unfold(Some(filter), move |filter| {
        let app = app.clone();
        async move {
            let Some(filter) = filter else { return Ok(None) };
            let (page, next) = deliveries::page(&app, team, filter.clone()).await?;
            let rows = deliveries::objects(&app, team, &page).await?;
            let rows = rows.iter().map(|row| cells(&columns::DELIVERY, row, &[])).collect();
            Ok(Some((rows, next.map(|after| DeliveryFilter { after: Some(after), ..filter }))))
        }
    });
    file("deliveries", &columns::DELIVERY, pages).await
}

/// A short list.
fn at_once(rows: Vec<Vec<Cell>>) -> impl futures_util::Stream<Item = Result<Vec<Vec<Cell>>>> + Send {
    stream::once(async { Ok(rows) })
}
