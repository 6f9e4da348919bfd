//! Bodies of contract E in our nouns. Numbers may come as text, single objects as arrays; unknown keys are ignored.

#[cfg(test)]
mod tests;

use serde_json::Value;
use sl_core::{
    conversion::{FanProfile, Transaction},
    ended::LinkEnd,
    ids::{FanId, LinkKind, PoolLinkId, TransactionId},
    money::Cents,
    time::{DayEdge, Timestamp},
};

use super::lacks;
use crate::{
    error::Result,
    platform::{AccountList, AccountSeen, LinkSeen, Page, ProfileSeen, SubscriberRow, TransactionPage},
};

/// `GET /api/accounts`: a bare array (contract A.12); an envelope is taken too.
pub(super) fn accounts(body: &Value) -> Result<AccountList> {
    let list = body.as_array().or_else(|| body.get("data")?.as_array());
    let list = list.ok_or_else(|| lacks("accounts: no array"))?;
    let rows: Vec<AccountSeen> = list.iter().filter_map(account).collect();
    Ok(AccountList { unreadable: list.len() - rows.len(), rows })
}

fn account(row: &Value) -> Option<AccountSeen> {
    let user = row.get("onlyfans_user_data").unwrap_or(&Value::Null);
    Some(AccountSeen {
        id: word(row, "id")?.into(),
        display_name: text(row, "display_name").unwrap_or_default(),
        onlyfans_id: number(row, "onlyfans_id").or_else(|| number(user, "id")),
        username: text(row, "onlyfans_username").or_else(|| text(user, "username")),
        email: text(row, "onlyfans_email"),
        name: text(user, "name"),
        avatar: text(user, "avatar"),
        is_authenticated: row.get("is_authenticated").and_then(Value::as_bool),
        authentication_progress: text(row, "authentication_progress").unwrap_or_default(),
    })
}

pub(super) fn profile(body: &Value) -> Result<ProfileSeen> {
    let data = body.get("data").filter(|data| data.is_object()).ok_or_else(|| lacks("me: no data"))?;
    Ok(ProfileSeen {
        username: text(data, "username"),
        onlyfans_id: number(data, "id"),
        name: text(data, "name"),
        avatar: text(data, "avatar"),
        can_create_trial: data.get("canCreateTrial").and_then(Value::as_bool),
    })
}

/// An array that holds one object, or the object (contract E.1).
pub(super) fn created(body: &Value, kind: LinkKind) -> Result<LinkSeen> {
    let data = body.get("data").unwrap_or(&Value::Null);
    let row = data.as_array().and_then(|rows| rows.first()).unwrap_or(data);
    link(row, kind).ok_or_else(|| lacks("create: no id"))
}

pub(super) fn links(body: &Value, kind: LinkKind) -> Result<Page<LinkSeen>> {
    page(body, |row| link(row, kind))
}

fn link(row: &Value, kind: LinkKind) -> Option<LinkSeen> {
    let counter = match kind {
        LinkKind::TrackingLink => "subscribersCount",
        LinkKind::FreeTrial => "claimCounts",
    };
    // Created tracking links say `countSubscribers`; trial links count claims and subscribers apart.
    let counts = [counter, "subscribeCounts", "countSubscribers"].map(|key| number(row, key).unwrap_or(0));
    Some(LinkSeen {
        id: PoolLinkId { kind, number: number(row, "id")? },
        name: text(row, "campaignName").or_else(|| text(row, "trialLinkName")),
        url: text(row, "campaignUrl").or_else(|| text(row, "url")),
        code: number(row, "campaignCode"),
        trial_days: number(row, "subscribeDays").and_then(|days| u16::try_from(days).ok()),
        subscribers: counts.into_iter().max().and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
        created_at: time(row, "createdAt"),
        end: end(row, kind),
    })
}

/// What can't be read ends no link, nor does an end before its beginning: some write a date of long ago for none. A bare date ends
/// it with its day.
fn end(row: &Value, kind: LinkKind) -> LinkEnd {
    let key = match kind {
        LinkKind::TrackingLink => "endDate",
        LinkKind::FreeTrial => "expiredAt",
    };
    let at = row.get(key).and_then(Value::as_str).and_then(|at| Timestamp::parse(at, DayEdge::End).ok());
    let began = time(row, "createdAt");
    LinkEnd {
        at: at.filter(|at| began.is_none_or(|began| *at >= began)),
        is_finished: row.get("isFinished").and_then(Value::as_bool).unwrap_or(false),
    }
}

