//! What an ad platform is to the worker: how an event is written, how its token is added, what its answer means.
//!
//! A new platform is one file beside this one that implements [`AdPlatform`], a line in `platforms!`, and golden files under
//! `schemas/ad-platforms`.

use std::time::{Duration, UNIX_EPOCH};

use http::HeaderMap;

use crate::{
    batch::Batching,
    catalog::{Pixel, PlatformKind, ValueBasis},
    click::Click,
    delivery::{DeliveryKind, RenderedRequest},
    money::Cents,
    pace::Pace,
    retry::{Limits, Outcome},
    seal::Secret,
    time::Timestamp,
};

/// One event to be told to a pixel.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    /// What happened.
    pub kind: DeliveryKind,
    /// The platform's name for it, from the pixel's map.
    pub name: &'a str,
    /// Id of the event, the same on every attempt and for every pixel (ad-platforms 1.5).
    pub event_id: &'a str,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// Dollars, in the pixel's basis; `None` for clicks and messages.
    pub value: Option<Cents>,
    /// The transaction, for purchases.
    pub order_id: Option<&'a str>,
    /// An automatic renewal: no website had a part in it.
    pub renewal: bool,
    /// Counts, or is only shown.
    pub channel: Channel<'a>,
}

/// Through which door an event goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel<'a> {
    /// A real event, which the platform counts.
    Live,
    /// Asked for by hand (contract A.8.3); the code is what Meta and TikTok show it under.
    Test(Option<&'a str>),
}

impl<'a> Channel<'a> {
    /// The test event code.
    #[must_use]
    pub fn code(self) -> Option<&'a str> {
        match self {
            Self::Live => None,
            Self::Test(code) => code,
        }
    }

    /// Whether it is a test event, which somebody asked for by hand.
    #[must_use]
    pub fn is_test(self) -> bool {
        self != Self::Live
    }
}

/// A rule of ours says that this event is not sent (ad-platforms 1.7). The word is on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skip(pub &'static str);

impl Skip {
    /// A purchase without an amount.
    pub const MISSING_VALUE: Self = Self("missing_value");
    /// An amount below zero.
    pub const NEGATIVE_VALUE: Self = Self("negative_value");
    /// Nothing that the platform could recognise the person by.
    pub const INSUFFICIENT_USER_DATA: Self = Self("insufficient_user_data");
    /// The click did not come from the platform.
    pub const UTM_SOURCE_MISMATCH: Self = Self("utm_source_mismatch");
    /// The platform knows clicks only, and this one had no id of its own.
    pub const MISSING_CLICK_ID: Self = Self("missing_click_id");
    /// Older than the platform accepts.
    pub const TOO_OLD: Self = Self("too_old");
    /// The pixel's map has no name for the event any more.
    pub const EVENT_DISABLED: Self = Self("event_disabled");
}

/// What a receiver said.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The body, or the first 64 KiB of it.
    pub body: Vec<u8>,
    /// The body was read to its end: it did not break off.
    pub whole: bool,
}

impl Answer {
    /// `Retry-After` in seconds or as a date, against the answer's own `Date`.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        Some(date(text)?.since(self.date()?))
    }

    /// `Date`: the receiver's time when it answered.
    #[must_use]
    pub fn date(&self) -> Option<Timestamp> {
        date(self.headers.get(http::header::DATE)?.to_str().ok()?)
    }

    /// The body as text, at most `max` bytes.
    #[must_use]
    pub fn words(&self, max: usize) -> String {
        let kept = self.body.get(..self.body.len().min(max)).unwrap_or_default();
        String::from_utf8_lossy(kept).trim().to_owned()
    }
}

fn date(text: &str) -> Option<Timestamp> {
    let since_1970 = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp(0).plus(since_1970))
}

/// What an answer means, with the platform's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What the answer means for the schedule of attempts.
    pub outcome: Outcome,
    /// The platform's words, for people; secrets are blanked later.
    pub words: Option<String>,
}

/// One ad platform. Pure: no clock, no network.
pub trait AdPlatform: Send + Sync + 'static {
    /// Which platform it is.
    fn kind(&self) -> PlatformKind;

    /// What the operator has to do before this installation can send to it: there is no address yet. Its pixels wait.
    fn unready(&self) -> Option<&'static str> {
        None
    }

    /// How long events are accepted.
    fn limits(&self) -> Limits;

    /// Writes the request without its token. `click_url` is the address as visited, query included.
    ///
    /// # Errors
    /// [`Skip`] when a rule says not to send it.
    fn build(
        &self,
        pixel: &Pixel,
        event: &Event<'_>,
        click: &Click,
        click_url: &str,
    ) -> Result<RenderedRequest, Skip>;

    /// Whether a request with this address goes where events of the pixel go now. The operator may have entered another origin or
    /// version since it was written.
    fn is_addressed(&self, pixel: &Pixel, url: &str) -> bool;

    /// How it takes several events in one request; `None`: it takes one.
    fn batching(&self) -> Option<Batching> {
        None
    }

    /// Adds the token, just before the request leaves.
    fn authorise(&self, request: RenderedRequest, token: &Secret) -> RenderedRequest;

    /// Most requests to one pixel, where the platform says so and the pixel has no limit of its own.
    fn pace(&self) -> Option<Pace> {
        None
    }

    /// Reads the answer to a request with so many events of a pixel. [`Outcome::Delivered`] confirms all of them; an answer that
    /// confirms some, or may have taken some, is [`Outcome::Unclear`] for all.
    fn verdict(&self, pixel: &Pixel, answer: &Answer, events: usize) -> Verdict;
}

/// The amount in the pixel's basis.
#[must_use]
pub fn value(pixel: &Pixel, gross: Cents, net: Cents) -> Cents {
    match pixel.value_basis {
        ValueBasis::Gross => gross,
        ValueBasis::Net => net,
    }
}
