//! A click: what the edge knows about one hit of one person or bot, minted once.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    ids::{AccountId, BadId, ClickId, PoolLinkId, SmartLinkId, TeamId},
    pack,
    time::Timestamp,
};

mod kept;
pub use kept::{AdCookies, Params};

/// How a request was understood (decisions 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Somebody's own visit.
    Person,
    /// The same visitor, link and `ecid` again inside the visitor window: no row of its own.
    Repeat,
    /// Crawler, link preview, monitoring: a row, but no pool link and no count.
    Bot,
    /// Prefetch or HEAD: neither row nor link.
    Speculative,
}

impl Class {
    /// Label of metrics and summaries.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Repeat => "repeat",
            Self::Bot => "bot",
            Self::Speculative => "speculative",
        }
    }
}

/// Which step of the pool ladder answered (architecture 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// A link that nobody ever held.
    Fresh,
    /// A link whose former visitor's window and quarantine are over and who did not subscribe.
    Recycled,
    /// The Smart Link's one shared link: credit reaches the Smart Link, not the click.
    Overflow,
    /// The creator's page.
    Profile,
}

impl Rung {
    /// Label of metrics and summaries.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Recycled => "recycled",
            Self::Overflow => "overflow",
            Self::Profile => "profile",
        }
    }

    /// Whether the visitor got a link of their own, so that who subscribes through it is this visitor.
    #[must_use]
    pub fn is_own(self) -> bool {
        matches!(self, Self::Fresh | Self::Recycled)
    }
}

/// A random-looking 128-bit visitor identity, as in the first-party cookie: 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VisitorId(pub u128);

/// Digits where people read it, 16 bytes in stores. JSON has no number this long.
impl Serialize for VisitorId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_bytes(&self.0.to_be_bytes())
        }
    }
}

impl<'de> Deserialize<'de> for VisitorId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
        } else {
            pack::sixteen(deserializer).map(|bytes| Self(u128::from_be_bytes(bytes)))
        }
    }
}

impl fmt::Display for VisitorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for VisitorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for VisitorId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = || BadId {
            kind: "visitor id",
            value: text.chars().take(64).collect(),
            reason: "it has 32 hexadecimal digits",
        };
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(bad());
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| bad())
    }
}

/// Everything by which a visitor can be recognised (decisions 49).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VisitorKeys {
    /// The cookie the browser returned.
    pub came_with: Option<VisitorId>,
    /// The cookie this answer sets: a keyed hash of the visitor's first click, so that two cookieless taps get the
    /// same one. `None` when cookies are switched off.
    pub given: Option<VisitorId>,
    /// Fingerprint under the day's salt: what the edge's window finds a cookieless visitor by.
    pub daily: VisitorId,
    /// Fingerprint under a lasting key, for attribution only; erased with `retention.truncate_ip_after`.
    pub lasting: Option<VisitorId>,
}

/// One click, as it goes into the journal. Kept whole: contract A.6.9 (30 fields) and what ad platforms need later
/// (ad-platforms 1.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Click {
    /// Minted at the edge.
    pub id: ClickId,
    /// Owner of the link.
    pub team: TeamId,
    /// Creator account of the link.
    pub account: AccountId,
    /// The Smart Link that was visited.
    pub link: SmartLinkId,
    /// When the request was read.
    pub at: Timestamp,
    /// Attribution window of the link at that moment (decisions 51: what decides is in the stream).
    pub window: Duration,
    /// [`Class::Person`] or [`Class::Bot`]; the others have no row.
    pub class: Class,
    /// Which step of the pool ladder gave the address the visitor was sent to.
    pub rung: Rung,
    /// The link handed out, for [`Rung::Fresh`], [`Rung::Recycled`] and [`Rung::Overflow`].
    pub pool_link: Option<PoolLinkId>,
    /// Where a link of the visitor's own leads: for the edge, when the visitor comes again. The journal has it, stores don't
    /// keep it.
    #[serde(skip)]
    pub sent_to: Option<Box<str>>,
    /// Keys by which the visitor is recognised.
    pub visitor: VisitorKeys,
    /// What the browser sent.
    pub request: RequestFacts,
    /// What the user agent says.
    pub device: Device,
    /// What the visitor's address says of where it is.
    pub place: Place,
    /// Tracking parameters of the query (contract B.2).
    pub params: Params,
    /// Ad platforms' own cookies (ad-platforms 1.2).
    pub cookies: AdCookies,
}

// === impl Click ===

impl Click {
    /// The pool link, if it is this visitor's alone.
    #[must_use]
    pub fn own_link(&self) -> Option<PoolLinkId> {
        self.pool_link.filter(|_| self.rung.is_own())
    }

    /// The visitor's address; `None` also once [`Click::forget_person`] has left only its network, which is nobody's: a platform
    /// would take all of it for one person.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.request.ip.filter(|_| !self.is_forgotten())
    }

    /// Leaves the network of the visitor's address (/24, /48) and no lasting fingerprint (decisions 49).
    pub fn forget_person(&mut self) {
        self.request.ip = self.request.ip.map(network);
        self.visitor.lasting = None;
    }

    /// Whether [`Click::forget_person`] would change nothing.
    #[must_use]
    pub fn is_forgotten(&self) -> bool {
        self.visitor.lasting.is_none() && self.request.ip.is_none_or(|ip| network(ip) == ip)
    }
}

fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() & (u32::MAX << 8)).into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 80)).into(),
    }
}

/// The request behind a click. Values are the visitor's own, never the proxy's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RequestFacts {
    /// Path and query as requested, `/go/…?…`; the origin is `edge.public_url`.
    pub target: String,
    /// The visitor's address (trusted proxies already looked through).
    pub ip: Option<IpAddr>,
    /// `User-Agent`, cut to 1,024 bytes.
    pub user_agent: String,
    /// Host of `Referer`, without scheme (contract A.6.9).
    pub referrer: Option<String>,
    /// `Accept-Language`, cut to 256 bytes.
    pub accept_language: Option<String>,
}

/// Device and browser (contract A.6.9), as woothee names them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Device {
    /// `Desktop`, `Mobile`, `Tablet`, `Bot` or `Unknown`.
    pub kind: String,
    /// `Chrome`, `Instagram`, …
    pub browser: String,
    /// Engine family: `Chrome`, `Safari`, …
    pub family: String,
    /// `iOS`, `Android`, `macOS`, …
    pub platform: String,
}

/// Where an IP address is, as far as databases know.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Place {
    /// ISO 3166-1 alpha-2, upper case.
    pub country: Option<String>,
    /// ISO 3166-2 subdivision, when a city database is configured.
    pub region: Option<String>,
    /// City name, likewise.
    pub city: Option<String>,
    /// Postal code, likewise.
    pub postal_code: Option<String>,
}

/// The same visitor, link and `ecid` again inside the visitor window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeat {
    /// The click it repeats.
    pub click: ClickId,
    /// Link of that click.
    pub link: SmartLinkId,
    /// When the request was read.
    pub at: Timestamp,
    /// Pool link of that click, if it has one of its own.
    pub pool_link: Option<PoolLinkId>,
    /// Keys by which the visitor is recognised, as this request had them.
    pub visitor: VisitorKeys,
}

/// A click with what attribution added to it: one row of `/clicks`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClickRow {
    /// The click as journaled; the event's own, so that a decision copies none.
    pub click: Arc<Click>,
    /// Raw hits behind this row, at least 1.
    pub gross_clicks: u32,
    /// It should have been a repeat but was answered apart (decisions 3).
    pub is_duplicate: bool,
}
