//! The headers of a request that matter, whoever parsed them: hyper's map or the plain parser's list.

use std::{borrow::Cow, net::IpAddr};

use http::Method;
use sl_core::{
    verdict::Shape,
    visitor::{AgentDigest, Features},
};

use super::names::{self, Name};

/// Longest `Accept-Language` kept, in bytes.
const LONGEST_LANGUAGE: usize = 256;

/// A request of the edge.
pub(crate) struct Asked<'a> {
    /// `GET` or `HEAD` on the hot path.
    pub(super) method: &'a Method,
    /// Path and query as they came.
    pub(super) target: &'a str,
    pub(super) headers: Headers<'a>,
}

impl<'a> Asked<'a> {
    /// Of what a parser found. `forwarded` is the name of the header that lists the visitor's address.
    pub(crate) fn new(
        method: &'a Method,
        target: &'a str,
        headers: impl Iterator<Item = (&'a str, &'a [u8])>,
        forwarded: &str,
    ) -> Self {
        let mut found = Headers::default();
        let mark = Name::of(forwarded);
        for (name, value) in headers {
            let at = Name::of(name);
            if at == mark && name.eq_ignore_ascii_case(forwarded) {
                found.forwarded.push(value);
            }
            found.add(at, name, value);
        }
        Self { method, target, headers: found }
    }

    /// Whether a header concerns the connection or a body, which is hyper's business.
    pub(crate) fn is_special(&self) -> bool {
        self.headers.special
    }

    pub(super) fn path(&self) -> &'a str {
        self.target.split('?').next().unwrap_or(self.target)
    }

    pub(super) fn query(&self) -> Option<&'a str> {
        self.target.split_once('?').map(|(_, query)| query)
    }
}

/// All lines of a header that may come more than once.
#[derive(Default)]
pub(super) struct Lines<'a> {
    first: Option<&'a [u8]>,
    /// Hardly ever any.
    more: Vec<&'a [u8]>,
}

impl<'a> Lines<'a> {
    pub(super) fn push(&mut self, line: &'a [u8]) {
        match self.first {
            None => self.first = Some(line),
            Some(_) => self.more.push(line),
        }
    }

    /// In the order they came.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        self.first.into_iter().chain(self.more.iter().copied())
    }
}

/// The headers that matter, found in one walk. Of a header that comes twice, the first counts.
#[derive(Default)]
pub(super) struct Headers<'a> {
    user_agent: Option<&'a [u8]>,
    accept: Option<&'a [u8]>,
    accept_language: Option<&'a [u8]>,
    referer: Option<&'a [u8]>,
    brands: Option<&'a [u8]>,
    mobile: Option<&'a [u8]>,
    platform: Option<&'a [u8]>,
    sec_purpose: Option<&'a [u8]>,
    purpose: Option<&'a [u8]>,
    x_purpose: Option<&'a [u8]>,
    x_moz: Option<&'a [u8]>,
    fetch_mode: Option<&'a [u8]>,
    fetch_dest: Option<&'a [u8]>,
    requested_with: Option<&'a [u8]>,
    range: bool,
    from: bool,
    pub(super) cookies: Lines<'a>,
    pub(super) forwarded: Lines<'a>,
    /// Some header concerns the connection or a body.
    special: bool,
}

impl<'a> Headers<'a> {
    fn add(&mut self, at: Name, name: &str, value: &'a [u8]) {
        let place = match at {
            names::FROM => return self.from = true,
            names::RANGE => return self.range = true,
            names::X_MOZ => &mut self.x_moz,
            names::ACCEPT => &mut self.accept,
            names::COOKIE => return self.cookies.push(value),
            names::REFERER => &mut self.referer,
            names::PURPOSE => &mut self.purpose,
            names::BRANDS => &mut self.brands,
            names::X_PURPOSE => &mut self.x_purpose,
            names::USER_AGENT => &mut self.user_agent,
            names::CONNECTION => return self.special |= !value.eq_ignore_ascii_case(b"keep-alive"),
            names::SEC_PURPOSE => &mut self.sec_purpose,
            names::FETCH_MODE => &mut self.fetch_mode,
            names::FETCH_DEST => &mut self.fetch_dest,
            names::LANGUAGE => &mut self.accept_language,
            names::MOBILE => &mut self.mobile,
            names::REQUESTED_WITH => &mut self.requested_with,
            names::PLATFORM if name.eq_ignore_ascii_case("sec-ch-ua-platform") => &mut self.platform,
            names::TRANSFER if name.eq_ignore_ascii_case("transfer-encoding") => return self.special = true,
            names::EXPECT | names::UPGRADE | names::LENGTH | names::HTTP2 => return self.special = true,
            _ => return,
        };
        place.get_or_insert(value);
    }

