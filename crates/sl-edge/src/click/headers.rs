//! The headers of a request that matter, whoever parsed them: hyper's map or the plain parser's list.

use std::{borrow::Cow, net::IpAddr};

use http::Method;
use sl_core::{
    verdict::Shape,
    visitor::{AgentDigest, Features},
};

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
        for (name, value) in headers {
            found.add(name, value, forwarded);
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
    fn add(&mut self, name: &str, value: &'a [u8], forwarded: &str) {
        if name.eq_ignore_ascii_case(forwarded) {
            self.forwarded.push(value);
        }
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
        // By length first: most names are compared with one or two.
        let place = match name.len() {
            4 if is("from") => return self.from = true,
            5 if is("range") => return self.range = true,
            5 if is("x-moz") => &mut self.x_moz,
            6 if is("accept") => &mut self.accept,
            6 if is("cookie") => return self.cookies.push(value),
            6 if is("expect") => return self.special = true,
            7 if is("referer") => &mut self.referer,
            7 if is("purpose") => &mut self.purpose,
            7 if is("upgrade") => return self.special = true,
            9 if is("sec-ch-ua") => &mut self.brands,
            9 if is("x-purpose") => &mut self.x_purpose,
            10 if is("user-agent") => &mut self.user_agent,
            10 if is("connection") => return self.special |= !value.eq_ignore_ascii_case(b"keep-alive"),
            11 if is("sec-purpose") => &mut self.sec_purpose,
            14 if is("sec-fetch-mode") => &mut self.fetch_mode,
            14 if is("sec-fetch-dest") => &mut self.fetch_dest,
            14 if is("content-length") || is("http2-settings") => return self.special = true,
            15 if is("accept-language") => &mut self.accept_language,
            16 if is("sec-ch-ua-mobile") => &mut self.mobile,
            16 if is("x-requested-with") => &mut self.requested_with,
            17 if is("transfer-encoding") => return self.special = true,
            18 if is("sec-ch-ua-platform") => &mut self.platform,
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
