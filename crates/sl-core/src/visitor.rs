//! Who is the same visitor (decisions 49): fingerprints under keys derived from one installation secret, and the
//! cookie a visitor is given.
//!
//! A fingerprint is SHA-256 over IP prefix, `User-Agent`, `Accept-Language` and client hints, and again under a key. Two keys are
//! in use: the day's salt, for the edge's window, and a lasting one, for attribution. All come from the installation
//! secret by HKDF, so every edge computes the same.

use std::{fmt, net::IpAddr};

use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    click::{Class, Click, Rung, VisitorId},
    ids::{ClickId, PoolLinkId, SmartLinkId},
    time::Timestamp,
};

mod hash;
use hash::{Key, Text, half};

/// What a browser shows of itself without being asked. Absent headers are empty.
#[derive(Clone, Copy, Default)]
pub struct Features<'a> {
    /// The visitor's own address; cut to /32 (IPv4) or /64 (IPv6).
    pub ip: Option<IpAddr>,
    /// `User-Agent`, as far as it is recorded.
    pub user_agent: AgentDigest,
    /// `Accept-Language`.
    pub accept_language: &'a [u8],
    /// `Sec-CH-UA`.
    pub brands: &'a [u8],
    /// `Sec-CH-UA-Mobile`.
    pub mobile: &'a [u8],
    /// `Sec-CH-UA-Platform`.
    pub platform: &'a [u8],
}

/// What stands for a `User-Agent` in a fingerprint: half of its SHA-256. Millions of visitors share some thousand agents, so
/// whoever meets them often keeps it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AgentDigest([u8; 16]);

impl AgentDigest {
    /// The digest of a `User-Agent` header's value.
    #[must_use]
    pub fn of(user_agent: &[u8]) -> Self {
        Self(half(Sha256::digest(user_agent).into()))
    }
}

/// The digest of [`Features`]: hashed once, then put under each key. Never leaves the process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Traits([u8; 32]);

impl Traits {
    /// Hashes what the browser shows. Every part is preceded by its length, so that moving a byte from one header to
    /// the next changes the digest.
    #[must_use]
    pub fn of(features: &Features<'_>) -> Self {
        let mut text = Text::new();
        match features.ip.map(|ip| ip.to_canonical()) {
            Some(IpAddr::V4(ip)) => {
                text.add_few(&[4]);
                text.add_few(&ip.octets());
            }
            Some(IpAddr::V6(ip)) => {
                text.add_few(&[6]);
                text.add_few(&(u128::from(ip) & PREFIX_64).to_be_bytes());
            }
            None => text.add_few(&[0]),
        }
        text.add_few(&features.user_agent.0);
        for part in [features.accept_language, features.brands, features.mobile, features.platform] {
            // A header is far shorter than 4 GiB.
            text.add_few(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
            text.add(part);
        }
        Self(text.digest())
    }
}

/// A household has a /64, a machine in it changes the rest daily.
const PREFIX_64: u128 = u128::MAX << 64;

/// The installation secret, from which every key of this module is derived. At least 32 bytes; the same on every edge
/// of a cluster.
#[derive(Clone)]
pub struct InstallationSecret(Hkdf<Sha256>);

impl fmt::Debug for InstallationSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InstallationSecret")
    }
}

impl InstallationSecret {
    /// Takes the secret's bytes.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self(Hkdf::new(Some(b"smartlinks visitor keys"), secret))
    }

    fn key(&self, purpose: &[u8], number: i64) -> Key {
        let mut out = [0; 64];
        // 64 bytes are far below HKDF's limit of 255 blocks, the only way to fail.
        let _ = self.0.expand_multi_info(&[purpose, b"\0", &number.to_be_bytes()], &mut out);
        Key::of(&out)
    }
}

/// The keys in force on one UTC day. Derive it once a day, use it for every click.
#[derive(Clone)]
pub struct DayKeys {
    day: Timestamp,
    current: Key,
    previous: Key,
    lasting: Key,
    cookie: Key,
}

impl fmt::Debug for DayKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DayKeys({})", self.day.date())
    }
}

