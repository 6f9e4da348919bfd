//! Whom an event is about: the one place where identifiers are chosen, normalised and hashed (ad-platforms 1.2 to 1.4).
//! Never an e-mail, phone or name: the product has none.

use sha2::{Digest, Sha256};

use crate::{catalog::ExternalIdSource, click::Click, places, visitor::is_unexpanded_macro};

/// TikTok's longest click id; a longer one is left out, never cut (ad-platforms 3.3).
pub const LONGEST_TTCLID: usize = 1000;

/// What a click tells of the person. Empty texts, unreplaced macros and addresses that are nobody's are absent. Nothing is
/// hashed yet: each platform has its own rule for what is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// IP address in its canonical form.
    pub ip: Option<String>,
    /// `User-Agent` as the browser sent it.
    pub user_agent: Option<String>,
    /// The id of the person, from where the pixel says.
    pub external_id: Option<String>,
    /// Letters only, lower case.
    pub city: Option<String>,
    /// Letters and digits, lower case.
    pub region: Option<String>,
    /// Postal code as its country writes it.
    pub postal_code: Option<String>,
    /// Two letters, lower case.
    pub country: Option<String>,
    /// Meta's click, as its cookie has it.
    pub fbc: Option<String>,
    /// Meta's browser.
    pub fbp: Option<String>,
    /// TikTok's click.
    pub ttclid: Option<String>,
    /// TikTok's browser.
    pub ttp: Option<String>,
    /// Snapchat's click.
    pub sc_click_id: Option<String>,
    /// Snapchat's browser.
    pub sc_cookie1: Option<String>,
}

impl Identity {
    /// What a click tells of its visitor; `source` says which id names the person.
    #[must_use]
    pub fn of(click: &Click, source: ExternalIdSource) -> Self {
        let (params, cookies, place) = (&click.params, &click.cookies, &click.place);
        let country = place.country.as_deref().and_then(places::country);
        let of = country.as_deref();
        let agent = click.request.user_agent.trim();
        let either = |param, cookie| verbatim(param).or(verbatim(cookie)).map(str::to_owned);
        Self {
            ip: click.address().and_then(places::address),
            user_agent: (!agent.is_empty()).then(|| agent.to_owned()),
            external_id: external_id(click, source),
            city: place.city.as_deref().and_then(places::city),
            region: place.region.as_deref().and_then(|value| places::region(value, of)),
            postal_code: place.postal_code.as_deref().and_then(|value| places::postal_code(value, of)),
            country,
            fbc: fbc(click),
            fbp: fbp(click).map(str::to_owned),
            ttclid: either(params.ttclid.as_deref(), cookies.ttclid.as_deref())
                .filter(|id| id.chars().count() <= LONGEST_TTCLID),
            ttp: verbatim(cookies.ttp.as_deref()).map(str::to_owned),
            sc_click_id: either(params.sccid.as_deref(), cookies.scclid.as_deref()),
            sc_cookie1: verbatim(cookies.scid.as_deref()).map(str::to_owned),
        }
    }
}

fn external_id(click: &Click, source: ExternalIdSource) -> Option<String> {
    match source {
        ExternalIdSource::Ecid => click.params.ecid.as_deref().and_then(places::external_id),
        // The cookie that came, or the one that was given then and comes from now on.
        ExternalIdSource::Visitor => click.visitor.came_with.or(click.visitor.given).map(|id| id.to_string()),
        ExternalIdSource::ClickId => Some(click.id.to_string()),
        ExternalIdSource::None => None,
    }
}

/// An id that is handed through: case and length are the platform's (ad-platforms 1.2).
#[must_use]
pub fn verbatim(value: Option<&str>) -> Option<&str> {
    value.filter(|id| !id.trim().is_empty() && !is_unexpanded_macro(id))
}

