//! A destination as it is now: what it takes to send to it and to read its answers.

use std::{borrow::Cow, sync::Arc, time::Duration};

use sl_core::{
    batch::Batching,
    catalog::{Pixel, Postback},
    delivery::{Destination, Job, RenderedRequest},
    lint::{Warning, word},
    pace::Pace,
    platforms::{AdPlatform, Answer, Platforms, Verdict},
    retry::{Limits, reason},
    seal::{PIXEL_TOKEN, SealKeys, Secret},
    time::Timestamp,
};
use sl_store::Store;

use crate::{
    generic,
    render::{self, Rendered},
    secrets::Secrets,
    sender::Origin,
};

/// Most of a receiver's words that is kept (ad-platforms 14, rule 6).
const WORDS_MAX: usize = 2048;

/// A destination that can be sent to.
pub(crate) enum Target {
    Pixel { pixel: Box<Pixel>, platform: Arc<dyn AdPlatform>, token: Secret },
    Postback(Box<Postback>),
}

/// A destination that can't be sent to until it is changed.
pub(crate) struct Unusable {
    pub(crate) why: Why,
    /// When it was last changed; the end of time for one that is gone.
    pub(crate) version: Timestamp,
}

/// Why something is not sent.
#[derive(Clone)]
pub(crate) struct Why {
    /// Shown as the reason.
    pub(crate) word: &'static str,
    /// Shown beside it: what is odd about the event, or what the operator can do.
    pub(crate) warnings: Vec<Warning>,
}

impl From<&'static str> for Why {
    fn from(word: &'static str) -> Self {
        Self { word, warnings: Vec::new() }
    }
}

impl Unusable {
    const DELETED: Self =
        Self { why: Why { word: reason::DELETED, warnings: Vec::new() }, version: Timestamp(i64::MAX) };

    /// Whether it is gone for good.
    pub(crate) fn is_deleted(&self) -> bool {
        self.why.word == reason::DELETED
    }
}

impl Target {
    /// Reads the destination.
    pub(crate) async fn load(
        store: &Store,
        destination: Destination,
        platforms: &Platforms,
        keys: &SealKeys,
    ) -> sl_store::Result<Result<Self, Unusable>> {
        let id = match destination {
            Destination::Postback(id) => {
                let postback = store.catalog.postback(id).await?;
                return Ok(postback.map(|row| Self::Postback(Box::new(row))).ok_or(Unusable::DELETED));
            }
            Destination::Pixel(id) => id,
        };
        let Some(pixel) = store.catalog.pixel(id).await? else {
            return Ok(Err(Unusable::DELETED));
        };
        let Some(platform) = platforms.get(pixel.platform) else {
            return Ok(Err(Unusable { why: reason::PLATFORM_UNKNOWN.into(), version: pixel.updated_at }));
        };
        if let Some(remedy) = platform.unready() {
            let warnings = vec![Warning::new(word::ADDRESS_MISSING, remedy)];
            let why = Why { word: reason::ADDRESS_MISSING, warnings };
            return Ok(Err(Unusable { why, version: pixel.updated_at }));
        }
        Ok(match keys.open(PIXEL_TOKEN, &pixel.sealed_token) {
            Ok(token) => Ok(Self::Pixel { platform: Arc::clone(platform), pixel: Box::new(pixel), token }),
            Err(_) => Err(Unusable { why: reason::TOKEN_MISSING.into(), version: pixel.updated_at }),
        })
    }

    /// When it was last changed: what it refused before is tried again after.
    pub(crate) fn version(&self) -> Timestamp {
        match self {
            Self::Pixel { pixel, .. } => pixel.updated_at,
            Self::Postback(postback) => postback.updated_at,
        }
    }

    /// Whether the request was written for the destination as it is no longer: that was changed since, or the operator has entered
    /// another address.
    pub(crate) fn is_another_than_of(&self, request: &RenderedRequest) -> bool {
        let is_there = match self {
            Self::Pixel { pixel, platform, .. } => platform.is_addressed(pixel, &request.url),
            Self::Postback(_) => true,
        };
        request.written_for < self.version() || !is_there
    }