impl DayKeys {
    /// Keys of the UTC day that `now` lies in.
    #[must_use]
    #[cold]
    #[inline(never)]
    pub fn at(secret: &InstallationSecret, now: Timestamp) -> Self {
        let day = now.day();
        let number = day.0.div_euclid(DAY_MS);
        Self {
            day,
            current: secret.key(b"day", number),
            previous: secret.key(b"day", number - 1),
            lasting: secret.key(b"lasting", 0),
            cookie: secret.key(b"cookie", 0),
        }
    }

    /// Whether they are still the keys of `now`.
    #[must_use]
    pub fn covers(&self, now: Timestamp) -> bool {
        now.day() == self.day
    }

    /// Start of their day.
    #[must_use]
    pub fn day(&self) -> Timestamp {
        self.day
    }

    /// Fingerprint under the day's salt.
    #[must_use]
    pub fn daily(&self, traits: &Traits) -> VisitorId {
        self.current.id(traits.0)
    }

    /// Fingerprint under yesterday's salt: a repeat across the rotation is still a repeat (decisions 7).
    #[must_use]
    pub fn yesterday(&self, traits: &Traits) -> VisitorId {
        self.previous.id(traits.0)
    }

    /// Fingerprint under the lasting key, for attribution.
    #[must_use]
    pub fn lasting(&self, traits: &Traits) -> VisitorId {
        self.lasting.id(traits.0)
    }

    /// The cookie of the visitor whose first click is `click`: two cookieless taps get the same one.
    #[must_use]
    pub fn cookie(&self, click: ClickId) -> VisitorId {
        self.cookie.id(click.to_bytes())
    }
}

const DAY_MS: i64 = 86_400_000;

/// What makes two hits of one visitor the same click: the Smart Link and `ecid` (decisions 3). 64 bits of SHA-256 of the
/// `ecid`; no `ecid` is its own value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Target {
    /// The Smart Link.
    pub link: SmartLinkId,
    /// Digest of `ecid`, 0 without one.
    pub ecid: u64,
}

impl Target {
    /// Of a link and the decoded `ecid`. An unexpanded macro is no `ecid` for the binding key (decisions 36).
    #[must_use]
    pub fn new(link: SmartLinkId, ecid: Option<&str>) -> Self {
        let ecid = ecid.filter(|text| !is_unexpanded_macro(text)).map_or(0, |text| {
            let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
            let (head, _) = digest.split_at(8);
            head.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte))
        });
        Self { link, ecid }
    }
}

/// What every edge must know of a click, so that its visitor gets the same click and link from each of them
/// (decisions 53).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// The click.
    pub click: ClickId,
    /// The Smart Link and `ecid` that later hits must have to be the same visit.
    pub target: Target,
    /// When it was.
    pub at: Timestamp,
    /// The visitor's fingerprint of that day.
    pub daily: VisitorId,
    /// The cookie the visitor was given.
    pub given: Option<VisitorId>,
    /// Which step of the pool ladder answered.
    pub rung: Rung,
    /// The link handed out, if any.
    pub pool_link: Option<PoolLinkId>,
    /// Where a link of the visitor's own leads.
    pub sent_to: Option<Box<str>>,
}

impl Visit {
    /// What is remembered of a click; `None` for a bot, which doesn't come again.
    #[must_use]
    pub fn of(click: &Click) -> Option<Self> {
        (click.class == Class::Person).then(|| Self {
            click: click.id,
            target: Target::new(click.link, click.params.ecid.as_deref()),
            at: click.at,
            daily: click.visitor.daily,
            given: click.visitor.given,
            rung: click.rung,
            pool_link: click.pool_link,
            sent_to: click.sent_to.clone(),
        })
    }
}

