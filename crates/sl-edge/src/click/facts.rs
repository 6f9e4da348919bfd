//! What is kept of a request's query and cookies: parameters (contract B.2), ad platforms' cookies (ad-platforms 1.2).

use std::borrow::Cow;

use memchr::{memchr, memchr_iter, memchr2};
use sl_core::click::{AdCookies, Params, VisitorId};

use super::{answer::COOKIE, headers::Lines};

/// Longest value of a parameter or cookie, in bytes (ad-platforms 1.2). Cut ids would match nothing and mislead, so a
/// longer value is left out.
const LONGEST: usize = 2048;

/// A request's query. What is kept of it is borrowed from here.
pub(super) enum Query<'a> {
    /// Nothing to decode, which is the rule.
    Plain(&'a str),
    /// Names that are kept and their values, form-decoded once.
    Decoded(Vec<(Cow<'a, str>, Cow<'a, str>)>),
}

impl<'a> Query<'a> {
    pub(super) fn of(query: Option<&'a str>) -> Self {
        let query = query.unwrap_or_default();
        match memchr2(b'%', b'+', query.as_bytes()) {
            Some(_) => Self::decoded(query),
            None => Self::Plain(query),
        }
    }

    #[inline(never)]
    fn decoded(query: &'a str) -> Self {
        let mut known = Params::default();
        let pairs = form_urlencoded::parse(query.as_bytes());
        Self::Decoded(pairs.filter(|(name, _)| place(&mut known, name).is_some()).collect())
    }

    /// The tracking parameters, otherwise verbatim. Of a name that comes twice the first value counts; an empty value is
    /// none.
    pub(super) fn params(&self) -> Params<&str> {
        let mut params = Params::default();
        match self {
            Self::Plain(query) => {
                for (name, value) in pairs(query) {
                    keep(&mut params, name, value);
                }
            }
            Self::Decoded(pairs) => pairs.iter().for_each(|(name, value)| keep(&mut params, name, value)),
        }
        params
    }
}

/// Names and values of a query in which nothing is coded.
fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut begin = 0;
    let ends = memchr_iter(b'&', query.as_bytes()).chain([query.len()]);
    let pairs = ends.filter_map(move |end| query.get(std::mem::replace(&mut begin, end + 1)..end));
    pairs.filter_map(|pair| {
        // Names are short: nothing finds their end sooner.
        let end = pair.bytes().position(|byte| byte == b'=')?;
        Some((pair.get(..end)?, pair.get(end + 1..)?))
    })
}

fn keep<'a>(params: &mut Params<&'a str>, name: &str, value: &'a str) {
    if let Some(place @ None) = place(params, name)
        && !value.is_empty()
        && value.len() <= LONGEST
    {
        *place = Some(value);
    }
}

fn place<'p, 'a>(params: &'p mut Params<&'a str>, name: &str) -> Option<&'p mut Option<&'a str>> {
    Some(match name {
        "ecid" => &mut params.ecid,
        "fbclid" => &mut params.fbclid,
        "gclid" => &mut params.gclid,
        "gbraid" => &mut params.gbraid,
        "wbraid" => &mut params.wbraid,
        "ttclid" => &mut params.ttclid,
        "twclid" => &mut params.twclid,
        "rdt_cid" => &mut params.rdt_cid,
        "epik" => &mut params.epik,
        "msclkid" => &mut params.msclkid,
        "fbc" => &mut params.fbc,
        "fbp" => &mut params.fbp,
        "aff_s1" => &mut params.aff_s1,
        "aff_s2" => &mut params.aff_s2,
        "aff_s3" => &mut params.aff_s3,
        "aff_s4" => &mut params.aff_s4,
        "aff_s5" => &mut params.aff_s5,
        "utm_source" => &mut params.utm_source,
        "utm_medium" => &mut params.utm_medium,
        "utm_campaign" => &mut params.utm_campaign,
        "utm_content" => &mut params.utm_content,
        "utm_term" => &mut params.utm_term,
        // Snapchat writes `ScCid`; the name comes in any case.
        other if other.eq_ignore_ascii_case("sccid") => &mut params.sccid,
        _ => return None,
    })
}

