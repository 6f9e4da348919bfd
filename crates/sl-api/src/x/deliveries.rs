//! The outbox: states, attempts, replay (decisions 24, 34, 43).

use std::collections::HashMap;

use axum::extract::State;
use serde_json::{Value, json};
use sl_core::{
    catalog::{Pixel, PlatformKind, Postback},
    delivery::{Attempt, Delivery, DeliveryState, Destination},
    ids::{DeliveryId, PixelId, PostbackId, TeamId},
    replay::What,
    time::Timestamp,
};
use sl_store::outbox::{DeliveryFilter, Renewal};

use crate::{
    access::{Caller, PathId},
    error::{ApiError, Problems, Result, shown},
    parts::App,
    query::Query,
    reply::Reply,
    x::{paging, replay::trail},
};

pub(crate) async fn list(State(app): State<App>, caller: Caller, mut query: Query) -> Result<Reply> {
    let filter = filter(&mut query);
    query.finish()?;
    let (rows, next) = page(&app, caller.team(), filter).await?;
    let objects = objects(&app, caller.team(), &rows).await?;
    Ok(Reply::page(objects, next.map(|id| id.to_string())))
}

pub(crate) fn filter(query: &mut Query) -> DeliveryFilter {
    let (limit, after) = paging(query);
    DeliveryFilter { state: state(query), destination: destination(query), limit, after }
}

/// One page, and the cursor of the next when there is more.
pub(crate) async fn page(
    app: &App,
    team: TeamId,
    mut filter: DeliveryFilter,
) -> Result<(Vec<Delivery>, Option<DeliveryId>)> {
    let limit = filter.limit;
    filter.limit += 1;
    let mut rows = app.store.deliveries.list(team, filter).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = if more { rows.last().map(|row| row.job.id) } else { None };
    Ok((rows, next))
}

fn state(query: &mut Query) -> Option<DeliveryState> {
    let word = query.raw("state")?.to_owned();
    let state = DeliveryState::ALL.into_iter().find(|state| state.as_str() == word);
    if state.is_none() {
        let known = DeliveryState::ALL.map(DeliveryState::as_str).join(", ");
        query.wrong("state", format!("must be one of {known}, not {}.", shown(&word)));
    }
    state
}

/// `pixel:9` or `postback:14`.
fn destination(query: &mut Query) -> Option<Destination> {
    let word = query.raw("destination")?.to_owned();
    let destination = read_destination(&word);
    if destination.is_none() {
        query.wrong("destination", format!("must be written pixel:9 or postback:14, not {}.", shown(&word)));
    }
    destination
}

/// `pixel:9` or `postback:14`.
pub(crate) fn read_destination(word: &str) -> Option<Destination> {
    word.split_once(':').and_then(|(kind, id)| match (kind, id.parse()) {
        ("pixel", Ok(id)) => Some(Destination::Pixel(PixelId(id))),
        ("postback", Ok(id)) => Some(Destination::Postback(PostbackId(id))),
        _ => None,
    })
}

/// With all attempts.
pub(crate) async fn show(State(app): State<App>, caller: Caller, PathId(id): PathId) -> Result<Reply> {
    let delivery = own(&app, caller.team(), &id).await?;
    with_attempts(&app, &delivery).await
}

/// Makes it due now, with its whole schedule again. Body and event id stay what they were (promise 7), so a receiver that
/// has it already recognises it.
pub(crate) async fn replay(State(app): State<App>, caller: Caller, PathId(id): PathId) -> Result<Reply> {
    let delivery = replayed(&app, &caller, &id).await?;
    with_attempts(&app, &delivery).await
}

/// Whether the caller may have something sent to a destination; `None` is any. For ad platforms that takes what managing pixels
/// does (contract F).
///
/// # Errors
/// 403 naming the permission.
pub(crate) fn may_send(caller: &Caller, to: Option<Destination>) -> Result<()> {
    match to {
        Some(Destination::Postback(_)) => Ok(()),
        Some(Destination::Pixel(_)) | None => caller.must("meta-pixels.manage"),
    }
}

/// Refuses a replay to nobody: it would only be parked anew, and one that was delivered would no longer look so.
///
/// # Errors
/// 422 naming the destination.
async fn must_be_there(app: &App, team: TeamId, to: Destination) -> Result<()> {
    if !Named::read(app, team, to).await?.is_deleted {
        return Ok(());
    }
    let what = format!(
        "is {to}, which was deleted, so that nothing can be sent there; nothing was changed. To tell another one, name it in \
         `into` of POST /api/x/deliveries/replay-into."
    );
    Err(Problems::one("destination", what))
}

/// Replays and gives back the delivery as it is now.
///
/// # Errors
/// 404 of no such delivery, 403 as [`may_send`] says, 422 when its destination is gone.
pub(crate) async fn replayed(app: &App, caller: &Caller, id: &str) -> Result<Delivery> {
    let filter = json!({ "delivery_id": id }).to_string();
    loop {
        let mut delivery = own(app, caller.team(), id).await?;
        may_send(caller, Some(delivery.job.destination))?;
        must_be_there(app, caller.team(), delivery.job.destination).await?;
        let again = delivery.progress.asked_for(app.now());
        let mut trail = trail::begun(app, caller, What::One, filter.clone());
        (trail.pages, trail.examined) = (1, 1);
        let renewal = Renewal { job: delivery.job.clone(), from: Some(delivery.progress), to: again.clone() };
        // One that comes too late leaves its row too, with nothing replayed.
        if app.store.replays.renew(vec![renewal], Some(trail)).await? == 1 {
            delivery.progress = again;
            return Ok(delivery);
        }
        // It was under way, and an answer came in this moment: one that confirms it is what was asked for.
        let delivery = own(app, caller.team(), id).await?;
        if delivery.progress.state == DeliveryState::Delivered {
            return Ok(delivery);
        }
    }
}

