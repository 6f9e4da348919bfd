//! Deliveries that are there are sent again, as a filter says.

use std::time::Duration;

use axum::extract::State;
use sl_core::{
    delivery::{Delivery, DeliveryState, Destination},
    ids::{DeliveryId, ReplayId, TeamId},
    replay::{What, replay},
    time::Timestamp,
};
use sl_store::outbox::{DeliveryFilter, Renewal};

use super::{Asked, Known, Tally, destination, limit, trail};
use crate::{
    access::Caller,
    body::Body,
    error::{Result, shown},
    parts::App,
    query::Query,
    reply::Reply,
    x::deliveries::may_send,
};

/// Rows come by when attribution made them, which is after they happened; so much may a platform's clock be ahead of ours.
const AHEAD: Duration = Duration::from_secs(24 * 3600);

/// Where the next page begins: in which state's list, and behind which delivery.
#[derive(Clone, Copy)]
struct Cursor {
    state: DeliveryState,
    after: Option<DeliveryId>,
}

impl Cursor {
    fn read(text: &str) -> Option<Self> {
        let (state, id) = text.split_once('.')?;
        let state = DeliveryState::ALL.into_iter().find(|known| known.as_str() == state)?;
        let after = if id.is_empty() { None } else { Some(id.parse().ok()?) };
        Some(Self { state, after })
    }

    fn text(self) -> String {
        format!("{}.{}", self.state.as_str(), self.after.map(|id| id.to_string()).unwrap_or_default())
    }
}

pub(crate) async fn again(
    State(app): State<App>,
    caller: Caller,
    mut query: Query,
    mut body: Body,
) -> Result<Reply> {
    let team = caller.team();
    let asked = Asked::read(&app, team, &mut body).await?;
    body.only(&[
        "destination",
        "states",
        "smart_link_id",
        "kinds",
        "date_start",
        "date_end",
        "again",
        "dry_run",
    ]);
    let to = destination(&mut body, "destination");
    let states = states(&mut body, asked.again);
    let limit = limit(&mut query);
    let (cursor, id) = cursor(&mut query, &states);
    let filter = trail::filter(&body);
    query.finish()?;
    body.finish()?;
    may_send(&caller, to)?;
    let (mut tally, mut renewals, mut known) = (Tally::default(), Vec::new(), Known::default());
    let page = Page::read(&app, team, to, &states, cursor, limit, asked.range.from).await?;
    for Delivery { job, progress } in page.rows {
        tally.examined += 1;
        let in_link = asked.link.is_none_or(|link| link == job.link);
        if !in_link || !asked.wants(job.kind) || !asked.range.contains(job.occurred_at) {
            continue;
        }
        let Some((_, limits)) = known.get(&app, team, job.destination).await? else {
            tally.gone += 1;
            continue;
        };
        let decided = replay(&progress, job.occurred_at, *limits, app.now(), asked.again);
        renewals.extend(tally.decided(decided).map(|to| Renewal { job, from: Some(progress), to }));
    }
    let mut trail = None;
    if !asked.dry_run {
        let (team, key, replayed) = (team.0, caller.0.id.0, renewals.len());
        tracing::info!(team, key, replayed, "deliveries are sent again, as was asked for");
        let what = (What::Again, filter);
        trail = Some(trail::with_page(&app, &caller, what, id, tally.examined).await?);
    }
    tally.carry_out(&app, trail, renewals, page.next.map(Cursor::text)).await
}

/// Unless told otherwise what ended without being delivered for a reason outside.
fn states(body: &mut Body, again: bool) -> Vec<DeliveryState> {
    let Some(words) = body.strings("states", 64) else {
        return vec![DeliveryState::Parked, DeliveryState::Expired];
    };
    let mut states = Vec::new();
    for word in words {
        match DeliveryState::ALL.into_iter().find(|state| state.as_str() == word) {
            Some(DeliveryState::Waiting) => {
                body.wrong("states", "must not name waiting: it goes out by itself.")
            }
            Some(DeliveryState::Delivered) if !again => {
                body.wrong(
                    "states",
                    "may name delivered with \"again\": true only: the receiver took these.",
                );
            }
            Some(state) if states.contains(&state) => {}
            Some(state) => states.push(state),
            None => body.wrong(
                "states",
                format!("must be some of parked, expired, skipped, delivered, not {}.", shown(&word)),
            ),
        }
    }
    states
}

fn cursor(query: &mut Query, states: &[DeliveryState]) -> (Option<Cursor>, Option<ReplayId>) {
    let Some(text) = query.raw("cursor").map(str::to_owned) else { return (None, None) };
    let (own, id) = trail::split(&text);
    let cursor = Cursor::read(own).filter(|cursor| states.contains(&cursor.state));
    if cursor.is_none() {
        query.wrong("cursor", format!("must be a next_cursor of this replay, not {}.", shown(&text)));
    }
    (cursor, id)
}

/// Deliveries of one state after the other, newest first.
struct Page {
    rows: Vec<Delivery>,
    next: Option<Cursor>,
}

impl Page {
    async fn read(
        app: &App,
        team: TeamId,
        destination: Option<Destination>,
        states: &[DeliveryState],
        cursor: Option<Cursor>,
        limit: usize,
        from: Option<Timestamp>,
    ) -> Result<Self> {
        let begun = cursor.and_then(|cursor| states.iter().position(|state| *state == cursor.state));
        let mut after = cursor.and_then(|cursor| cursor.after);
        let mut rows: Vec<Delivery> = Vec::new();
        for &state in states.iter().skip(begun.unwrap_or(0)) {
            let left = limit.saturating_sub(rows.len());
            if left == 0 {
                return Ok(Self { rows, next: Some(Cursor { state, after: None }) });
            }
            let filter = DeliveryFilter { state: Some(state), destination, limit: left, after: after.take() };
            let found = app.store.deliveries.list(team, filter).await?;
            let last = found.last().map(|row| (row.job.id, row.job.created_at));
            let full = found.len() == left;
            rows.extend(found);
            // The rest happened before what is asked for.
            let over = last.zip(from).is_some_and(|((_, made), from)| made < from.minus(AHEAD));
            if let (Some((id, _)), true, false) = (last, full, over) {
                return Ok(Self { rows, next: Some(Cursor { state, after: Some(id) }) });
            }
        }
        Ok(Self { rows, next: None })
    }
}
