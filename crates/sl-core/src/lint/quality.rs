//! How well a platform can recognise the person (ad-platforms 13.1 to 13.3).

use serde::{Deserialize, Serialize};

use crate::{catalog::PlatformKind, identity::Identity};

/// Which identifiers of its person an event had, one bit each in the order of [`Known::NAMES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Known(u16);

impl Known {
    /// What there is to know. `click_id` and `browser_id` are the platform's own.
    pub const NAMES: [&str; 10] = [
        "click_id",
        "browser_id",
        "ip",
        "ipv6",
        "user_agent",
        "external_id",
        "country",
        "region",
        "city",
        "postal_code",
    ];

    /// Which identifiers of a person the platform can use.
    #[must_use]
    pub fn of(platform: PlatformKind, person: &Identity) -> Self {
        let Some(own) = &platform.facts().person else { return Self::default() };
        let has = [
            (own.click_id)(person),
            (own.browser_id)(person),
            person.ip.is_some(),
            person.ip.as_deref().is_some_and(|ip| ip.contains(':')),
            person.user_agent.is_some(),
            person.external_id.is_some(),
            person.country.is_some(),
            person.region.is_some(),
            person.city.is_some(),
            person.postal_code.is_some(),
        ];
        Self((0..).zip(has).map(|(bit, has): (u32, bool)| u16::from(has) << bit).sum())
    }

    /// Names of what was there.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES
            .into_iter()
            .enumerate()
            .filter(move |(bit, _)| self.0 >> bit & 1 == 1)
            .map(|(_, name)| name)
    }

    fn has(self, name: &str) -> bool {
        self.names().any(|known| known == name)
    }
}

/// What helps a platform to recognise the person, in tenths of its score and in its own order. Without e-mail, phone and
/// name there is no more than 70 of 100; `None` where the person is not what is matched.
#[must_use]
pub fn match_quality(platform: PlatformKind, known: Known) -> Option<u8> {
    let worth = &platform.facts().person.as_ref()?.worth;
    let of = |name: &str, tenths: u8| if known.has(name) { tenths } else { 0 };
    let pair =
        if known.has("user_agent") { of("ip", worth.ip_and_user_agent) + of("ipv6", worth.ipv6) } else { 0 };
    let places: u8 =
        ["country", "region", "city", "postal_code"].iter().map(|name| of(name, worth.place)).sum();
    let own = of("click_id", worth.click_id) + of("browser_id", worth.browser_id);
    Some(own + pair + of("external_id", worth.external_id) + places)
}