/// Whether a value is a macro that the ad platform did not replace, and so counts as absent (ad-platforms 1.2): after
/// trimming, the whole of it is `{…}`, `__…__`, `${…}`, `[…]` or `%…%`.
#[must_use]
pub fn is_unexpanded_macro(value: &str) -> bool {
    let value = value.trim();
    [("{", "}"), ("__", "__"), ("${", "}"), ("[", "]"), ("%", "%")].iter().any(|(open, close)| {
        value.len() > open.len() + close.len() && value.starts_with(open) && value.ends_with(close)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(now: Timestamp) -> DayKeys {
        DayKeys::at(&InstallationSecret::new(&[7; 32]), now)
    }

    fn traits(ip: &str, agent: &str) -> Traits {
        Traits::of(&Features {
            ip: ip.parse().ok(),
            user_agent: AgentDigest::of(agent.as_bytes()),
            accept_language: b"en-GB",
            ..Features::default()
        })
    }

    const NOON: Timestamp = Timestamp(20_000 * DAY_MS + DAY_MS / 2);

    #[test]
    fn another_address_or_agent_is_another_visitor() {
        let keys = keys(NOON);
        let one = keys.daily(&traits("203.0.113.7", "Safari"));
        assert_eq!(one, keys.daily(&traits("203.0.113.7", "Safari")));
        assert_ne!(one, keys.daily(&traits("203.0.113.8", "Safari")));
        assert_ne!(one, keys.daily(&traits("203.0.113.7", "Chrome")));
    }

    #[test]
    fn an_ipv6_visitor_keeps_its_key_inside_its_64() {
        let keys = keys(NOON);
        let one = keys.daily(&traits("2001:db8:1:2::7", "Safari"));
        assert_eq!(one, keys.daily(&traits("2001:db8:1:2:ffff::9", "Safari")));
        assert_ne!(one, keys.daily(&traits("2001:db8:1:3::7", "Safari")));
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_one() {
        let keys = keys(NOON);
        assert_eq!(keys.daily(&traits("::ffff:203.0.113.7", "x")), keys.daily(&traits("203.0.113.7", "x")));
    }

    #[test]
    fn headers_do_not_flow_into_each_other() {
        let a = Traits::of(&Features { accept_language: b"ab", brands: b"c", ..Features::default() });
        let b = Traits::of(&Features { accept_language: b"a", brands: b"bc", ..Features::default() });
        assert!(a != b);
    }

    #[test]
    fn yesterdays_salt_finds_a_visitor_across_midnight_and_the_lasting_key_does_not_move() {
        let seen = traits("203.0.113.7", "Safari");
        let (before, after) = (keys(NOON), keys(Timestamp(NOON.0 + DAY_MS)));
        assert_ne!(before.daily(&seen), after.daily(&seen));
        assert_eq!(before.daily(&seen), after.yesterday(&seen));
        assert_eq!(before.lasting(&seen), after.lasting(&seen));
        assert_ne!(before.lasting(&seen), before.daily(&seen));
        assert!(before.covers(NOON) && !before.covers(Timestamp(NOON.0 + DAY_MS)));
    }

    #[test]
    fn the_cookie_is_a_function_of_the_first_click_and_the_secret() {
        let click = ClickId::from_bytes([3; 16]);
        assert_eq!(keys(NOON).cookie(click), keys(Timestamp(0)).cookie(click));
        let other = DayKeys::at(&InstallationSecret::new(&[8; 32]), NOON);
        assert_ne!(keys(NOON).cookie(click), other.cookie(click));
        assert_ne!(keys(NOON).cookie(click).0, click.0.0, "a cookie does not give the click id away");
    }

    #[test]
    fn ecid_is_part_of_the_target() {
        let link = SmartLinkId::from_bytes([1; 16]);
        assert_eq!(Target::new(link, Some("a")), Target::new(link, Some("a")));
        assert_ne!(Target::new(link, Some("a")), Target::new(link, Some("b")));
        assert_ne!(Target::new(link, Some("a")), Target::new(link, None));
        assert_eq!(
            Target::new(link, Some("{{ad.id}}")),
            Target::new(link, None),
            "an unexpanded macro is absent"
        );
    }

    #[test]
    fn unexpanded_macros_are_told_from_values() {
        for text in ["{clickid}", "{{ad.id}}", " __CLICKID__ ", "${CID}", "[cid]", "%cid%"] {
            assert!(is_unexpanded_macro(text), "{text}");
        }
        for text in ["", "abc", "{", "{}", "__", "a{b}", "50%", "_x_"] {
            assert!(!is_unexpanded_macro(text), "{text}");
        }
    }
}