/// SHA-256 of a normalised value, lower-case hex. Nothing in, nothing out: the digest of an empty text names everybody.
/// What is a digest already stays one (ad-platforms 1.4).
#[must_use]
pub fn digest(value: &str) -> Option<String> {
    if value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Some(value.to_ascii_lowercase());
    }
    (!value.is_empty()).then(|| {
        let digest: [u8; 32] = Sha256::digest(value).into();
        digest.iter().fold(String::with_capacity(64), |mut text, byte| {
            text.extend([byte >> 4, byte & 15].map(|half| char::from_digit(half.into(), 16).unwrap_or('0')));
            text
        })
    })
}

/// The cookie when it belongs to this click, else made of the click and its time (ad-platforms 2.3).
fn fbc(click: &Click) -> Option<String> {
    let fbclid = verbatim(click.params.fbclid.as_deref());
    let known = [click.cookies.fbc.as_deref(), click.params.fbc.as_deref()];
    let own = known.into_iter().flatten().find(|cookie| match (fbc_id(cookie), fbclid) {
        (Some(id), Some(fbclid)) => id == fbclid,
        (Some(_), None) => true,
        (None, _) => false,
    });
    own.map(str::to_owned).or_else(|| fbclid.map(|id| format!("fb.1.{}.{id}", click.at.0)))
}

/// Fourth part of `fb.{index}.{ms}.{text}`, optionally with one more part of 2 or 8 characters.
#[must_use]
pub fn fbc_id(cookie: &str) -> Option<&str> {
    let mut parts = cookie.split('.');
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let valid = parts.next() == Some("fb")
        && parts.next().is_some_and(digits)
        && parts.next().is_some_and(|ms| digits(ms) && (10..=13).contains(&ms.len()));
    let id = parts.next().filter(|id| valid && !id.is_empty())?;
    let mark_fits = parts.next().is_none_or(|mark| matches!(mark.len(), 2 | 8));
    (mark_fits && parts.next().is_none()).then_some(id)
}

