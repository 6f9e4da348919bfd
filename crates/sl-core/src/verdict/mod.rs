//! Person, speculative request or bot: from what a request shows, and nothing else (architecture 4, decisions 1 and 2).
//!
//! The order of doubt: a request is speculative when it says so; a bot when its agent is on the tables
//! ([`agent`]), its network is a crawler's ([`networks`]), or its headers are ones that no browser sends when a person
//! follows a link. Everything else is a person: losing a visit costs more than lending a pool link to a robot.

pub mod agent;
pub mod networks;
#[cfg(test)]
mod tests;

use agent::Agent;
use memchr::memchr2_iter;

/// The parts of a request that decide what it is. Absent headers are empty.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shape<'a> {
    /// The method is `HEAD`.
    pub head: bool,
    /// `Sec-Purpose`.
    pub sec_purpose: &'a [u8],
    /// `Purpose`.
    pub purpose: &'a [u8],
    /// `X-Purpose`.
    pub x_purpose: &'a [u8],
    /// `X-Moz`.
    pub x_moz: &'a [u8],
    /// `Sec-Fetch-Mode`.
    pub fetch_mode: &'a [u8],
    /// `Sec-Fetch-Dest`.
    pub fetch_dest: &'a [u8],
    /// `Sec-CH-UA`.
    pub brands: &'a [u8],
    /// `X-Requested-With`.
    pub requested_with: &'a [u8],
    /// `Accept`.
    pub accept: &'a [u8],
    /// A `Range` header is there.
    pub range: bool,
    /// A `From` header is there: crawlers leave their owner's address.
    pub from: bool,
    /// Autonomous system of the address, when a database is configured.
    pub asn: Option<u32>,
}

/// What a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Somebody follows the link.
    Person,
    /// Nobody has followed the link yet.
    Speculative(How),
    /// A program follows it.
    Bot(Why),
}

/// In which way a request is speculative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// A browser fetches ahead: refused, so that the real visit comes (decisions 1).
    Prefetch,
    /// `HEAD`: answered like a bot, without a row.
    Head,
}

/// Why a request is a program's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// No `User-Agent`.
    NoAgent,
    /// Search engine, archive, audit, monitoring.
    Crawler,
    /// Fetches a page to show its title and picture.
    Preview,
    /// HTTP library, command-line client or driven browser.
    Tool,
    /// The network belongs to a company that crawls from it.
    Network,
    /// Headers that no browser sends when a person follows a link; the name of the header that gave it away.
    Shape(&'static str),
}

/// Judges a request. `agent` is the reading of its `User-Agent` ([`agent::read`]), which callers keep.
#[must_use]
pub fn judge(shape: &Shape<'_>, agent: Agent) -> Verdict {
    if shape.head {
        return Verdict::Speculative(How::Head);
    }
    if is_prefetch(shape) {
        return Verdict::Speculative(How::Prefetch);
    }
    if let Agent::Program(why) = agent {
        return Verdict::Bot(why);
    }
    if shape.asn.is_some_and(networks::is_crawler) {
        return Verdict::Bot(Why::Network);
    }
    match impossible(shape, agent) {
        Some(header) => Verdict::Bot(Why::Shape(header)),
        None => Verdict::Person,
    }
}

/// Decisions 1: any parameters may follow the word.
fn is_prefetch(shape: &Shape<'_>) -> bool {
    let ahead = |value: &[u8]| contains(value, b"prefetch") || contains(value, b"preview");
    contains(shape.sec_purpose, b"prefetch")
        || ahead(shape.purpose)
        || ahead(shape.x_purpose)
        || contains(shape.x_moz, b"prefetch")
}

/// The header that no browser would have sent for a person's visit.
fn impossible(shape: &Shape<'_>, agent: Agent) -> Option<&'static str> {
    let Shape { fetch_mode, fetch_dest, brands, requested_with, accept, .. } = *shape;
    // `nested-navigate` was sent by Chrome 76 to 79.
    if !fetch_mode.is_empty() && !matches!(fetch_mode, b"navigate" | b"nested-navigate") {
        return Some("sec-fetch-mode");
    }
    // Empty when a script asks; a name of its own for images, styles, workers.
    if !fetch_dest.is_empty()
        && !matches!(fetch_dest, b"document" | b"iframe" | b"frame" | b"fencedframe" | b"nested-document")
    {
        return Some("sec-fetch-dest");
    }
    // Only Chromium sends brands, and says there when nobody looks at its window.
    if !brands.is_empty() && (agent == Agent::NotChromium || contains(brands, b"headless")) {
        return Some("sec-ch-ua");
    }
    // Android web views name their app here; scripts name themselves.
    if requested_with.eq_ignore_ascii_case(b"xmlhttprequest") {
        return Some("x-requested-with");
    }
    // A navigation takes pages, whatever else it takes. Clients that send no Accept at all are left alone: privacy
    // proxies remove it.
    if !accept.is_empty() && !contains(accept, b"text/html") && !contains(accept, b"*/*") {
        return Some("accept");
    }
    if shape.range {
        return Some("range");
    }
    shape.from.then_some("from")
}

/// ASCII search, any letter case; `needle` is in lower case.
fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    let Some(first) = needle.first() else { return true };
    // Most have nothing that begins like it.
    memchr2_iter(*first, first.to_ascii_uppercase(), haystack)
        .any(|at| haystack.get(at..at + needle.len()).is_some_and(|part| part.eq_ignore_ascii_case(needle)))
}
