//! The ad platforms, one file each, and one line below: what decisions know of it ([`Facts`]), how an event is written for it, and
//! what its answers mean ([`AdPlatform`]). All of it is pure; `sl-postback` sends.

mod ad_platform;
mod creatortraffic;
mod members;
mod meta;
mod shared;
mod snapchat;
mod tiktok;

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

pub use ad_platform::{AdPlatform, Answer, Channel, Event, Skip, Verdict, value};

use crate::{
    identity::Identity,
    lint::{Subject, Warning},
};

/// Registers platforms, in the order in which they are stored and listed: the kind, its file, and the type in it. (The file's `mod`
/// is above, where rustfmt finds it.)
macro_rules! platforms {
    ($($(#[$doc:meta])+ $kind:ident => $file:ident::$platform:ident;)+) => {
        $(pub use $file::$platform;)+

        /// The ad platforms of contract G.1.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum PlatformKind {
            $($(#[$doc])+ $kind,)+
        }

        impl PlatformKind {
            /// In the order of contract G.1.
            pub const ALL: [Self; [$(Self::$kind),+].len()] = [$(Self::$kind),+];

            /// What decisions know of it.
            #[must_use]
            pub fn facts(self) -> &'static Facts {
                match self {
                    $(Self::$kind => &$file::FACTS,)+
                }
            }
        }

        impl Platforms {
            /// Those that are configured.
            #[must_use]
            pub fn configured(settings: impl Fn(PlatformKind) -> Option<Settings>) -> Self {
                let mut all = Self::default();
                $(if let Some(settings) = settings(PlatformKind::$kind) {
                    all = all.with($platform::configured(&settings));
                })+
                all
            }
        }
    };
}

platforms! {
    /// Meta Conversions API.
    Meta => meta::Meta;
    /// TikTok Events API.
    Tiktok => tiktok::TikTok;
    /// Snapchat Conversions API.
    Snapchat => snapchat::Snapchat;
    /// CreatorTraffic.
    Creatortraffic => creatortraffic::CreatorTraffic;
}

/// What decisions know of a platform.
#[derive(Debug)]
pub struct Facts {
    /// The wire word.
    pub word: &'static str,
    /// Its name as people write it.
    pub name: &'static str,
    /// What a new pixel sends unless told otherwise (contract G.2).
    pub usual: Usual,
    /// It is told of new subscribers, whatever the pixel's map says (contract G.2).
    pub subscribers_only: bool,
    /// Its pixels have an id beside the token.
    pub has_pixel_id: bool,
    /// Why a pixel's id can't be one of its own; the id is shown before these words. It is saved all the same.
    pub odd_pixel_id: fn(&str) -> Option<&'static str>,
    /// Why it is not told of somebody who came without a click (decisions 55): there is nothing to know the person by
    /// (ad-platforms 1.7).
    pub without_click: &'static str,
    /// By what it recognises people; `None` where the person is not what is matched.
    pub person: Option<Person>,
    /// Days after which it no longer credits a click, where it says so.
    pub credits_days: Option<u32>,
    /// What is odd about an event for this platform alone.
    pub odd: fn(&Subject<'_>, &mut Vec<Warning>),
    /// Why it may not know an event of this name; the name is shown before these words.
    pub odd_name: fn(&str) -> Option<&'static str>,
    /// What an event may be called that has no name of its own.
    pub any_name: &'static str,
    /// How test events are sent (contract A.8.3).
    pub tests: Tests,
    /// Its interface has versions, of which one is configured.
    pub has_version: bool,
    /// Most days that may be configured as the age up to which events are sent; `None` where there is nothing to configure.
    pub most_days: Option<u32>,
    /// Everybody sends to one address. Otherwise its pixels wait until the operator has set one.
    pub has_public_address: bool,
}

/// What an operator configures of a platform.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// An origin, or the whole address where there is no public one; empty for none.
    pub base_url: String,
    /// Version of the interface, for platforms that have versions.
    pub version: Option<String>,
    /// Age up to which events are sent, where that is configured.
    pub max_age: Option<Duration>,
}

/// The platforms this installation can deliver to.
#[derive(Clone, Default)]
pub struct Platforms(Vec<Arc<dyn AdPlatform>>);

impl Platforms {
    /// Adds a platform.
    #[must_use]
    pub fn with(mut self, platform: impl AdPlatform) -> Self {
        self.0.push(Arc::new(platform));
        self
    }

    /// The platform of a pixel, if this installation can deliver to it.
    #[must_use]
    pub fn get(&self, kind: PlatformKind) -> Option<&Arc<dyn AdPlatform>> {
        self.0.iter().find(|platform| platform.kind() == kind)
    }
}

/// Names of events (contract G.2); `None` for off, as every event is that is not here.
#[derive(Debug)]
pub struct Usual {
    /// `event_click`.
    pub click: Option<&'static str>,
    /// `event_new_subscriber`.
    pub subscriber: Option<&'static str>,
    /// `event_first_transaction` and `event_new_transaction`.
    pub purchase: Option<&'static str>,
    /// `event_fan_sent_3_messages`.
    pub third_message: Option<&'static str>,
}

/// What a platform recognises people by (ad-platforms 13.1 to 13.3).
#[derive(Debug)]
pub struct Person {
    /// Whether the person has the platform's own click id.
    pub click_id: fn(&Identity) -> bool,
    /// Whether the person has the platform's own browser id.
    pub browser_id: fn(&Identity) -> bool,
    /// What each is worth, in tenths of its score.
    pub worth: Worth,
}

/// Tenths of a platform's score of 10. Address and agent count together only.
#[derive(Debug)]
#[expect(missing_docs, reason = "the field names are those of `lint::Known::NAMES`")]
pub struct Worth {
    pub click_id: u8,
    pub browser_id: u8,
    pub ip_and_user_agent: u8,
    pub ipv6: u8,
    pub external_id: u8,
    /// What each of country, region, city and postal code is worth.
    pub place: u8,
}

/// How test events are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tests {
    /// Under a code that the caller has from the platform.
    WithCode,
    /// Through a channel of their own.
    Apart,
    /// The platform has no test events.
    None,
}

/// The platform's (or our own) words against a test event, secrets blanked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TestRefused {
    /// The pixel's token is what has to be mended.
    #[error("{0}")]
    Token(String),
    /// Something else about the event.
    #[error("{0}")]
    Event(String),
}

// === impl PlatformKind ===

impl PlatformKind {
    /// The wire word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.facts().word
    }

    /// All wire words, for people.
    #[must_use]
    pub fn words() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }

    /// Reads the wire word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Whether a text is the version of an interface, `v3` or `v1.3`: a part of its addresses.
#[must_use]
pub fn is_version(text: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.strip_prefix('v').is_some_and(|numbers| numbers.split('.').all(is_number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_platform_is_stored_under_its_wire_word() {
        for kind in PlatformKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert_eq!(PlatformKind::from_word(kind.as_str()), Some(kind));
        }
    }
}
