//! Events to bytes and back, as `schemas/journal.proto` says.
//!
//! Times and windows are kept in whole milliseconds. What a newer version added is ignored; a body this version does
//! not know is [`DecodeError::UnknownBody`].

mod click;
mod direct;
mod intake;
mod parts;
mod past;
mod sent;
#[cfg(test)]
mod tests;
mod view;
mod visit;

use prost::Message as _;
use sl_core::{
    event::{Event, EventBody},
    ids::{AccountId, TeamId},
    time::Timestamp,
};

pub(crate) use self::past::decode_past;
pub use self::{
    past::Past,
    sent::{Sent, decode_sent, encode_sent, sent_as},
    view::ClickView,
    visit::{decode_visit, encode_visit},
};
use crate::proto::{self, event::Body};

/// Bytes are no event this version can use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not a message of the schema.
    #[error("not a record of journal.proto: {0}")]
    Malformed(String),
    /// Written by a newer version.
    #[error("the body is of a kind this version does not know")]
    UnknownBody,
    /// A field that every writer fills is absent.
    #[error("{0} is absent")]
    Absent(&'static str),
    /// An enumeration has a value this version does not know.
    #[error("{field} = {value} is not a value this version knows")]
    UnknownValue {
        /// Field of the schema.
        field: &'static str,
        /// Its number.
        value: i32,
    },
}

/// Appends the event's bytes to `into`.
pub fn encode(event: Event, into: &mut Vec<u8>) {
    let body = match event.body {
        EventBody::Click(click) => {
            return ClickView::with(&click, |view| {
                direct::click_event(event.team, &event.account, event.at, view, into);
            });
        }
        EventBody::Repeat(ref repeat) => return direct::repeat_event(&event, repeat, into),
        EventBody::Webhook(webhook) => Body::Webhook(intake::webhook_to_message(webhook)),
        EventBody::SubscriberSeen(seen) => Body::SubscriberSeen(intake::seen_to_message(seen)),
        EventBody::TransactionSeen(transaction) => {
            Body::TransactionSeen(intake::transaction_to_message(transaction))
        }
        EventBody::Tick => Body::Tick(proto::Tick {}),
    };
    let (team, account) = (event.team.0, event.account.as_str().to_owned());
    let encoded =
        proto::Event { team, account, at: event.at.0, body: Some(body), ..Default::default() }.encode(into);
    debug_assert!(encoded.is_ok(), "a Vec grows as needed");
}

/// Appends the bytes of the event of a click.
pub(crate) fn encode_click(click: &ClickView<'_>, into: &mut Vec<u8>) {
    direct::click_event(click.team, click.account, click.at, click, into);
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// [`DecodeError`] when the bytes are no event this version can use.
pub fn decode(bytes: &[u8]) -> Result<Event, DecodeError> {
    decode_after(bytes, None)
}

/// The same for a run of events, nearly all of one account: its id is shared with that of the event before.
pub(crate) fn decode_after(bytes: &[u8], before: Option<&AccountId>) -> Result<Event, DecodeError> {
    let message = proto::Event::decode(bytes).map_err(|error| DecodeError::Malformed(error.to_string()))?;
    let known = before.filter(|account| account.as_str() == message.account);
    from_message(message, known.cloned())
}

fn from_message(message: proto::Event, account: Option<AccountId>) -> Result<Event, DecodeError> {
    let account = account.unwrap_or_else(|| message.account.into());
    let (team, at) = (TeamId(message.team), Timestamp(message.at));
    let body = match message.body.ok_or(DecodeError::UnknownBody)? {
        Body::Click(click) => EventBody::click(click::from_message(*click, team, &account)?),
        Body::Repeat(repeat) => EventBody::Repeat(click::repeat_from_message(&repeat)?),
        Body::Webhook(webhook) => EventBody::Webhook(intake::webhook_from_message(webhook)),
        Body::SubscriberSeen(seen) => EventBody::SubscriberSeen(intake::seen_from_message(seen)?),
        Body::TransactionSeen(transaction) => {
            EventBody::TransactionSeen(intake::transaction_from_message(transaction))
        }
        Body::Tick(proto::Tick {}) => EventBody::Tick,
    };
    Ok(Event { team, account, at, body })
}
