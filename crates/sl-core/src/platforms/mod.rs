//! The ad platforms, as far as decisions know them: data, one file each, and one line below.
//!
//! How an event is written for one, and what its answers mean, is in `sl-postback`.

mod creatortraffic;
mod meta;
mod snapchat;
mod tiktok;

use serde::{Deserialize, Serialize};

use crate::{
    identity::Identity,
    lint::{Subject, Warning},
};

/// Registers platforms: the kind, its file, and in the order in which they are stored and listed.
macro_rules! platforms {
    ($($(#[$doc:meta])+ $kind:ident => $file:ident;)+) => {
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
    };
}

platforms! {
    /// Meta Conversions API.
    Meta => meta;
    /// TikTok Events API.
    Tiktok => tiktok;
    /// Snapchat Conversions API.
    Snapchat => snapchat;
    /// CreatorTraffic.
    Creatortraffic => creatortraffic;
}

/// What decisions know of a platform.
#[derive(Debug)]
pub struct Facts {
    /// The wire word.
    pub word: &'static str,
    /// As people write it.
    pub name: &'static str,
    /// What a new pixel sends unless told otherwise (contract G.2).
    pub usual: Usual,
    /// It is told of new subscribers, whatever the pixel's map says (contract G.2).
    pub subscribers_only: bool,
    /// Its pixels have an id beside the token.
    pub has_pixel_id: bool,
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

/// By what a platform recognises people (ad-platforms 13.1 to 13.3).
#[derive(Debug)]
pub struct Person {
    /// Its own click id.
    pub click_id: fn(&Identity) -> bool,
    /// Its own browser id.
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
    /// Each of four: country, region, city, postal code.
    pub place: u8,
}

/// How test events are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tests {
    /// Under a code that the caller has from the platform.
    WithCode,
    /// Through a channel of their own.
    Apart,
    /// It knows none.
    None,
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
