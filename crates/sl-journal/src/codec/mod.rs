//! Events to bytes and back, as `schemas/journal.proto` says.
//!
//! Times and windows are kept in whole milliseconds. What a newer version added is ignored; a body this version does
//! not know is [`DecodeError::UnknownBody`].

mod click;
mod intake;
mod parts;
#[cfg(test)]
mod tests;

use prost::Message as _;
use sl_core::{
    event::{Event, EventBody},
    ids::TeamId,
    time::Timestamp,
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
    let message = to_message(event);
    let encoded = message.encode(into);
    debug_assert!(encoded.is_ok(), "a Vec grows as needed");
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// [`DecodeError`] when the bytes are no event this version can use.
pub fn decode(bytes: &[u8]) -> Result<Event, DecodeError> {
    from_message(proto::Event::decode(bytes).map_err(|error| DecodeError::Malformed(error.to_string()))?)
}

fn to_message(event: Event) -> proto::Event {
    let Event { team, account, at, body } = event;
    let body = match body {
        EventBody::Click(click) => Body::Click(Box::new(click::to_message(*click, team, &account))),
        EventBody::Repeat(repeat) => Body::Repeat(click::repeat_to_message(&repeat)),
        EventBody::Webhook(webhook) => Body::Webhook(intake::webhook_to_message(webhook)),
        EventBody::SubscriberSeen(seen) => Body::SubscriberSeen(intake::seen_to_message(seen)),
        EventBody::TransactionSeen(transaction) => {
            Body::TransactionSeen(intake::transaction_to_message(transaction))
        }
        EventBody::Tick => Body::Tick(proto::Tick {}),
    };
    proto::Event { team: team.0, account: account.as_str().to_owned(), at: at.0, body: Some(body) }
}

fn from_message(message: proto::Event) -> Result<Event, DecodeError> {
    let (team, account, at) = (TeamId(message.team), message.account.into(), Timestamp(message.at));
    let body = match message.body.ok_or(DecodeError::UnknownBody)? {
        Body::Click(click) => EventBody::Click(Box::new(click::from_message(*click, team, &account)?)),
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
