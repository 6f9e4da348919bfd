//! Typed identifiers. One id never stands in for another.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest, Sha256};
use ulid::Ulid;

use crate::time::Timestamp;

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not a {kind}: {reason}")]
pub struct BadId {
    /// What was wanted, in the words of the API ("smart link id").
    pub kind: &'static str,
    /// The text as given, cut to 64 characters.
    pub value: String,
    /// What an id of this kind looks like.
    pub reason: &'static str,
}

impl BadId {
    fn new(kind: &'static str, value: &str, reason: &'static str) -> Self {
        Self { kind, value: value.chars().take(64).collect(), reason }
    }
}

macro_rules! ulid_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $case:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Ulid);

        /// Text for people, 16 bytes for stores.
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    // As a run of bytes: an array is written one by one.
                    serializer.serialize_bytes(&self.to_bytes())
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
                } else {
                    crate::pack::sixteen(deserializer).map(Self::from_bytes)
                }
            }
        }

        impl $name {
            /// The 16 bytes, most significant first: they sort like the text.
            #[must_use]
            pub fn to_bytes(self) -> [u8; 16] {
                self.0.to_bytes()
            }

            /// Reads what [`Self::to_bytes`] wrote.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Ulid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0.to_string().$case())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            /// Any letter case is accepted.
            fn from_str(text: &str) -> Result<Self, BadId> {
                if text.len() != 26 {
                    return Err(BadId::new($kind, text, "it has 26 characters of Crockford base32"));
                }
                Ulid::from_string(text)
                    .map(Self)
                    .map_err(|_| BadId::new($kind, text, "it has 26 characters of Crockford base32"))
            }
        }

    };
}

ulid_id!(
    /// A Smart Link: 26 upper-case characters of Crockford base32 (contract 0.2).
    SmartLinkId, "smart link id", to_ascii_uppercase
);
ulid_id!(
    /// A click, minted once at the edge. Printed in lower case (contract C.1).
    ClickId, "click id", to_ascii_lowercase
);
ulid_id!(
    /// A conversion: its time and a hash of what caused it, so that a replay derives the same one.
    ConversionId, "conversion id", to_ascii_uppercase
);
ulid_id!(
    /// One delivery: derived from the event and the destination.
    DeliveryId, "delivery id", to_ascii_uppercase
);
ulid_id!(
    /// A replay that somebody asked for.
    ReplayId, "replay id", to_ascii_uppercase
);
ulid_id!(
    /// A webhook kept because it could not be used: made of its time and a hash of it, so that ids sort as they arrived.
    DeadLetterId, "dead letter id", to_ascii_uppercase
);

impl DeadLetterId {
    /// When the webhook arrived. The id alone says where the letter stood in the list, also when it has left it.
    #[must_use]
    pub fn received_at(self) -> Timestamp {
        Timestamp(self.0.timestamp_ms().cast_signed())
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Arc<str>);

        /// Copies of one id are told by where they lie.
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
            }
        }

        impl std::hash::Hash for $name {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                self.0.hash(state);
            }
        }

        impl $name {
            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(Arc::from(text))
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(Arc::from(text))
            }
        }
    };
}

text_id!(
    /// A connected creator account, `acct_` and opaque characters (contract 0.2).
    AccountId
);

impl AccountId {
    /// First 8 bytes of its SHA-256: stands for it in names of what there are very many of. Of a million accounts two
    /// share it once in 37 million installations.
    #[must_use]
    pub fn digest(&self) -> [u8; 8] {
        let digest: [u8; 32] = Sha256::digest(self.0.as_bytes()).into();
        digest.first_chunk::<8>().copied().unwrap_or_default()
    }
}

text_id!(
    /// A fan's user id at the creator platform. Some payloads carry a number: always normalised to text.
    FanId
);
text_id!(
    /// A transaction id of the creator platform.
    TransactionId
);
text_id!(
    /// A message id of the creator platform.
    MessageId
);

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

number_id!(
    /// A team: owns every row, key and query. The first team is 1.
    TeamId
);
number_id!(
    /// A pixel, counted per installation from 1.
    PixelId
);
number_id!(
    /// A postback, counted per installation from 1.
    PostbackId
);
number_id!(
    /// An API key (its public number, never the secret).
    ApiKeyId
);

/// A subscription link of the creator platform: the platform numbers tracking links and trial links apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PoolLinkId {
    /// Which of the two number ranges.
    pub kind: LinkKind,
    /// The platform's number.
    pub number: u64,
}

/// The two kinds of subscription link (contract A.5 `link_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// Ordinary tracking link, may be recycled.
    TrackingLink,
    /// Free-trial link, single use.
    FreeTrial,
}

impl LinkKind {
    /// The wire word: `tracking_link` or `free_trial`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TrackingLink => "tracking_link",
            Self::FreeTrial => "free_trial",
        }
    }
}

impl fmt::Display for PoolLinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = match self.kind {
            LinkKind::TrackingLink => 'c',
            LinkKind::FreeTrial => 't',
        };
        write!(f, "{letter}{}", self.number)
    }
}

impl fmt::Debug for PoolLinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for PoolLinkId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = || BadId::new("pool link id", text, "it is `c` or `t` and the platform's number");
        let (kind, digits) = match text.split_at_checked(1) {
            Some(("c", digits)) => (LinkKind::TrackingLink, digits),
            Some(("t", digits)) => (LinkKind::FreeTrial, digits),
            _ => return Err(bad()),
        };
        digits.parse().map(|number| Self { kind, number }).map_err(|_| bad())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smart_link_id_is_read_in_any_letter_case_and_printed_upper() {
        let id: SmartLinkId = "01kz4m8q2t7v9w3x5y6b1c0def".parse().unwrap();
        assert_eq!(id.to_string(), "01KZ4M8Q2T7V9W3X5Y6B1C0DEF");
        assert!("01KZ4M8Q2T7V9W3X5Y6B1C0DE".parse::<SmartLinkId>().is_err());
        assert!("!1KZ4M8Q2T7V9W3X5Y6B1C0DEF".parse::<SmartLinkId>().is_err());
    }

    #[test]
    fn a_click_id_is_printed_in_lower_case() {
        let id: ClickId = "01KZ5A1B2C3D4E5F6G7H8J9K0M".parse().unwrap();
        assert_eq!(id.to_string(), "01kz5a1b2c3d4e5f6g7h8j9k0m");
        assert_eq!(ClickId::from_bytes(id.to_bytes()), id);
    }

    #[test]
    fn pool_links_of_the_two_kinds_never_collide() {
        let tracking: PoolLinkId = "c7".parse().unwrap();
        let trial: PoolLinkId = "t7".parse().unwrap();
        assert_ne!(tracking, trial);
        assert_eq!(tracking.to_string(), "c7");
        assert!("7".parse::<PoolLinkId>().is_err());
    }
}
