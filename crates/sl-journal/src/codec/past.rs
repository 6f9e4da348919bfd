//! What an edge reads of its own past: the visitors of the last hours. Everything else of a record is passed over.

use prost::Message as _;
use sl_core::{
    click::{Class, Repeat},
    ids::{ClickId, SmartLinkId},
    time::Timestamp,
    visitor::{Target, Visit},
};

use super::{DecodeError, click, parts};
use crate::proto::{self, past_event::Body};

/// One record of the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Past {
    /// A click of a person.
    Visit(Visit),
    /// The visitor came again.
    Repeat(Repeat),
}

/// Reads the time of an event and, if it is of a visitor, what an edge remembers.
///
/// # Errors
/// [`DecodeError`] when the bytes are no event this version can use.
pub(crate) fn decode_past(bytes: &[u8]) -> Result<(Timestamp, Option<Past>), DecodeError> {
    let message =
        proto::PastEvent::decode(bytes).map_err(|error| DecodeError::Malformed(error.to_string()))?;
    let past = match message.body {
        Some(Body::Click(click)) => visit(click)?.map(Past::Visit),
        Some(Body::Repeat(repeat)) => Some(Past::Repeat(click::repeat_from_message(&repeat)?)),
        None => None,
    };
    Ok((Timestamp(message.at), past))
}

fn visit(click: proto::PastClick) -> Result<Option<Visit>, DecodeError> {
    if parts::class_back(click.class)? != Class::Person {
        return Ok(None);
    }
    let link = SmartLinkId::from_bytes(parts::need(click.link, "click.link")?);
    let visitor = parts::visitor_back(click.visitor)?;
    let ecid = click.params.and_then(|params| params.ecid);
    Ok(Some(Visit {
        click: ClickId::from_bytes(parts::need(click.id, "click.id")?),
        target: Target::new(link, ecid.as_deref()),
        at: Timestamp(click.at),
        daily: visitor.daily,
        given: visitor.given,
        rung: parts::rung_back(click.rung)?,
        pool_link: click.pool_link.map(parts::pool_link_back).transpose()?,
        sent_to: click.sent_to.map(String::into_boxed_str),
    }))
}
