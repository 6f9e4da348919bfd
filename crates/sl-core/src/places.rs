//! Places and outside ids as ad platforms want them before hashing (ad-platforms 1.3).

use std::net::IpAddr;

use unicode_normalization::UnicodeNormalization;

use crate::visitor::is_unexpanded_macro;

/// ISO 3166-1 alpha-2, lower case; `None` when it is none.
#[must_use]
pub fn country(value: &str) -> Option<String> {
    let value = value.trim().to_ascii_lowercase();
    let letters = value.len() == 2 && value.bytes().all(|byte| byte.is_ascii_lowercase());
    (letters && value != "xx" && value != "zz").then_some(value)
}

/// Region: without the country's prefix, US states as their two letters, then letters and digits only.
#[must_use]
pub fn region(value: &str, country: Option<&str>) -> Option<String> {
    let value = value.trim();
    let rest = value
        .split_once('-')
        .filter(|(prefix, _)| country.is_some_and(|own| prefix.eq_ignore_ascii_case(own)));
    let value = rest.map_or(value, |(_, rest)| rest);
    let state = (country == Some("us"))
        .then(|| US_STATES.iter().find(|(_, name)| name.eq_ignore_ascii_case(value)))
        .flatten();
    kept(state.map_or(value, |(code, _)| code), char::is_alphanumeric)
}

/// City: letters only, accents stay.
#[must_use]
pub fn city(value: &str) -> Option<String> {
    kept(value, char::is_alphabetic)
}

/// Postal code: five digits in the US, elsewhere without spaces and dashes.
#[must_use]
pub fn postal_code(value: &str, country: Option<&str>) -> Option<String> {
    let compact: String =
        value.chars().filter(|char| !char.is_whitespace()).flat_map(char::to_lowercase).collect();
    let code: String = if country == Some("us") {
        compact.split('-').next().unwrap_or_default().chars().take(5).collect()
    } else {
        compact.replace('-', "")
    };
    (code.chars().count() >= 2).then_some(code)
}

/// An id of somebody else's: without white space, lower case; an unreplaced macro is none.
#[must_use]
pub fn external_id(value: &str) -> Option<String> {
    if is_unexpanded_macro(value) {
        return None;
    }
    let id: String =
        value.chars().filter(|char| !char.is_whitespace()).flat_map(char::to_lowercase).collect();
    (!id.is_empty()).then_some(id)
}

/// The visitor's address in canonical form; `None` for one that is nobody's on the internet. Documentation ranges stay.
#[must_use]
pub fn address(ip: IpAddr) -> Option<String> {
    let ip = ip.to_canonical();
    let nobodys = match ip {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            let shared = first == 100 && (64..128).contains(&second);
            first == 0
                || shared
                || ip.is_loopback()
                || ip.is_private()
                || ip.is_link_local()
                || ip.is_multicast()
        }
        IpAddr::V6(ip) => {
            ip.is_unspecified()
                || ip.is_loopback()
                || ip.is_multicast()
                || ip.is_unique_local()
                || ip.is_unicast_link_local()
        }
    };
    (!nobodys).then(|| ip.to_string())
}

fn kept(value: &str, keep: impl Fn(char) -> bool) -> Option<String> {
    let text: String = value.trim().nfc().flat_map(char::to_lowercase).filter(|char| keep(*char)).collect();
    (!text.is_empty()).then_some(text)
}