/// The visitor's cookie and the ad platforms' cookies.
pub(super) fn cookies<'a>(lines: &Lines<'a>) -> (Option<VisitorId>, AdCookies<&'a str>) {
    let mut visitor = None;
    let mut kept = AdCookies::default();
    for line in lines.iter() {
        for pair in line.split(|byte| *byte == b';') {
            let pair = pair.trim_ascii();
            let Some((name, value)) = memchr(b'=', pair).and_then(|end| pair.split_at_checked(end)) else {
                continue;
            };
            let value = || str::from_utf8(value.get(1..)?).ok();
            let place = match name {
                name if name == COOKIE.as_bytes() => {
                    visitor = visitor.or_else(|| value()?.parse().ok());
                    continue;
                }
                b"_fbc" => &mut kept.fbc,
                b"_fbp" => &mut kept.fbp,
                b"ttclid" => &mut kept.ttclid,
                b"_ttp" => &mut kept.ttp,
                b"_scclid" => &mut kept.scclid,
                b"_scid" => &mut kept.scid,
                _ => continue,
            };
            if let Some(value) = value()
                && place.is_none()
                && !value.is_empty()
                && value.len() <= LONGEST
            {
                *place = Some(value);
            }
        }
    }
    (visitor, kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_of_the_contract_is_kept_and_others_are_not() {
        let names = [
            "ecid",
            "fbclid",
            "gclid",
            "gbraid",
            "wbraid",
            "ttclid",
            "ScCid",
            "twclid",
            "rdt_cid",
            "epik",
            "msclkid",
            "fbc",
            "fbp",
            "aff_s1",
            "aff_s2",
            "aff_s3",
            "aff_s4",
            "aff_s5",
            "utm_source",
            "utm_medium",
            "utm_campaign",
            "utm_content",
            "utm_term",
        ];
        let query: Vec<_> =
            names.iter().enumerate().map(|(number, name)| format!("{name}=v{number}")).collect();
        let query = format!("url=https://evil/&{}", query.join("&"));
        let query = Query::of(Some(&query));
        let params = query.params();
        let text: Vec<_> = params.values().into_iter().flatten().copied().collect();
        assert_eq!(text.len(), names.len());
        for (number, name) in names.iter().enumerate() {
            assert!(text.contains(&&*format!("v{number}")), "{name}");
        }
    }

    fn params(query: &str) -> Params {
        Query::of(Some(query)).params().map(|text| (*text).to_owned())
    }

    #[test]
    fn values_are_decoded_once_and_otherwise_verbatim() {
        let kept =
            params("ecid=a+b%20%2525&fbclid=IwAR_x-Y.9&utm_source=&utm_source=x&ecid=second&SCCID=Q%2B");
        assert_eq!(kept.ecid.as_deref(), Some("a b %25"));
        assert_eq!(kept.fbclid.as_deref(), Some("IwAR_x-Y.9"));
        assert_eq!(kept.utm_source.as_deref(), Some("x"), "an empty value is none");
        assert_eq!(kept.sccid.as_deref(), Some("Q+"));
        assert_eq!(params("ecid={{ad.id}}").ecid.as_deref(), Some("{{ad.id}}"), "a macro is kept as it came");
        assert_eq!(params("FBCLID=x").fbclid, None, "other names are exact");
        assert_eq!(Query::of(None).params(), Params::default());
    }

    #[test]
    fn a_value_too_long_is_left_out() {
        let long = "x".repeat(LONGEST);
        assert_eq!(params(&format!("ttclid={long}")).ttclid.map(|id| id.len()), Some(LONGEST));
        assert_eq!(params(&format!("ttclid={long}x")).ttclid, None);
    }

    #[test]
    fn cookies_of_ad_platforms_and_ours_are_found_among_others() {
        let mut lines = Lines::default();
        lines.push(b"a=b; _fbp=fb.1.2.3; sl_v=000102030405060708090a0b0c0d0e0f");
        lines.push(b"_fbc=fb.1.9.IwAR; ttclid=T; _ttp=P; _scclid=S; _scid=I; broken; =x");
        let (visitor, kept) = cookies(&lines);
        assert_eq!(visitor.unwrap().to_string(), "000102030405060708090a0b0c0d0e0f");
        let all = [kept.fbc, kept.fbp, kept.ttclid, kept.ttp, kept.scclid, kept.scid];
        assert_eq!(all.map(Option::unwrap), ["fb.1.9.IwAR", "fb.1.2.3", "T", "P", "S", "I"]);
        let mut forged = Lines::default();
        forged.push(b"sl_v=forged");
        assert_eq!(cookies(&forged).0, None);
    }
}
