//! Names of rows: destinations, times and states as columns.

use sl_core::{
    delivery::{DeliveryState, Destination},
    ids::{DeliveryId, PixelId, PostbackId, TeamId},
    time::Timestamp,
};
use sl_store::Result;

use crate::failure::damaged;

const MINUTE: i64 = 60_000;
const QUARTER: i64 = 15 * MINUTE;
const DAY: i64 = 24 * 60 * MINUTE;

/// States that are lists of their own.
pub(super) const ASIDE: [DeliveryState; 3] =
    [DeliveryState::Parked, DeliveryState::Expired, DeliveryState::Skipped];

/// Sorts like the destination.
pub(super) fn destination_bytes(destination: Destination) -> Vec<u8> {
    let (sort, number) = match destination {
        Destination::Pixel(id) => (0, id.0),
        Destination::Postback(id) => (1, id.0),
    };
    std::iter::once(sort).chain(number.to_be_bytes()).collect()
}

pub(super) fn destination_of(bytes: &[u8]) -> Result<Destination> {
    let number = |number: &[u8]| number.try_into().ok().map(u64::from_be_bytes);
    let found = match bytes.split_first() {
        Some((0, rest)) => number(rest).map(|id| Destination::Pixel(PixelId(id))),
        Some((1, rest)) => number(rest).map(|id| Destination::Postback(PostbackId(id))),
        _ => None,
    };
    found.ok_or_else(|| damaged("a destination"))
}

pub(super) fn id_of(bytes: &[u8]) -> Result<DeliveryId> {
    let id = bytes.try_into().map_err(|_| damaged("the id of a delivery"))?;
    Ok(DeliveryId::from_bytes(id))
}

pub(super) fn minute(at: Timestamp) -> i64 {
    at.0.div_euclid(MINUTE)
}

pub(super) fn begin_of_minute(minute: i64) -> Timestamp {
    Timestamp(minute.saturating_mul(MINUTE))
}

pub(super) fn quarter(at: Timestamp) -> i64 {
    at.0.div_euclid(QUARTER)
}

/// The first moment after a quarter.
pub(super) fn end_of_quarter(quarter: i64) -> Timestamp {
    Timestamp((quarter + 1).saturating_mul(QUARTER))
}

pub(super) fn day(at: Timestamp) -> i64 {
    at.0.div_euclid(DAY)
}

/// The day of a quarter.
pub(super) fn day_of_quarter(quarter: i64) -> i64 {
    quarter.div_euclid(DAY / QUARTER)
}

pub(super) fn team(id: TeamId) -> i64 {
    id.0.cast_signed()
}

/// Lanes of `outbox_quarters`, see `schemas/cql/0005_outbox.cql`.
pub(super) const LANES: i32 = 8;

pub(super) fn lane(team: TeamId) -> i32 {
    i32::try_from(team.0 % LANES.unsigned_abs() as u64).unwrap_or(0)
}

/// The number in column `state`.
pub(super) fn state_code(state: DeliveryState) -> i8 {
    state.code().cast_signed()
}
