//! What happened before is told to a destination that was added later: every conversion and every click of its links that
//! it would have been told of, under the event id that all destinations have.

use axum::extract::State;
use sl_core::{
    attribution::{Hearer, retell, retell_click},
    click::ClickRow,
    conversion::{Conversion, is_reversal},
    delivery::{DeliveryKind, Job, Progress},
    ids::{ReplayId, SmartLinkId, TeamId},
    replay::{What, replay},
    retry::too_old,
    time::Timestamp,
};
use sl_store::{
    outbox::Renewal,
    reports::{ClickFilter, ConversionFilter, Range},
};

use super::{Asked, Known, Tally, destination, limit, trail};
use crate::{
    access::Caller,
    body::Body,
    error::{ApiError, Result, shown},
    parts::App,
    query::Query,
    reply::Reply,
    x::deliveries::may_send,
};

/// What is told: conversions of all links, then clicks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rows {
    Conversions,
    Clicks,
}

impl Rows {
    /// Before the rest of a cursor: an id alone might be of any list.
    fn as_str(self) -> &'static str {
        match self {
            Self::Conversions => "conversions",
            Self::Clicks => "clicks",
        }
    }
}

/// Where the next page begins: at a link, and there below a time, without so many of that very millisecond.
#[derive(Clone, Copy)]
struct Cursor {
    rows: Rows,
    link: SmartLinkId,
    at: Option<(Timestamp, usize)>,
}

impl Cursor {
    fn read(text: &str) -> Option<Self> {
        let (word, text) = text.split_once('.')?;
        let rows = [Rows::Conversions, Rows::Clicks].into_iter().find(|rows| rows.as_str() == word)?;
        let mut parts = text.split('.');
        let link = parts.next()?.parse().ok()?;
        let at = match (parts.next(), parts.next(), parts.next()) {
            (None, ..) => None,
            (Some(at), Some(passed), None) => Some((Timestamp(at.parse().ok()?), passed.parse().ok()?)),
            _ => return None,
        };
        Some(Self { rows, link, at })
    }

    fn text(self) -> String {
        let of = self.rows.as_str();
        match self.at {
            None => format!("{of}.{}", self.link),
            Some((at, passed)) => format!("{of}.{}.{}.{passed}", self.link, at.0),
        }
    }
}

/// Something that happened before.
enum Row {
    Conversion(Box<Conversion>),
    Click(ClickRow),
}

impl Row {
    fn at(&self) -> Timestamp {
        match self {
            Self::Conversion(row) => row.at,
            Self::Click(row) => row.click.at,
        }
    }
}

pub(crate) async fn into(
    State(app): State<App>,
    caller: Caller,
    mut query: Query,
    mut body: Body,
) -> Result<Reply> {
    let team = caller.team();
    let asked = Asked::read(&app, team, &mut body).await?;
    body.only(&["into", "smart_link_id", "kinds", "date_start", "date_end", "again", "dry_run"]);
    let to = destination(&mut body, "into");
    if to.is_none() && body.raw("into").is_none() {
        body.missing::<()>("into");
    }
    let limit = limit(&mut query);
    let (cursor, id) = cursor(&mut query);
    let filter = trail::filter(&body);
    let mut known = Known::default();
    let found = match to {
        Some(to) => known.get(&app, team, to).await?,
        None => None,
    };
    if to.is_some() && found.is_none() {
        body.wrong("into", "is no destination of this team.");
    }
    query.finish()?;
    body.finish()?;
    let Some((hearer, limits)) = found else { return Err(ApiError::NotFound("destination")) };
    may_send(&caller, to)?;
    let links = links(&app, team, hearer, asked.link).await?;
    let (rows, next) = page(&app, &stages(&asked, hearer), &links, cursor, limit, asked.range).await?;
    let (mut tally, mut renewals, now) = (Tally::default(), Vec::new(), app.now());
    for row in rows {
        tally.examined += 1;
        let Some(job) = job(&asked, hearer, &row, now, &mut tally) else { continue };
        let known = app.store.deliveries.delivery(team, job.id).await?;
        let Some(known) = known else {
            if too_old(job.occurred_at, now, *limits) {
                tally.too_old += 1;
            } else {
                renewals.push(Renewal { to: Progress::of(&job), job, from: None });
            }
            continue;
        };
        let decided = replay(&known.progress, job.occurred_at, *limits, now, asked.again);
        let to = tally.decided(decided);
        renewals.extend(to.map(|to| Renewal { job: known.job, from: Some(known.progress), to }));
    }
    let mut trail = None;
    if !asked.dry_run {
        let (team, key, replayed) = (team.0, caller.0.id.0, renewals.len());
        let into = to.map(|to| to.to_string());
        tracing::info!(team, key, into, replayed, "what happened before is told, as was asked for");
        trail = Some(trail::with_page(&app, &caller, (What::Into, filter), id, tally.examined).await?);
    }
    tally.carry_out(&app, trail, renewals, next.map(Cursor::text)).await
}