pub(super) fn subscribers(body: &Value) -> Result<Page<SubscriberRow>> {
    page(body, |row| {
        let subscribed = row.get("subscribedOnData").unwrap_or(&Value::Null);
        Some(SubscriberRow {
            fan: fan(row)?,
            profile: shown(row),
            subscribed_at: time(subscribed, "subscribeAt"),
            price: cents(subscribed, "price").filter(|price| price.0 >= 0),
        })
    })
}

/// Fans that were not added: the shape of `skip_invalid: true` (contract E.4).
pub(super) fn refused(body: &Value) -> usize {
    body.pointer("/data/failed").and_then(Value::as_object).map_or(0, serde_json::Map::len)
}

pub(super) fn transactions(body: &Value) -> Result<TransactionPage> {
    let (rows, has_more) = rows(body)?;
    let read: Vec<Transaction> = rows.iter().filter_map(transaction).collect();
    let marker = text(body.get("data").unwrap_or(&Value::Null), "nextMarker");
    Ok(TransactionPage {
        unreadable: rows.len() - read.len(),
        rows: read,
        next: marker.filter(|marker| has_more && !marker.is_empty()),
    })
}

/// What the webhook of the same payment would be refused for (`sl_core::webhook`) is not credited by this way either.
fn transaction(row: &Value) -> Option<Transaction> {
    let user = row.get("user").unwrap_or(&Value::Null);
    let is_in_dollars = row.get("currency").is_none_or(|word| word.is_null() || word.as_str() == Some("USD"));
    let amount = |key| cents(row, key).filter(|amount| amount.is_believable());
    if !is_in_dollars {
        return None;
    }
    Some(Transaction {
        id: TransactionId::from(word(row, "id")?),
        kind: kind(&word(row, "type")?).to_owned(),
        fan: FanId::from(word(user, "id")?),
        profile: shown(user),
        gross: amount("amount")?,
        net: amount("net")?,
        status: word(row, "status")?,
        description: text(row, "description").unwrap_or_default(),
        at: time(row, "createdAt").filter(|at| at.0 >= 0)?,
        reconciled: true,
    })
}

/// The vocabulary of the list in that of the webhook (contract E.5, D.3.2). The list does not tell a first subscription
/// from a renewal; the webhook's type wins where it came (decisions 54).
fn kind(word: &str) -> &str {
    match word {
        "subs" | "subscribes" => "new_subscription",
        "tips" => "tip",
        "chat_messages" => "message",
        "post" | "stream" | "tip" | "message" | "new_subscription" | "recurring_subscription" => word,
        _ => "other",
    }
}

fn fan(row: &Value) -> Option<FanId> {
    word(row, "id").map(FanId::from)
}

fn shown(row: &Value) -> FanProfile {
    FanProfile { username: text(row, "username"), name: text(row, "name"), avatar: text(row, "avatar") }
}

/// `data: {list[], hasMore}`, or `data` as the list itself.
fn rows(body: &Value) -> Result<(&Vec<Value>, bool)> {
    let data = body.get("data").unwrap_or(&Value::Null);
    let list = data.get("list").unwrap_or(data);
    let list = list.as_array().ok_or_else(|| lacks("list: no data.list"))?;
    let has_more = data.get("hasMore").and_then(Value::as_bool);
    let next_page = body.pointer("/_pagination/next_page").is_some_and(Value::is_string);
    Ok((list, has_more.unwrap_or(next_page)))
}

fn page<T>(body: &Value, row: impl Fn(&Value) -> Option<T>) -> Result<Page<T>> {
    let (list, has_more) = rows(body)?;
    let read: Vec<T> = list.iter().filter_map(row).collect();
    // One row keeps no other from being read; where none has an id they are something else.
    if read.is_empty() && !list.is_empty() {
        return Err(lacks("list: no row has an id"));
    }
    Ok(Page { unreadable: list.len() - read.len(), rows: read, has_more })
}

/// Text, or a whole number as text (contract D.3: ids come as both).
fn text(row: &Value, key: &str) -> Option<String> {
    match row.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}

/// Text that says something, as short as ids and words are.
fn word(row: &Value, key: &str) -> Option<String> {
    text(row, key).filter(|text| (1..=255).contains(&text.len()))
}

fn number(row: &Value, key: &str) -> Option<u64> {
    match row.get(key)? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn cents(row: &Value, key: &str) -> Option<Cents> {
    Cents::from_json(row.get(key)?).ok()
}

fn time(row: &Value, key: &str) -> Option<Timestamp> {
    Timestamp::parse(row.get(key)?.as_str()?, DayEdge::Start).ok()
}