/// Sent as it came, parameter or cookie, when it is well formed (decisions 37).
fn fbp(click: &Click) -> Option<&str> {
    let is_well_formed =
        |known: &&str| fbc_id(known).is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
    let known = [click.params.fbp.as_deref(), click.cookies.fbp.as_deref()];
    known.into_iter().flatten().find(is_well_formed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::click::{AdCookies, Params};

    #[test]
    fn nothing_has_no_digest() {
        assert_eq!(digest(""), None);
        let hashed = "79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621";
        assert_eq!(digest(&hashed.to_uppercase()).as_deref(), Some(hashed), "the buyer hashed it");
        for (value, want) in [
            ("us", "79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621"),
            ("sãopaulo", "3eda1428ae1aece064071f8d40f08fe2bc59ffa66c171a163caf15122ec4d7f0"),
            ("ad123-xyz", "abd2a109218373bdda4af605d36de9913fe5c9adf7ab387946f4070dff49a3d7"),
            ("sw1a1aa", "830e1d4b9838bab1f5c2acdb23e0b502ff13a9832c4632e8d67a1d43d3b7f614"),
        ] {
            assert_eq!(digest(value).as_deref(), Some(want), "{value}");
        }
    }

    #[test]
    fn what_is_left_of_an_address_is_nobodys() {
        let mut click = crate::lint::tests::good();
        assert!(Identity::of(&click, ExternalIdSource::None).ip.is_some());
        click.forget_person();
        assert!(click.request.ip.is_some(), "reports show the network");
        assert_eq!(Identity::of(&click, ExternalIdSource::None).ip, None);
    }

    /// An unexpanded macro counts as absent (ad-platforms 1.2).
    #[test]
    fn a_bad_browser_id_hides_no_good_one() {
        let good = "fb.1.1795196412345.1098115397";
        let ids = |(param, cookie): (&str, &str)| {
            let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            let params = Params { fbp: some(param), fbc: some(param), ..Params::default() };
            let cookies = AdCookies { fbp: some(cookie), fbc: some(cookie), ..AdCookies::default() };
            let click = Click { params, cookies, ..crate::lint::tests::good() };
            (fbp(&click).map(str::to_owned), fbc(&click))
        };
        let both = (Some(good.to_owned()), Some(good.to_owned()));
        for pair in [("{{fbp}}", good), (good, "broken"), (good, ""), ("", good)] {
            assert_eq!(ids(pair), both, "{pair:?}");
        }
        assert_eq!(ids(("{{fbp}}", "broken")), (None, None));
    }

    /// The table of schemas/ad-platforms/normalisation.json, every row.
    #[test]
    fn every_value_is_normalised_and_hashed_as_the_table_says() {
        use serde_json::Value;
        let table = include_str!("../../../schemas/ad-platforms/normalisation.json");
        let table: Value = serde_json::from_str(table).unwrap();
        let rows = |name: &str| table[name].as_array().unwrap().clone();
        for row in rows("values") {
            let (input, of) = (row["input"].as_str().unwrap(), row["country"].as_str());
            let value = match row["field"].as_str().unwrap() {
                "country" => places::country(input),
                "region" => places::region(input, of),
                "city" => places::city(input),
                "postal code" => places::postal_code(input, of),
                "external_id" => places::external_id(input),
                other => panic!("{other}"),
            };
            assert_eq!(value.as_deref(), row["normalised"].as_str(), "{row}");
            assert_eq!(value.as_deref().and_then(digest).as_deref(), row["sha256"].as_str(), "{row}");
        }
        for row in rows("addresses") {
            let sent = row["input"].as_str().unwrap().parse().ok().and_then(places::address);
            assert_eq!(sent.as_deref(), row["sent"].as_str(), "{row}");
        }
        for row in rows("amounts") {
            let cents = crate::money::Cents::parse(row["input"].as_str().unwrap()).unwrap();
            assert_eq!(cents.to_json().as_f64(), row["number"].as_f64(), "{row}");
        }
        let click = crate::lint::tests::good();
        for row in table["fbc"]["rows"].as_array().unwrap() {
            let mut click = click.clone();
            click.params.fbclid = row["fbclid"].as_str().map(str::to_owned);
            click.cookies.fbc = row["cookie"].as_str().map(str::to_owned);
            assert_eq!(
                Identity::of(&click, ExternalIdSource::None).fbc.as_deref(),
                row["fbc"].as_str(),
                "{row}"
            );
        }
        assert_eq!([rows("values").len(), rows("addresses").len(), rows("amounts").len()], [37, 8, 8]);
    }

    #[test]
    fn the_person_is_named_by_what_the_pixel_says() {
        use crate::click::VisitorId;
        let mut click = crate::lint::tests::good();
        (click.visitor.came_with, click.visitor.given) = (None, Some(VisitorId(7)));
        let of = |click: &Click, source| Identity::of(click, source).external_id;
        assert_eq!(of(&click, ExternalIdSource::Ecid).as_deref(), Some("row-9"));
        assert_eq!(of(&click, ExternalIdSource::None), None);
        assert_eq!(of(&click, ExternalIdSource::ClickId), Some(click.id.to_string()));
        // The cookie of the first visit is the one that comes with the second.
        let first = of(&click, ExternalIdSource::Visitor);
        (click.visitor.came_with, click.visitor.given) = (Some(VisitorId(7)), None);
        assert_eq!(first, of(&click, ExternalIdSource::Visitor));
        assert!(first.is_some());
    }

    #[test]
    fn ids_are_handed_through_as_they_came_or_not_at_all() {
        let long = "aB".repeat(1024);
        for id in ["E.C.P.CrwBq7Rk_9-xZ", "IwZXh0bgNhZW0BMABh", " a ", long.as_str()] {
            assert_eq!(verbatim(Some(id)), Some(id));
        }
        for none in ["", "  ", "{{fbclid}}", "__CLICKID__", "{clickid}"] {
            assert_eq!(verbatim(Some(none)), None, "{none:?}");
        }
    }
}
