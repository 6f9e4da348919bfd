//! Clicks and repeats straight to bytes: the hot path makes no message first, whose parts would be moved about and
//! measured twice. The bytes are those that the schema's messages encode to; a test holds the two together.

use std::net::IpAddr;

use prost::encoding::{encode_varint, encoded_len_varint};
use sl_core::{
    click::{Device, Place, Repeat, VisitorKeys},
    event::Event,
    ids::{AccountId, PoolLinkId, TeamId},
    time::Timestamp,
};

use super::{parts, view::ClickView};

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;
const FIXED32: u64 = 5;

/// Fields of [`crate::proto::Event`] for bodies that are encoded here.
const CLICK: u64 = 10;
const REPEAT: u64 = 11;

/// Encodes the event of a click.
pub(super) fn click_event(
    team: TeamId,
    account: &AccountId,
    at: Timestamp,
    click: &ClickView<'_>,
    into: &mut Vec<u8>,
) {
    head(team, account, at, into);
    nested(into, CLICK, 2, |into| self::click(click, team, account, into));
}

/// Encodes the event of a repeat.
pub(super) fn repeat_event(event: &Event, repeat: &Repeat, into: &mut Vec<u8>) {
    head(event.team, &event.account, event.at, into);
    nested(into, REPEAT, 1, |into| {
        wide(into, 1, u128::from_be_bytes(repeat.click.to_bytes()));
        wide(into, 2, u128::from_be_bytes(repeat.link.to_bytes()));
        number(into, 3, zigzag(repeat.at.0));
        pool_link(into, 4, repeat.pool_link);
        visitor(into, 5, &repeat.visitor);
    });
}

fn head(team: TeamId, account: &AccountId, at: Timestamp, into: &mut Vec<u8>) {
    number(into, 1, team.0);
    text(into, 2, account.as_str());
    number(into, 3, zigzag(at.0));
}

fn click(click: &ClickView<'_>, team: TeamId, account: &AccountId, into: &mut Vec<u8>) {
    wide(into, 1, u128::from_be_bytes(click.id.to_bytes()));
    if click.team != team {
        key(into, 2, VARINT);
        varint(click.team.0, into);
    }
    if click.account != account {
        some(into, 3, Some(click.account.as_str()));
    }
    wide(into, 4, u128::from_be_bytes(click.link.to_bytes()));
    number(into, 5, zigzag(click.at.0));
    number(into, 6, u64::try_from(click.window.as_millis()).unwrap_or(u64::MAX));
    enumeration(into, 7, parts::class(click.class));
    enumeration(into, 8, parts::rung(click.rung));
    pool_link(into, 9, click.pool_link);
    visitor(into, 10, &click.visitor);
    nested(into, 11, 2, |into| request(click, into));
    let Device { kind, browser, family, platform } = click.device;
    nested(into, 12, 1, |into| texts(into, [kind, browser, family, platform]));
    let Place { country, region, city, postal_code } = click.place;
    nested(into, 13, 1, |into| {
        somes(into, [country, region, city, postal_code].iter().map(|text| text.as_deref()));
    });
    nested(into, 14, 1, |into| somes(into, click.params.values().iter().map(|text| text.copied())));
    nested(into, 15, 1, |into| somes(into, click.cookies.values().iter().map(|text| text.copied())));
    some(into, 16, click.sent_to);
}

fn request(click: &ClickView<'_>, into: &mut Vec<u8>) {
    text(into, 1, click.target);
    match click.ip {
        Some(IpAddr::V4(ip)) => {
            key(into, 2, FIXED32);
            into.extend_from_slice(&ip.to_bits().to_le_bytes());
        }
        Some(IpAddr::V6(ip)) => wide(into, 3, ip.to_bits()),
        None => {}
    }
    text(into, 4, click.user_agent);
    some(into, 5, click.referrer);
    some(into, 6, click.accept_language);
}

fn pool_link(into: &mut Vec<u8>, field: u64, link: Option<PoolLinkId>) {
    let Some(link) = link.map(parts::pool_link) else { return };
    nested(into, field, 1, |into| {
        enumeration(into, 1, link.kind);
        number(into, 2, link.number);
    });
}

fn visitor(into: &mut Vec<u8>, field: u64, keys: &VisitorKeys) {
    nested(into, field, 1, |into| {
        let all = [(1, keys.came_with), (2, keys.given), (3, Some(keys.daily)), (4, keys.lasting)];
        for (field, id) in all {
            if let Some(id) = id {
                wide(into, field, id.0);
            }
        }
    });
}

// === the wire ===

fn key(into: &mut Vec<u8>, field: u64, kind: u64) {
    varint(field << 3 | kind, into);
}

/// Most numbers here are small: keys of fields, lengths of names.
fn varint(value: u64, into: &mut Vec<u8>) {
    match u8::try_from(value) {
        Ok(byte @ 0..128) => into.push(byte),
        _ => encode_varint(value, into),
    }
}

/// A message inside, always there. `guess`: bytes its length takes, most of the time.
fn nested(into: &mut Vec<u8>, field: u64, guess: usize, inside: impl FnOnce(&mut Vec<u8>)) {
    key(into, field, LENGTH);
    let at = into.len();
    into.resize(at + guess, 0);
    let begin = into.len();
    inside(into);
    let length = (into.len() - begin) as u64;
    let mut bytes = [0; 10];
    let mut rest = bytes.as_mut_slice();
    encode_varint(length, &mut rest);
    let used = encoded_len_varint(length);
    let varint = bytes.iter().copied().take(used);
    if used == guess {
        for (place, byte) in into.iter_mut().skip(at).zip(varint) {
            *place = byte;
        }
    } else {
        into.splice(at..begin, varint);
    }
}

/// A number, left out when it is 0.
fn number(into: &mut Vec<u8>, field: u64, value: u64) {
    if value != 0 {
        key(into, field, VARINT);
        varint(value, into);
    }
}

/// An enumeration's number. Ours are never negative.
fn enumeration(into: &mut Vec<u8>, field: u64, value: i32) {
    number(into, field, u64::try_from(value).unwrap_or(0));
}

#[expect(clippy::cast_sign_loss, reason = "the zigzag of protobuf: the sign goes into the lowest bit")]
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// A text, left out when it is empty.
fn text(into: &mut Vec<u8>, field: u64, value: &str) {
    if !value.is_empty() {
        some(into, field, Some(value));
    }
}

/// A text that may be absent.
fn some(into: &mut Vec<u8>, field: u64, value: Option<&str>) {
    if let Some(value) = value {
        key(into, field, LENGTH);
        varint(value.len() as u64, into);
        into.extend_from_slice(value.as_bytes());
    }
}

/// Fields 1, 2, 3, …
fn texts<const N: usize>(into: &mut Vec<u8>, values: [&String; N]) {
    for (field, value) in (1..).zip(values) {
        text(into, field, value);
    }
}

/// Fields 1, 2, 3, …
fn somes<'a>(into: &mut Vec<u8>, values: impl Iterator<Item = Option<&'a str>>) {
    for (field, value) in (1..).zip(values) {
        some(into, field, value);
    }
}

/// 128 bits, as [`crate::proto::Id128`].
fn wide(into: &mut Vec<u8>, field: u64, value: u128) {
    let id = parts::wide(value);
    let length = 9 * (u8::from(id.high != 0) + u8::from(id.low != 0));
    key(into, field, LENGTH);
    into.push(length);
    for (field, half) in [(1, id.high), (2, id.low)] {
        if half != 0 {
            key(into, field, FIXED64);
            into.extend_from_slice(&half.to_le_bytes());
        }
    }
}
