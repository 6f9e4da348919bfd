//! Postbacks: a buyer's own URLs.

use serde::{Deserialize, Serialize};

use crate::{
    conversion::ConversionKind,
    ids::{PostbackId, SmartLinkId, TeamId},
    pace::Pace,
    time::Timestamp,
};

/// A buyer's own postback (contract A.9, C).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Postback {
    /// Our number.
    pub id: PostbackId,
    /// Owner.
    pub team: TeamId,
    /// Template.
    pub url: String,
    /// GET unless chosen otherwise.
    pub method: PostbackMethod,
    /// Template of the body, for POST.
    pub body: Option<String>,
    /// Names and value templates.
    pub headers: Vec<HeaderTemplate>,
    /// Which links it hears about.
    pub scope: PostbackScope,
    /// Which conversion types it hears about, in the order they were given.
    pub conversion_types: Vec<ConversionKind>,
    /// How a receiver that always answers 200 is understood.
    pub answers: AnswerTexts,
    /// A fan's events come one after the other, as they happened: a later one waits until the earlier one has come to
    /// its end.
    pub in_order: bool,
    /// Our own limit of requests; the configured one when absent.
    pub pace: Option<Pace>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

/// `http_method` (contract A.9.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum PostbackMethod {
    /// The default everywhere.
    #[default]
    Get,
    /// `POST`, with a body.
    Post,
}

/// `smart_link_scope` with its ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PostbackScope {
    /// Every link of the team.
    Global,
    /// The named ones.
    Links(Vec<SmartLinkId>),
}

impl PostbackScope {
    /// Whether conversions of `link` are in scope.
    #[must_use]
    pub fn covers(&self, link: SmartLinkId) -> bool {
        match self {
            Self::Global => true,
            Self::Links(links) => links.contains(&link),
        }
    }
}

/// Words by which a successful status is told from a success (ad-platforms 6): some trackers say `ERROR` with 200. Whole
/// words, in any case.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AnswerTexts {
    /// One of these means delivered; when there are any and none is found, the answer says nothing.
    pub success: Vec<String>,
    /// Where none of `success` is found, one of these means refused.
    pub failure: Vec<String>,
}

/// A header with a templated value (contract A.9.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderTemplate {
    /// RFC 7230 token, at most 100 characters; not templated.
    pub name: String,
    /// May contain variables; at most 2,000 characters.
    pub value: String,
}