    /// `User-Agent`; empty when it is absent.
    pub(super) fn user_agent(&self) -> &'a [u8] {
        self.user_agent.unwrap_or_default()
    }

    /// What the verdict looks at.
    pub(super) fn shape(&self, method: &Method, asn: Option<u32>) -> Shape<'a> {
        Shape {
            head: *method == Method::HEAD,
            sec_purpose: self.sec_purpose.unwrap_or_default(),
            purpose: self.purpose.unwrap_or_default(),
            x_purpose: self.x_purpose.unwrap_or_default(),
            x_moz: self.x_moz.unwrap_or_default(),
            fetch_mode: self.fetch_mode.unwrap_or_default(),
            fetch_dest: self.fetch_dest.unwrap_or_default(),
            brands: self.brands.unwrap_or_default(),
            requested_with: self.requested_with.unwrap_or_default(),
            accept: self.accept.unwrap_or_default(),
            range: self.range,
            from: self.from,
            asn,
        }
    }

    /// What the fingerprint is made of.
    pub(super) fn features(&self, ip: IpAddr, user_agent: AgentDigest) -> Features<'a> {
        Features {
            ip: Some(ip),
            user_agent,
            accept_language: self.accept_language.unwrap_or_default(),
            brands: self.brands.unwrap_or_default(),
            mobile: self.mobile.unwrap_or_default(),
            platform: self.platform.unwrap_or_default(),
        }
    }

    /// The host of `Referer`: lower case, without scheme, user and port (contract A.6.9).
    pub(super) fn referrer(&self) -> Option<Cow<'a, str>> {
        let text = str::from_utf8(self.referer.filter(|text| text.is_ascii())?).ok()?;
        let rest = behind_the_scheme(text)?;
        let end = rest.bytes().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
        let authority = rest.get(..end.unwrap_or(rest.len()))?;
        // Hardly ever there, and quicker to see than to look for.
        let marked = authority.bytes().any(|byte| matches!(byte, b'@' | b':'));
        let host = if marked { without_user_and_port(authority)? } else { authority };
        if host.is_empty() || host.len() > 255 {
            return None;
        }
        let lower = !host.bytes().any(|byte| byte.is_ascii_uppercase());
        Some(if lower { Cow::Borrowed(host) } else { Cow::Owned(host.to_ascii_lowercase()) })
    }

    /// `Accept-Language`, cut.
    pub(super) fn language(&self) -> Option<Cow<'a, str>> {
        let value = self.accept_language?;
        let value = value.get(..LONGEST_LANGUAGE).unwrap_or(value);
        // Nearly always UTF-8: checking takes less than reading it as though it were not.
        let text = str::from_utf8(value).map_or_else(|_| String::from_utf8_lossy(value), Cow::Borrowed);
        (!text.is_empty()).then_some(text)
    }
}

fn behind_the_scheme(text: &str) -> Option<&str> {
    let end = text
        .bytes()
        .position(|byte| !matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'+' | b'-' | b'.'))?;
    text.get(end..)?.strip_prefix("://")
}

