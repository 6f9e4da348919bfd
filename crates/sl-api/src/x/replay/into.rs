//! What happened before is told to a destination that was added later: every conversion of its links that it would have
//! been told of, under the event id that all destinations have.

use axum::extract::State;
use sl_core::{
    attribution::{Hearer, retell},
    conversion::{Conversion, is_reversal},
    delivery::{Destination, Job, Progress},
    ids::{SmartLinkId, TeamId},
    replay::replay,
    retry::too_old,
    time::Timestamp,
};
use sl_store::{
    outbox::Renewal,
    reports::{ConversionFilter, Range},
};

use super::{Asked, Known, Tally, destination, limit};
use crate::{
    access::Caller,
    body::Body,
    error::{ApiError, Result, shown},
    parts::App,
    query::Query,
    reply::Reply,
};

/// Where the next page begins: at a link, and there below a time, without so many of that very millisecond.
#[derive(Clone, Copy)]
struct Cursor {
    link: SmartLinkId,
    at: Option<(Timestamp, usize)>,
}

impl Cursor {
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let link = parts.next()?.parse().ok()?;
        let at = match (parts.next(), parts.next(), parts.next()) {
            (None, ..) => None,
            (Some(at), Some(passed), None) => Some((Timestamp(at.parse().ok()?), passed.parse().ok()?)),
            _ => return None,
        };
        Some(Self { link, at })
    }

    fn text(self) -> String {
        match self.at {
            None => self.link.to_string(),
            Some((at, passed)) => format!("{}.{}.{passed}", self.link, at.0),
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
    let to = destination(&mut body, "into");
    if to.is_none() && body.raw("into").is_none() {
        body.missing::<()>("into");
    }
    let limit = limit(&mut query);
    let cursor = cursor(&mut query);
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
    if matches!(to, Some(Destination::Pixel(_))) {
        caller.must("meta-pixels.manage")?;
    }
    let links = links(&app, team, hearer, asked.link).await?;
    let (rows, next) = page(&app, &links, cursor, limit, asked.range).await?;
    let (mut tally, mut renewals, now) = (Tally::default(), Vec::new(), app.now());
    for row in rows {
        tally.examined += 1;
        let Some(job) = job(&asked, hearer, &row, now, &mut tally) else { continue };
        let known = app.store.outbox.delivery(team, job.id).await?;
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
    if !asked.dry_run {
        let (team, key, replayed) = (team.0, caller.0.id.0, renewals.len());
        let into = to.map(|to| to.to_string());
        tracing::info!(team, key, into, replayed, "what happened before is told, as was asked for");
    }
    tally.carry_out(&app, asked.dry_run, renewals, next.map(Cursor::text)).await
}

fn cursor(query: &mut Query) -> Option<Cursor> {
    let text = query.raw("cursor")?.to_owned();
    let cursor = Cursor::read(&text);
    if cursor.is_none() {
        query.wrong("cursor", format!("must be a next_cursor of this replay, not {}.", shown(&text)));
    }
    cursor
}

/// What the destination is to be told of a conversion; counts why not.
fn job(asked: &Asked, to: &Hearer, row: &Conversion, now: Timestamp, tally: &mut Tally) -> Option<Job> {
    // Nobody is told of money that went back meanwhile.
    if row.transaction.as_ref().is_some_and(|facts| is_reversal(&facts.status)) {
        tally.reversed += 1;
        return None;
    }
    let job = retell(row, to, now).filter(|job| asked.wants(job.kind));
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

/// Conversions of one link after the other, newest first. Looks at no more than `limit` links either, since most of a
/// million may have none.
async fn page(
    app: &App,
    links: &[SmartLinkId],
    cursor: Option<Cursor>,
    limit: usize,
    range: Range,
) -> Result<(Vec<Conversion>, Option<Cursor>)> {
    let mut rows: Vec<Conversion> = Vec::new();
    let ahead = links.iter().filter(|link| cursor.is_none_or(|cursor| **link >= cursor.link));
    for (nth, &link) in ahead.enumerate() {
        let left = limit.saturating_sub(rows.len());
        if left == 0 || nth == limit {
            return Ok((rows, Some(Cursor { link, at: None })));
        }
        let begun = cursor.filter(|cursor| cursor.link == link).and_then(|cursor| cursor.at);
        let to = begun.map(|(at, _)| Timestamp(at.0.saturating_add(1))).or(range.to);
        let filter = ConversionFilter {
            range: Range { from: range.from, to },
            bots: true,
            duplicates: true,
            kind: None,
            fan: None,
            limit: left,
            offset: begun.map_or(0, |(_, passed)| passed),
        };
        let found = app.store.reports.conversions(link, filter).await?;
        let last = found.last().map(|row| row.at);
        if let (Some(last), true) = (last, found.len() == left) {
            let before = begun.filter(|(at, _)| *at == last).map_or(0, |(_, passed)| passed);
            let passed = before + found.iter().filter(|row| row.at == last).count();
            rows.extend(found);
            return Ok((rows, Some(Cursor { link, at: Some((last, passed)) })));
        }
        rows.extend(found);
    }
    Ok((rows, None))
}