    /// Label of metrics.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Pixel { pixel, .. } => pixel.platform.as_str(),
            Self::Postback(_) => "postback",
        }
    }

    pub(crate) fn limits(&self) -> Limits {
        match self {
            Self::Pixel { platform, .. } => platform.limits(),
            Self::Postback(_) => generic::LIMITS,
        }
    }

    /// It takes nothing that lies ahead of its clock (ad-platforms 2.2): such an event waits until it has happened.
    pub(crate) fn refuses_the_future(&self) -> bool {
        matches!(self, Self::Pixel { .. })
    }

    /// Whether it wants a fan's events in the order in which they happened.
    pub(crate) fn in_order(&self) -> bool {
        match self {
            Self::Pixel { pixel, .. } => pixel.in_order,
            Self::Postback(postback) => postback.in_order,
        }
    }

    /// How many requests may go: as many as it says of itself, else as its platform takes, and at most `usual`.
    pub(crate) fn pace(&self, usual: Option<Pace>) -> Option<Pace> {
        match self {
            Self::Pixel { pixel, platform, .. } => pixel.pace.or(Pace::slower(platform.pace(), usual)),
            Self::Postback(postback) => postback.pace.or(usual),
        }
    }

    pub(crate) fn origin(&self) -> Origin {
        match self {
            Self::Pixel { .. } => Origin::Operator,
            Self::Postback(_) => Origin::User,
        }
    }

    /// Writes the request of a job, without any token.
    pub(crate) async fn render(
        &self,
        store: &Store,
        job: &Job,
        public_url: &str,
        now: Timestamp,
    ) -> sl_store::Result<Rendered> {
        match self {
            Self::Pixel { pixel, platform, .. } => {
                render::pixel_event(store, job, pixel, &**platform, public_url, now).await
            }
            Self::Postback(postback) => render::postback(store, job, postback).await,
        }
    }

    /// The request as it leaves.
    pub(crate) fn authorise(&self, request: RenderedRequest) -> RenderedRequest {
        match self {
            Self::Pixel { platform, token, .. } => platform.authorise(request, token),
            Self::Postback(_) => request,
        }
    }

    /// How it takes several events in one request, if it does.
    pub(crate) fn batching(&self) -> Option<Batching> {
        match self {
            Self::Pixel { platform, .. } => platform.batching(),
            Self::Postback(_) => None,
        }
    }

    /// Reads an answer to so many events, the first of this `age`; its words are cut and without secrets.
    pub(crate) fn verdict(&self, answer: &Answer, events: usize, age: Duration) -> Verdict {
        let secrets = self.secrets();
        let judge = |answer: &Answer| match self {
            Self::Pixel { pixel, platform, .. } => platform.verdict(pixel, answer, events),
            Self::Postback(postback) => Verdict {
                outcome: generic::outcome(&postback.answers, answer, age),
                words: Some(answer.words(WORDS_MAX)),
            },
        };
        // What it means is what it said; what is kept of its words is without ours.
        let Verdict { outcome, words } = judge(answer);
        let words = match secrets.blank_answer(answer) {
            Cow::Borrowed(_) => words,
            Cow::Owned(blanked) => judge(&blanked).words,
        };
        let words = words.map(|words| cut(secrets.blank(&words))).filter(|words| !words.is_empty());
        Verdict { outcome, words }
    }

    /// Secrets that must not stand in a receiver's words.
    fn secrets(&self) -> Secrets {
        match self {
            Self::Pixel { token, .. } => Secrets::of_token(token),
            Self::Postback(postback) => Secrets::of_postback(postback),
        }
    }
}

/// Cuts `words` to at most [`WORDS_MAX`] bytes.
fn cut(mut words: String) -> String {
    let end = (0..=words.len().min(WORDS_MAX)).rev().find(|at| words.is_char_boundary(*at));
    words.truncate(end.unwrap_or_default());
    words
}