fn without_user_and_port(authority: &str) -> Option<&str> {
    let host = authority.rsplit('@').next()?;
    Some(match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked<'a>(headers: &[(&'a str, &'a str)]) -> Asked<'a> {
        let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
        Asked::new(&Method::GET, "/go/1?a=b?c", headers, "x-forwarded-for")
    }

    #[test]
    fn names_are_found_in_any_case_and_the_first_line_counts() {
        let asked =
            asked(&[("User-Agent", "a"), ("USER-AGENT", "b"), ("X-Forwarded-For", "1, 2"), ("accept", "c")]);
        assert_eq!(asked.headers.user_agent(), b"a");
        assert_eq!(asked.headers.accept, Some(&b"c"[..]));
        assert_eq!(asked.headers.forwarded.iter().collect::<Vec<_>>(), [b"1, 2"]);
        assert_eq!((asked.path(), asked.query()), ("/go/1", Some("a=b?c")));
    }

    #[test]
    fn every_header_that_matters_is_found_and_no_other() {
        type Place = fn(&Headers<'static>) -> Option<&'static [u8]>;
        let of = |name| asked(&[(name, "v")]).headers;
        let places: [(&str, Place); 14] = [
            ("User-Agent", |h| h.user_agent),
            ("Accept", |h| h.accept),
            ("Accept-Language", |h| h.accept_language),
            ("Referer", |h| h.referer),
            ("Sec-CH-UA", |h| h.brands),
            ("Sec-CH-UA-Mobile", |h| h.mobile),
            ("Sec-CH-UA-Platform", |h| h.platform),
            ("Sec-Purpose", |h| h.sec_purpose),
            ("Purpose", |h| h.purpose),
            ("X-Purpose", |h| h.x_purpose),
            ("X-moz", |h| h.x_moz),
            ("Sec-Fetch-Mode", |h| h.fetch_mode),
            ("Sec-Fetch-Dest", |h| h.fetch_dest),
            ("X-Requested-With", |h| h.requested_with),
        ];
        for (name, _) in places {
            let headers = of(name);
            for (other, place) in places {
                assert_eq!(place(&headers).is_some(), name == other, "{name}: {other}");
            }
            assert!(!headers.range && !headers.from && !headers.special, "{name}");
        }
        assert!(of("Range").range && of("From").from);
        for name in
            ["Content-Length", "Transfer-Encoding", "Expect", "Upgrade", "HTTP2-Settings", "Connection"]
        {
            assert!(of(name).special, "{name}");
        }
    }

    #[test]
    fn a_name_that_differs_in_one_byte_is_another() {
        for name in
            ["from", "x-moz", "user-agent", "sec-ch-ua-mobile", "transfer-encoding", "sec-ch-ua-platform"]
        {
            for at in 0..name.len() {
                for byte in (b'!'..=b'~').filter(|byte| !b"\"(),/:;<=>?@[\\]{}".contains(byte)) {
                    let mut other = name.as_bytes().to_vec();
                    other[at] = byte;
                    let other = String::from_utf8(other).unwrap();
                    let found = asked(&[(&other, "v")]).headers;
                    let any = found.from
                        || found.special
                        || [found.x_moz, found.user_agent, found.mobile, found.platform]
                            .iter()
                            .any(Option::is_some);
                    assert_eq!(any, other.eq_ignore_ascii_case(name), "{other}");
                }
            }
        }
    }

    #[test]
    fn every_line_of_cookies_is_kept_in_order() {
        let asked = asked(&[("Cookie", "a"), ("cookie", "b"), ("COOKIE", "c")]);
        assert_eq!(asked.headers.cookies.iter().collect::<Vec<_>>(), [b"a", b"b", b"c"]);
    }

    #[test]
    fn what_concerns_the_connection_is_noticed() {
        assert!(!asked(&[("Connection", "keep-alive"), ("Host", "x")]).is_special());
        for header in [("Connection", "close"), ("Content-Length", "0"), ("Expect", ""), ("Upgrade", "h2c")] {
            assert!(asked(&[header]).is_special(), "{header:?}");
        }
    }

    #[test]
    fn a_referrer_is_a_bare_host() {
        let host = |value: &str| asked(&[("referer", value)]).headers.referrer().map(Cow::into_owned);
        assert_eq!(host("https://L.Instagram.com/?u=x").as_deref(), Some("l.instagram.com"));
        assert_eq!(host("http://user:pw@example.org:8080/a@b").as_deref(), Some("example.org"));
        assert_eq!(host("android-app://com.google.android.gm").as_deref(), Some("com.google.android.gm"));
        assert_eq!(host("not a url"), None);
        assert_eq!(host("example.com/p?u=https://x.y/"), None, "the scheme is what comes first");
        assert_eq!(host("blob:https://example.com/x"), None);
        assert_eq!(host("https://example.com/p?u=https://x.y/").as_deref(), Some("example.com"));
        assert_eq!(host("https:///x"), None);
    }
}
