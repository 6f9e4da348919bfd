//! How much a pixel's platform is told of people, to stand beside the platform's own score (ad-platforms 13.4).

use axum::extract::State;
use serde_json::{Map, Value, json};
use sl_core::{
    delivery::{DeliveryState, Destination},
    lint::Known,
};
use sl_store::outbox::DeliveryFilter;

use crate::{
    access::{Caller, PathId},
    error::Result,
    parts::App,
    pixels::own_pixel,
    reply::Reply,
};

/// The newest events that the shares are made of.
const EVENTS: usize = 500;

pub(crate) async fn show(State(app): State<App>, caller: Caller, PathId(id): PathId) -> Result<Reply> {
    let pixel = own_pixel(&app, caller.team(), &id).await?;
    let filter = DeliveryFilter {
        state: Some(DeliveryState::Delivered),
        destination: Some(Destination::Pixel(pixel.id)),
        limit: EVENTS,
        after: None,
    };
    let events = app.store.deliveries.list(caller.team(), filter).await?;
    let share = |name: &str| {
        let with = events.iter().filter(|event| event.progress.known.names().any(|known| known == name));
        ratio(with.count(), events.len())
    };
    let shares: Map<String, Value> =
        Known::NAMES.iter().map(|name| ((*name).to_owned(), share(name))).collect();
    let tenths: Vec<usize> =
        events.iter().filter_map(|event| event.progress.match_quality).map(usize::from).collect();
    let warned = events.iter().filter(|event| !event.progress.warnings.is_empty()).count();
    Ok(Reply::data(json!({
        "events": events.len(),
        "match_quality": ratio(tenths.iter().sum(), tenths.len() * 10),
        "identifiers": shares,
        "with_warnings": ratio(warned, events.len()),
    })))
}

/// Two decimals; `null` of nothing.
fn ratio(part: usize, whole: usize) -> Value {
    if whole == 0 {
        return Value::Null;
    }
    // Hundredths, rounded to the nearest: small numbers, so nothing is lost.
    let hundredths = u32::try_from((part * 100 + whole / 2) / whole).unwrap_or(u32::MAX);
    json!(f64::from(hundredths) / 100.0)
}
