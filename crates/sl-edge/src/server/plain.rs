//! The short way of most requests: a whole `GET /go/…` that arrives in one piece, with nothing said about the connection
//! or a body.
//!
//! It is parsed where it was read, by the parser hyper uses, and answered in one write; no header is copied and no map
//! is made. Whatever is not exactly this (another method or address, HTTP/1.0, a header that comes in pieces or too
//! slowly, pipelining, garbage, the stop of the service) is hyper's from then on, with the bytes that were read.

use std::mem::MaybeUninit;

use http::Method;
use httparse::{Header, Request, Status};
use memchr::{memchr, memrchr};

use crate::click::Asked;

/// Longest request that is read here, in bytes.
pub(super) const LONGEST: usize = 8192;
/// Most headers of a request that is read here.
const MOST_HEADERS: usize = 64;

/// Memory for the headers of a request.
pub(super) type Headers<'a> = [MaybeUninit<Header<'a>>; MOST_HEADERS];

/// None yet.
pub(super) const fn no_headers<'a>() -> Headers<'a> {
    [const { MaybeUninit::uninit() }; MOST_HEADERS]
}

/// A request that is all of `got` and plain.
pub(super) fn parse<'a>(got: &'a [u8], headers: &mut Headers<'a>, forwarded: &str) -> Option<Asked<'a>> {
    let mut request = Request::new(&mut []);
    let parsed = request.parse_with_uninit_headers(got, headers);
    if parsed != Ok(Status::Complete(got.len()))
        || request.method != Some("GET")
        || request.version != Some(1)
    {
        return None;
    }
    let target = request.path.filter(|target| is_plain(target))?;
    let headers = request.headers.iter().map(|header| (header.name, header.value));
    Some(Asked::new(&Method::GET, target, headers, forwarded)).filter(|asked| !asked.is_special())
}

/// Bytes as hyper takes them. Its parser refuses some that ads send (a macro `<ad_id>` that nobody replaced, a letter in an old
/// encoding): in the address of a redirect they are written as they should have been, so that the visitor gets there.
pub(super) fn acceptable(got: &[u8]) -> Vec<u8> {
    let end = memchr(b'\n', got).unwrap_or(got.len());
    let (line, rest) = got.split_at(end);
    let (first, last) = (memchr(b' ', line), memrchr(b' ', line));
    let target = first.zip(last).and_then(|(first, last)| line.get(first + 1..last));
    let Some(target) = target.filter(|target| target.starts_with(b"/go/")) else { return got.to_vec() };
    let is_text = str::from_utf8(target).is_ok();
    let is_refused = |byte: &u8| matches!(byte, b'"' | b'<' | b'>') || (!is_text && !byte.is_ascii());
    if !target.iter().any(is_refused) {
        return got.to_vec();
    }
    let mut bytes = Vec::with_capacity(got.len() + 64);
    bytes.extend_from_slice(line.get(..=first.unwrap_or(0)).unwrap_or_default());
    for byte in target {
        match is_refused(byte) {
            true => bytes.extend_from_slice(format!("%{byte:02X}").as_bytes()),
            false => bytes.push(*byte),
        }
    }
    bytes.extend_from_slice(line.get(last.unwrap_or(end)..).unwrap_or_default());
    bytes.extend_from_slice(rest);
    bytes
}

