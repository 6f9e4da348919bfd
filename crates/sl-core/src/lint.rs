//! What is odd about an event, so that people see it before they wonder about missing conversions, and how well a platform
//! can recognise its person (ad-platforms 13).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    catalog::{ExternalIdSource, PlatformKind},
    click::Click,
    identity::Identity,
    time::Timestamp,
};

pub mod postback;
mod quality;
mod rules;

pub use quality::{Known, match_quality};
pub use rules::{event_name, pixel_id};

/// What was noticed when a request was written; it stays with the delivery.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Lint {
    /// What is odd about the event.
    pub warnings: Vec<Warning>,
    /// Estimate in tenths, 0 to 70: without e-mail, phone and name no more than 7 of the platforms' 10 can be reached. `None`
    /// where the person is not what is matched.
    pub match_quality: Option<u8>,
    /// Which identifiers of the person the estimate counts.
    pub known: Known,
}

/// Something that works and is probably not what was meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// A word for programs and counters, one of [`WORDS`].
    pub word: String,
    /// The reason, a sentence for people.
    pub why: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.word, self.why)
    }
}

/// Every word a warning can have.
pub const WORDS: [&str; 16] = [
    word::CLICK_TOO_OLD,
    word::LATE_EVENT,
    word::UNREPLACED_MACRO,
    word::CASE_CHANGED,
    word::MISSING_PAIR,
    word::PRIVATE_IP,
    word::TTCLID_TOO_LONG,
    word::MALFORMED_COOKIE,
    word::SHARED_EXTERNAL_ID,
    word::UNKNOWN_EVENT_NAME,
    word::MALFORMED_PIXEL_ID,
    word::MISSING_CLICK_ID,
    word::WRONG_CURRENCY,
    word::UNKNOWN_VARIABLE,
    word::UNCLOSED_VARIABLE,
    word::ADDRESS_MISSING,
];

/// The words.
pub mod word {
    /// The platform no longer credits clicks of that age.
    pub const CLICK_TOO_OLD: &str = "click_too_old";
    /// Written more than an hour after it happened.
    pub const LATE_EVENT: &str = "late_event";
    /// An ad platform did not fill in its macro.
    pub const UNREPLACED_MACRO: &str = "unreplaced_macro";
    /// Somebody changed the case of a click id.
    pub const CASE_CHANGED: &str = "click_id_case_changed";
    /// Address or user agent is missing: they only help together.
    pub const MISSING_PAIR: &str = "missing_ip_user_agent";
    /// The click's address is a private one.
    pub const PRIVATE_IP: &str = "private_ip";
    /// A click id that TikTok would not take.
    pub const TTCLID_TOO_LONG: &str = "ttclid_too_long";
    /// A cookie of Meta's that is none.
    pub const MALFORMED_COOKIE: &str = "malformed_cookie";
    /// `ecid` names an ad, not a person.
    pub const SHARED_EXTERNAL_ID: &str = "shared_external_id";
    /// The platform may not know the event's name.
    pub const UNKNOWN_EVENT_NAME: &str = "unknown_event_name";
    /// The platform has no pixels with such ids.
    pub const MALFORMED_PIXEL_ID: &str = "malformed_pixel_id";
    /// A postback asks for an outside click id that the click did not have.
    pub const MISSING_CLICK_ID: &str = "missing_click_id";
    /// A postback says a currency that amounts are not in.
    pub const WRONG_CURRENCY: &str = "wrong_currency";
    /// A template holds a name that is no variable.
    pub const UNKNOWN_VARIABLE: &str = "unknown_variable";
    /// A template begins a variable and does not end it.
    pub const UNCLOSED_VARIABLE: &str = "unclosed_variable";
    /// The operator has not said where the platform is.
    pub const ADDRESS_MISSING: &str = "address_missing";
}

impl Warning {
    /// One.
    #[must_use]
    pub fn new(word: &str, why: impl Into<String>) -> Self {
        Self { word: word.to_owned(), why: why.into() }
    }
}

/// An event as a pixel is told of it.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Who is told.
    pub platform: PlatformKind,
    /// The credited click.
    pub click: &'a Click,
    /// What the event tells of the person.
    pub person: &'a Identity,
    /// Where the person's id comes from.
    pub source: ExternalIdSource,
    /// The platform's name for the event.
    pub name: &'a str,
    /// When it happened.
    pub occurred_at: Timestamp,
}

/// Looks at an event that is written at `now`.
#[must_use]
pub fn event(subject: &Subject<'_>, now: Timestamp) -> Lint {
    let known = Known::of(subject.platform, subject.person);
    Lint { warnings: rules::all(subject, now), match_quality: match_quality(subject.platform, known), known }
}

#[cfg(test)]
pub(crate) mod tests;
