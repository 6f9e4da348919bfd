//! Names of the headers that matter, as numbers: told apart by three comparisons instead of letter by letter.

/// A header's name as numbers: its length, and its first and last bytes with the bit set that tells small letters from capitals.
/// Two names of 4 to 16 bytes with the same numbers are the same in any case; longer ones may differ between.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Name {
    length: usize,
    first: u64,
    last: u64,
}

impl Name {
    pub(super) const fn of(name: &str) -> Self {
        // What else may be in a name is not changed into a letter, digit or hyphen by it.
        const SMALL: u64 = u64::from_le_bytes([b' '; 8]);
        let (name, length) = (name.as_bytes(), name.len());
        if let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) {
            let (first, last) = (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
            return Self { length, first: first | SMALL, last: last | SMALL };
        }
        if let (Some([a, b, c, d]), Some([e, f, g, h])) = (name.first_chunk(), name.last_chunk()) {
            let word = u64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h]) | SMALL;
            return Self { length, first: word, last: word };
        }
        Self { length, first: 0, last: 0 }
    }
}

pub(super) const ACCEPT: Name = Name::of("accept");
pub(super) const BRANDS: Name = Name::of("sec-ch-ua");
pub(super) const CONNECTION: Name = Name::of("connection");
pub(super) const COOKIE: Name = Name::of("cookie");
pub(super) const EXPECT: Name = Name::of("expect");
pub(super) const FETCH_DEST: Name = Name::of("sec-fetch-dest");
pub(super) const FETCH_MODE: Name = Name::of("sec-fetch-mode");
pub(super) const FROM: Name = Name::of("from");
pub(super) const HTTP2: Name = Name::of("http2-settings");
pub(super) const LANGUAGE: Name = Name::of("accept-language");
pub(super) const LENGTH: Name = Name::of("content-length");
pub(super) const MOBILE: Name = Name::of("sec-ch-ua-mobile");
pub(super) const PLATFORM: Name = Name::of("sec-ch-ua-platform");
pub(super) const PURPOSE: Name = Name::of("purpose");
pub(super) const RANGE: Name = Name::of("range");
pub(super) const REFERER: Name = Name::of("referer");
pub(super) const REQUESTED_WITH: Name = Name::of("x-requested-with");
pub(super) const SEC_PURPOSE: Name = Name::of("sec-purpose");
pub(super) const TRANSFER: Name = Name::of("transfer-encoding");
pub(super) const UPGRADE: Name = Name::of("upgrade");
pub(super) const USER_AGENT: Name = Name::of("user-agent");
pub(super) const X_MOZ: Name = Name::of("x-moz");
pub(super) const X_PURPOSE: Name = Name::of("x-purpose");
