//! What is kept of a request's query and cookies: parameters (contract B.2), ad platforms' cookies (ad-platforms 1.2).

use std::borrow::Cow;

use sl_core::click::{AdCookies, Params, VisitorId};

use super::{answer::COOKIE, headers::Lines};

/// Longest value of a parameter or cookie, in bytes (ad-platforms 1.2). Cut ids would match nothing and mislead, so a
/// longer value is left out.
const LONGEST: usize = 2048;
/// The query's tracking parameters, form-decoded once, otherwise verbatim. Of a name that comes twice the first value
/// counts; an empty value is none.
pub(super) fn params(query: Option<&str>) -> Params {
    let mut params = Params::default();
    let query = query.unwrap_or_default();
    // Counted, not looked for: many bytes at once.
    let coded = query.bytes().filter(|byte| matches!(byte, b'%' | b'+')).count() > 0;
    for pair in query.split('&') {
        if coded {
            for (name, value) in form_urlencoded::parse(pair.as_bytes()) {
                keep(&mut params, &name, value);
            }
        } else if let Some((name, value)) = pair.split_once('=') {
            // Nothing to decode, which is the rule.
            keep(&mut params, name, Cow::Borrowed(value));
        }
    }
    params
}

fn keep(params: &mut Params, name: &str, value: Cow<'_, str>) {
    if let Some(place @ None) = place(params, name)
        && !value.is_empty()
        && value.len() <= LONGEST
    {
        *place = Some(value.into_owned());
    }
}

fn place<'a>(params: &'a mut Params, name: &str) -> Option<&'a mut Option<String>> {
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
pub(super) fn cookies(lines: &Lines<'_>) -> (Option<VisitorId>, AdCookies) {
    let mut visitor = None;
    let mut kept = AdCookies::default();
    for line in lines.iter() {
        for pair in line.split(|byte| *byte == b';') {
            let Some((name, value)) = str::from_utf8(pair).ok().and_then(|pair| pair.trim().split_once('='))
            else {
                continue;
            };
            if name == COOKIE {
                visitor = visitor.or_else(|| value.parse().ok());
                continue;
            }
            let place = match name {
                "_fbc" => &mut kept.fbc,
                "_fbp" => &mut kept.fbp,
                "ttclid" => &mut kept.ttclid,
                "_ttp" => &mut kept.ttp,
                "_scclid" => &mut kept.scclid,
                "_scid" => &mut kept.scid,
                _ => continue,
            };
            if place.is_none() && !value.is_empty() && value.len() <= LONGEST {
                *place = Some(value.to_owned());
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
        let kept = params(Some(&format!("url=https://evil/&{}", query.join("&"))));
        let text = values_of(&kept);
        assert_eq!(text.len(), names.len());
        for (number, name) in names.iter().enumerate() {
            assert!(text.contains(&format!("v{number}")), "{name}");
        }
    }

    /// All values, in any order.
    fn values_of(params: &Params) -> Vec<String> {
        let p = params.clone();
        [
            p.ecid,
            p.fbclid,
            p.gclid,
            p.gbraid,
            p.wbraid,
            p.ttclid,
            p.sccid,
            p.twclid,
            p.rdt_cid,
            p.epik,
            p.msclkid,
            p.fbc,
            p.fbp,
            p.aff_s1,
            p.aff_s2,
            p.aff_s3,
            p.aff_s4,
            p.aff_s5,
            p.utm_source,
            p.utm_medium,
            p.utm_campaign,
            p.utm_content,
            p.utm_term,
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    #[test]
    fn values_are_decoded_once_and_otherwise_verbatim() {
        let kept = params(Some(
            "ecid=a+b%20%2525&fbclid=IwAR_x-Y.9&utm_source=&utm_source=x&ecid=second&SCCID=Q%2B",
        ));
        assert_eq!(kept.ecid.as_deref(), Some("a b %25"));
        assert_eq!(kept.fbclid.as_deref(), Some("IwAR_x-Y.9"));
        assert_eq!(kept.utm_source.as_deref(), Some("x"), "an empty value is none");
        assert_eq!(kept.sccid.as_deref(), Some("Q+"));
        assert_eq!(
            params(Some("ecid={{ad.id}}")).ecid.as_deref(),
            Some("{{ad.id}}"),
            "a macro is kept as it came"
        );
        assert_eq!(params(Some("FBCLID=x")).fbclid, None, "other names are exact");
        assert_eq!(params(None), Params::default());
    }

    #[test]
    fn a_value_too_long_is_left_out() {
        let long = "x".repeat(LONGEST);
        assert_eq!(params(Some(&format!("ttclid={long}"))).ttclid.map(|id| id.len()), Some(LONGEST));
        assert_eq!(params(Some(&format!("ttclid={long}x"))).ttclid, None);
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