/// USPS codes and names.
const US_STATES: [(&str, &str); 56] = [
    ("al", "Alabama"),
    ("ak", "Alaska"),
    ("az", "Arizona"),
    ("ar", "Arkansas"),
    ("ca", "California"),
    ("co", "Colorado"),
    ("ct", "Connecticut"),
    ("de", "Delaware"),
    ("dc", "District of Columbia"),
    ("fl", "Florida"),
    ("ga", "Georgia"),
    ("hi", "Hawaii"),
    ("id", "Idaho"),
    ("il", "Illinois"),
    ("in", "Indiana"),
    ("ia", "Iowa"),
    ("ks", "Kansas"),
    ("ky", "Kentucky"),
    ("la", "Louisiana"),
    ("me", "Maine"),
    ("md", "Maryland"),
    ("ma", "Massachusetts"),
    ("mi", "Michigan"),
    ("mn", "Minnesota"),
    ("ms", "Mississippi"),
    ("mo", "Missouri"),
    ("mt", "Montana"),
    ("ne", "Nebraska"),
    ("nv", "Nevada"),
    ("nh", "New Hampshire"),
    ("nj", "New Jersey"),
    ("nm", "New Mexico"),
    ("ny", "New York"),
    ("nc", "North Carolina"),
    ("nd", "North Dakota"),
    ("oh", "Ohio"),
    ("ok", "Oklahoma"),
    ("or", "Oregon"),
    ("pa", "Pennsylvania"),
    ("ri", "Rhode Island"),
    ("sc", "South Carolina"),
    ("sd", "South Dakota"),
    ("tn", "Tennessee"),
    ("tx", "Texas"),
    ("ut", "Utah"),
    ("vt", "Vermont"),
    ("va", "Virginia"),
    ("wa", "Washington"),
    ("wv", "West Virginia"),
    ("wi", "Wisconsin"),
    ("wy", "Wyoming"),
    ("as", "American Samoa"),
    ("gu", "Guam"),
    ("mp", "Northern Mariana Islands"),
    ("pr", "Puerto Rico"),
    ("vi", "U.S. Virgin Islands"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_are_two_letters_or_nothing() {
        let cases =
            [("US", Some("us")), (" br ", Some("br")), ("XX", None), ("USA", None), ("Gb", Some("gb"))];
        for (given, want) in cases {
            assert_eq!(country(given).as_deref(), want, "{given}");
        }
    }

    #[test]
    fn regions_lose_their_country_and_states_get_their_letters() {
        for (of, given, want) in [
            ("us", "US-CA", "ca"),
            ("us", "Texas", "tx"),
            ("us", "New York", "ny"),
            ("br", "São Paulo", "sãopaulo"),
            ("tr", "TR-35", "35"),
            ("fr", "Île-de-France", "îledefrance"),
            ("gb", "England", "england"),
            ("jp", "大阪府", "大阪府"),
        ] {
            assert_eq!(region(given, Some(of)).as_deref(), Some(want), "{given}");
        }
    }

    #[test]
    fn cities_keep_their_letters_and_accents() {
        for (given, want) in [
            ("San Francisco", Some("sanfrancisco")),
            ("St. Louis", Some("stlouis")),
            ("Coeur d'Alene", Some("coeurdalene")),
            ("Saint-Étienne", Some("saintétienne")),
            ("İzmir", Some("izmir")),
            ("Krako\u{301}w", Some("kraków")),
            ("大阪", Some("大阪")),
            ("12", None),
        ] {
            assert_eq!(city(given).as_deref(), want, "{given}");
        }
    }

    #[test]
    fn postal_codes_follow_their_country() {
        for (of, given, want) in [
            ("us", "94107-1234", Some("94107")),
            ("gb", "SW1A 1AA", Some("sw1a1aa")),
            ("ca", "M5V 2T6", Some("m5v2t6")),
            ("jp", "530-0001", Some("5300001")),
            ("us", "9", None),
        ] {
            assert_eq!(postal_code(given, Some(of)).as_deref(), want, "{given}");
        }
    }

    #[test]
    fn outside_ids_are_compact_and_macros_are_none() {
        for (given, want) in [
            ("Ad 123-XYZ", Some("ad123-xyz")),
            ("  CLK-778899 ", Some("clk-778899")),
            ("ФАН 12", Some("фан12")),
            ("{clickid}", None),
            ("__CID__", None),
            (" ", None),
        ] {
            assert_eq!(external_id(given).as_deref(), want, "{given}");
        }
    }

    #[test]
    fn addresses_that_are_nobodys_are_not_told() {
        for (given, want) in [
            ("203.0.113.45", Some("203.0.113.45")),
            ("2001:DB8:0:0:1:0:0:1", Some("2001:db8::1:0:0:1")),
            ("::ffff:198.51.100.23", Some("198.51.100.23")),
            ("10.20.30.40", None),
            ("100.64.1.1", None),
            ("fd00::1", None),
            ("127.0.0.1", None),
        ] {
            assert_eq!(address(given.parse().unwrap()).as_deref(), want, "{given}");
        }
    }
}
