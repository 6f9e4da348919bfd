//! Parts that several records share.

use sl_core::{
    click::{Class, Rung, VisitorId, VisitorKeys},
    conversion::FanProfile,
    ids::{LinkKind, PoolLinkId},
};

use super::DecodeError;
use crate::proto;

pub(super) fn id(bytes: [u8; 16]) -> proto::Id128 {
    wide(u128::from_be_bytes(bytes))
}

pub(super) fn id_bytes(id: proto::Id128) -> [u8; 16] {
    narrow(id).to_be_bytes()
}

/// The 16 bytes of a field that every writer fills.
pub(super) fn need(id: Option<proto::Id128>, field: &'static str) -> Result<[u8; 16], DecodeError> {
    id.map(id_bytes).ok_or(DecodeError::Absent(field))
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves of 128 bits")]
pub(super) fn wide(value: u128) -> proto::Id128 {
    proto::Id128 { high: (value >> 64) as u64, low: value as u64 }
}

pub(super) fn narrow(id: proto::Id128) -> u128 {
    u128::from(id.high) << 64 | u128::from(id.low)
}

pub(super) fn pool_link(link: PoolLinkId) -> proto::PoolLinkId {
    let kind = match link.kind {
        LinkKind::TrackingLink => proto::LinkKind::TrackingLink,
        LinkKind::FreeTrial => proto::LinkKind::FreeTrial,
    };
    proto::PoolLinkId { kind: kind.into(), number: link.number }
}

pub(super) fn pool_link_back(link: proto::PoolLinkId) -> Result<PoolLinkId, DecodeError> {
    let kind = match link.kind() {
        proto::LinkKind::TrackingLink => LinkKind::TrackingLink,
        proto::LinkKind::FreeTrial => LinkKind::FreeTrial,
        proto::LinkKind::Unspecified => {
            return Err(DecodeError::UnknownValue { field: "pool_link.kind", value: link.kind });
        }
    };
    Ok(PoolLinkId { kind, number: link.number })
}

pub(super) fn class(class: Class) -> i32 {
    match class {
        Class::Person => proto::Class::Person,
        Class::Repeat => proto::Class::Repeat,
        Class::Bot => proto::Class::Bot,
        Class::Speculative => proto::Class::Speculative,
    }
    .into()
}

pub(super) fn class_back(value: i32) -> Result<Class, DecodeError> {
    match proto::Class::try_from(value) {
        Ok(proto::Class::Person) => Ok(Class::Person),
        Ok(proto::Class::Repeat) => Ok(Class::Repeat),
        Ok(proto::Class::Bot) => Ok(Class::Bot),
        Ok(proto::Class::Speculative) => Ok(Class::Speculative),
        Ok(proto::Class::Unspecified) | Err(_) => {
            Err(DecodeError::UnknownValue { field: "click.class", value })
        }
    }
}

pub(super) fn rung(rung: Rung) -> i32 {
    match rung {
        Rung::Fresh => proto::Rung::Fresh,
        Rung::Recycled => proto::Rung::Recycled,
        Rung::Overflow => proto::Rung::Overflow,
        Rung::Profile => proto::Rung::Profile,
    }
    .into()
}

pub(super) fn rung_back(value: i32) -> Result<Rung, DecodeError> {
    match proto::Rung::try_from(value) {
        Ok(proto::Rung::Fresh) => Ok(Rung::Fresh),
        Ok(proto::Rung::Recycled) => Ok(Rung::Recycled),
        Ok(proto::Rung::Overflow) => Ok(Rung::Overflow),
        Ok(proto::Rung::Profile) => Ok(Rung::Profile),
        Ok(proto::Rung::Unspecified) | Err(_) => {
            Err(DecodeError::UnknownValue { field: "click.rung", value })
        }
    }
}

pub(super) fn visitor_back(keys: Option<proto::VisitorKeys>) -> Result<VisitorKeys, DecodeError> {
    let keys = keys.ok_or(DecodeError::Absent("visitor"))?;
    let back = |id: proto::Id128| VisitorId(narrow(id));
    Ok(VisitorKeys {
        came_with: keys.came_with.map(back),
        given: keys.given.map(back),
        daily: keys.daily.map(back).ok_or(DecodeError::Absent("visitor.daily"))?,
        lasting: keys.lasting.map(back),
    })
}

pub(super) fn profile(profile: FanProfile) -> proto::FanProfile {
    let FanProfile { username, name, avatar } = profile;
    proto::FanProfile { username, name, avatar }
}

pub(super) fn profile_back(profile: Option<proto::FanProfile>) -> FanProfile {
    let proto::FanProfile { username, name, avatar } = profile.unwrap_or_default();
    FanProfile { username, name, avatar }
}