fn cursor(query: &mut Query) -> (Option<Cursor>, Option<ReplayId>) {
    let Some(text) = query.raw("cursor").map(str::to_owned) else { return (None, None) };
    let (own, id) = trail::split(&text);
    let cursor = Cursor::read(own);
    if cursor.is_none() {
        query.wrong("cursor", format!("must be a next_cursor of this replay, not {}.", shown(&text)));
    }
    (cursor, id)
}

/// Which rows are worth reading: clicks are many, and most destinations hear of none.
fn stages(asked: &Asked, to: &Hearer) -> Vec<Rows> {
    let wanted = |kind: &DeliveryKind| asked.wants(*kind) && to.wants(*kind);
    let mut stages = Vec::new();
    // Also for one that hears of nothing: the answer says how many it did not want.
    if asked.kinds.as_ref().is_none_or(|kinds| kinds.iter().any(|kind| *kind != DeliveryKind::Click)) {
        stages.push(Rows::Conversions);
    }
    if wanted(&DeliveryKind::Click) {
        stages.push(Rows::Clicks);
    }
    stages
}

/// What the destination is to be told of a row; counts why not.
fn job(asked: &Asked, to: &Hearer, row: &Row, now: Timestamp, tally: &mut Tally) -> Option<Job> {
    let job = match row {
        Row::Conversion(row) => {
            // Nobody is told of money that went back meanwhile.
            if row.transaction.as_ref().is_some_and(|facts| is_reversal(&facts.status)) {
                tally.reversed += 1;
                return None;
            }
            retell(row, to, now)
        }
        Row::Click(row) => retell_click(row, to, now),
    };
    let job = job.filter(|job| asked.wants(job.kind));
    if job.is_none() {
        tally.not_wanted += 1;
    }
    job
}

/// The links that the destination hears about, by id: of a pixel those it is on.
async fn links(
    app: &App,
    team: TeamId,
    hearer: &Hearer,
    only: Option<SmartLinkId>,
) -> Result<Vec<SmartLinkId>> {
    let mut links: Vec<SmartLinkId> = app
        .store
        .catalog
        .links(team)
        .await?
        .into_iter()
        .filter(|link| link.deleted_at.is_none() && only.is_none_or(|only| only == link.id))
        .filter(|link| match hearer {
            Hearer::Pixel(pixel) => link.pixels.contains(&pixel.id),
            Hearer::Postback(postback) => postback.scope.covers(link.id),
        })
        .map(|link| link.id)
        .collect();
    links.sort_unstable();
    Ok(links)
}

/// Rows of one link after the other, newest first. Looks at no more than `limit` links either, since most of a million
/// may have none.
async fn page(
    app: &App,
    stages: &[Rows],
    links: &[SmartLinkId],
    cursor: Option<Cursor>,
    limit: usize,
    range: Range,
) -> Result<(Vec<Row>, Option<Cursor>)> {
    let (mut rows, mut looked): (Vec<Row>, _) = (Vec::new(), 0);
    let begun = cursor.and_then(|cursor| stages.iter().position(|stage| *stage == cursor.rows)).unwrap_or(0);
    for &stage in stages.iter().skip(begun) {
        let cursor = cursor.filter(|cursor| cursor.rows == stage);
        for &link in links.iter().filter(|link| cursor.is_none_or(|cursor| **link >= cursor.link)) {
            let left = limit.saturating_sub(rows.len());
            if left == 0 || looked == limit {
                return Ok((rows, Some(Cursor { rows: stage, link, at: None })));
            }
            looked += 1;
            let begun = cursor.filter(|cursor| cursor.link == link).and_then(|cursor| cursor.at);
            let to = begun.map(|(at, _)| Timestamp(at.0.saturating_add(1))).or(range.to);
            let range = Range { from: range.from, to };
            let found = read(app, stage, link, range, left, begun.map_or(0, |(_, passed)| passed)).await?;
            let last = found.last().map(Row::at);
            if let (Some(last), true) = (last, found.len() == left) {
                let before = begun.filter(|(at, _)| *at == last).map_or(0, |(_, passed)| passed);
                let passed = before + found.iter().filter(|row| row.at() == last).count();
                rows.extend(found);
                return Ok((rows, Some(Cursor { rows: stage, link, at: Some((last, passed)) })));
            }
            rows.extend(found);
        }
    }
    Ok((rows, None))
}

async fn read(
    app: &App,
    rows: Rows,
    link: SmartLinkId,
    range: Range,
    limit: usize,
    offset: usize,
) -> Result<Vec<Row>> {
    let reports = &app.store.reports;
    Ok(match rows {
        Rows::Conversions => {
            let (kind, fan) = (None, None);
            let filter = ConversionFilter { range, bots: true, duplicates: true, kind, fan, limit, offset };
            let found = reports.conversions(link, filter).await?;
            found.into_iter().map(|row| Row::Conversion(Box::new(row))).collect()
        }
        Rows::Clicks => {
            // Others are told to nobody (contract I.26).
            let filter = ClickFilter { range, bots: false, duplicates: false, limit, offset };
            reports.clicks(link, filter).await?.into_iter().map(Row::Click).collect()
        }
    })
}