/// Path and query of a redirect, in characters that mean the same to everybody.
fn is_plain(target: &str) -> bool {
    // Without a branch: many bytes at once.
    let other = |byte: u8| {
        let outside = (byte <= b' ') | (byte >= 0x7f);
        let marks = [b'"', b'#', b'<', b'>', b'[', b'\\', b']', b'^', b'`', b'{', b'}'];
        marks.iter().fold(outside, |other, mark| other | (byte == *mark))
    };
    target.starts_with("/go/") && !target.bytes().fold(false, |any, byte| any | other(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_read_here(text: &str) -> bool {
        let mut headers = no_headers();
        parse(text.as_bytes(), &mut headers, "x-forwarded-for").is_some()
    }

    #[test]
    fn a_whole_get_of_a_redirect_is_plain() {
        assert!(is_read_here(
            "GET /go/01?fbclid=a_b-c.d%20e+f HTTP/1.1\r\nHost: x\r\nConnection: Keep-Alive\r\n\r\n"
        ));
    }

    #[test]
    fn a_target_is_plain_by_each_of_its_characters() {
        for byte in 0..128_u8 {
            let plain = byte.is_ascii_graphic() && !b"\"#<>[\\]^`{}".contains(&byte);
            // Alone, and among as many as are looked at together.
            for filler in [0, 100] {
                let target = format!("/go/{}{}{}", "a".repeat(filler), char::from(byte), "b".repeat(filler));
                assert_eq!(is_plain(&target), plain, "{byte} after {filler}");
            }
        }
        assert!(!is_plain("/go/\u{e9}"));
    }

    #[test]
    fn an_address_is_written_as_it_should_have_been_and_nothing_else_is_touched() {
        for (sent, want) in [
            (
                &b"GET /go/01?a=<ad_id>&b=\"x\" HTTP/1.1\r\nHost: <x>\r\n\r\n"[..],
                "GET /go/01?a=%3Cad_id%3E&b=%22x%22 HTTP/1.1\r\nHost: <x>\r\n\r\n",
            ),
            (b"GET /go/01?a=\xe9 HTTP/1.0\r\n\r\n", "GET /go/01?a=%E9 HTTP/1.0\r\n\r\n"),
            ("GET /go/01?a=\u{e9} HTTP/1.1\r\n".as_bytes(), "GET /go/01?a=\u{e9} HTTP/1.1\r\n"),
            (b"GET /api?a=<b> HTTP/1.1\r\n\r\n", "GET /api?a=<b> HTTP/1.1\r\n\r\n"),
            (b"GET /go/01?a=<b>", "GET /go/01?a=<b>"),
            (b"", ""),
            (b" ", " "),
        ] {
            assert_eq!(String::from_utf8_lossy(&acceptable(sent)), want);
        }
    }

    #[test]
    fn everything_else_is_left_to_hyper() {
        for (why, text) in [
            ("a method", "HEAD /go/01 HTTP/1.1\r\n\r\n"),
            ("an address", "GET /healthz HTTP/1.1\r\n\r\n"),
            ("an absolute address", "GET http://x/go/01 HTTP/1.1\r\n\r\n"),
            ("a fragment", "GET /go/01#x HTTP/1.1\r\n\r\n"),
            ("a macro", "GET /go/01?a={{ad.id}} HTTP/1.1\r\n\r\n"),
            ("a character", "GET /go/01?a=\u{e9} HTTP/1.1\r\n\r\n"),
            ("a version", "GET /go/01 HTTP/1.0\r\n\r\n"),
            ("a part", "GET /go/01 HTTP/1.1\r\nHost: x\r\n"),
            ("a pipeline", "GET /go/01 HTTP/1.1\r\n\r\nGET /go/02 HTTP/1.1\r\n\r\n"),
            ("the end of the connection", "GET /go/01 HTTP/1.1\r\nConnection: close\r\n\r\n"),
            ("a body", "GET /go/01 HTTP/1.1\r\nContent-Length: 1\r\n\r\n"),
            ("a chunked body", "GET /go/01 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"),
            ("an expectation", "GET /go/01 HTTP/1.1\r\nExpect: 100-continue\r\n\r\n"),
            ("another protocol", "GET /go/01 HTTP/1.1\r\nUpgrade: h2c\r\n\r\n"),
            ("garbage", "\u{16}\u{3}\u{1}"),
        ] {
            assert!(!is_read_here(text), "{why}");
        }
        let many: String = (0..=MOST_HEADERS).map(|number| format!("x-{number}: y\r\n")).collect();
        assert!(!is_read_here(&format!("GET /go/01 HTTP/1.1\r\n{many}\r\n")));
    }
}