async fn with_attempts(app: &App, delivery: &Delivery) -> Result<Reply> {
    Ok(Reply::data(detail(app, delivery).await?))
}

/// One delivery with all its attempts.
pub(crate) async fn detail(app: &App, delivery: &Delivery) -> Result<Value> {
    let attempts = app.store.deliveries.attempts(delivery.job.id).await?;
    let mut row =
        objects(app, delivery.job.team, std::slice::from_ref(delivery)).await?.pop().unwrap_or_default();
    if let Some(row) = row.as_object_mut() {
        row.insert("attempt_log".to_owned(), attempts.iter().map(attempt).collect());
    }
    Ok(row)
}

pub(crate) async fn own(app: &App, team: TeamId, id: &str) -> Result<Delivery> {
    let missing = || ApiError::NotFound("delivery");
    let id = id.parse().map_err(|_| missing())?;
    app.store.deliveries.delivery(team, id).await?.ok_or_else(missing)
}

/// Rows with the names of their destinations; each is read once.
pub(crate) async fn objects(app: &App, team: TeamId, rows: &[Delivery]) -> Result<Vec<Value>> {
    let mut known: HashMap<Destination, Value> = HashMap::new();
    let (now, resting) = (app.now(), app.store.outbox.resting().await?);
    let resting: HashMap<Destination, Timestamp> = resting
        .into_iter()
        .filter(|(_, resting)| resting.rest.lasts(now))
        .map(|(to, resting)| (to, resting.rest.until))
        .collect();
    let mut objects = Vec::with_capacity(rows.len());
    for row in rows {
        let to = row.job.destination;
        let name = match known.get(&to) {
            Some(name) => name.clone(),
            None => known.entry(to).or_insert(Named::read(app, team, to).await?.object(to)).clone(),
        };
        // Its own time, or the end of its destination's rest: what waits there keeps its time and order.
        let next = row.progress.next_attempt_at.map(|at| resting.get(&to).map_or(at, |until| at.max(*until)));
        objects.push(object(row, name, next));
    }
    Ok(objects)
}

fn object(row: &Delivery, destination: Value, next_attempt_at: Option<Timestamp>) -> Value {
    let (job, progress) = (&row.job, &row.progress);
    let last = progress.last.as_ref();
    json!({
        "id": job.id.to_string(),
        "event_id": job.event_id,
        "kind": job.kind.as_str(),
        "smart_link_id": job.link.to_string(),
        "conversion_id": job.conversion.map(|id| id.to_string()),
        "click_id": job.click.map(|id| id.to_string()),
        "destination": destination,
        "state": progress.state.as_str(),
        "reason": progress.reason,
        "attempts": progress.attempts,
        "next_attempt_at": next_attempt_at.map(|at| at.iso()),
        "created_at": job.created_at.iso(),
        "last": last.map(|last| json!({
            "status_code": last.status, "error_type": last.error_type, "message": last.message,
        })),
        "warnings": progress.warnings,
        "match_quality": progress.match_quality.map(|tenths| f64::from(tenths) / 10.0),
        "identifiers": progress.known.names().collect::<Vec<_>>(),
    })
}

fn attempt(attempt: &Attempt) -> Value {
    json!({
        "at": attempt.at.iso(),
        "milliseconds": attempt.millis,
        "status_code": attempt.status,
        "error_type": attempt.error_type,
        "message": attempt.message,
    })
}

/// A destination as it is shown. One that is gone keeps its number, a pixel its names, too.
struct Named {
    platform: Option<PlatformKind>,
    label: Option<String>,
    is_deleted: bool,
}

impl Named {
    async fn read(app: &App, team: TeamId, destination: Destination) -> Result<Self> {
        Ok(match destination {
            Destination::Pixel(id) => {
                let catalog = &app.store.catalog;
                let pixel = catalog.pixel(id).await?.filter(|pixel| pixel.team == team);
                let is_deleted = pixel.is_none();
                let pixel = match pixel {
                    Some(pixel) => Some(pixel),
                    None => catalog.deleted_pixel(id).await?.filter(|pixel| pixel.team == team),
                };
                let platform = pixel.as_ref().map(|pixel| pixel.platform);
                Self { platform, is_deleted, label: pixel.and_then(pixel_label) }
            }
            Destination::Postback(id) => {
                let postback = app.store.catalog.postback(id).await?.filter(|postback| postback.team == team);
                Self { platform: None, is_deleted: postback.is_none(), label: postback.and_then(host) }
            }
        })
    }

    fn object(self, destination: Destination) -> Value {
        let (kind, id) = match destination {
            Destination::Pixel(id) => ("pixel", id.0),
            Destination::Postback(id) => ("postback", id.0),
        };
        let platform = self.platform.map(PlatformKind::as_str);
        json!({ "kind": kind, "id": id, "platform": platform, "label": self.label, "deleted": self.is_deleted })
    }
}

fn pixel_label(pixel: Pixel) -> Option<String> {
    pixel.label.or_else(|| (!pixel.pixel_id.is_empty()).then_some(pixel.pixel_id))
}

/// The host only: the rest of a postback's URL may hold a token.
fn host(postback: Postback) -> Option<String> {
    url::Url::parse(&postback.url).ok()?.host_str().map(str::to_owned)
}
