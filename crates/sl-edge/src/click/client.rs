//! The visitor's own address, looked up through the proxies that are believed.

use std::net::{IpAddr, SocketAddr};

use http::HeaderName;
use ipnet::IpNet;

use super::headers::Lines;

/// Whom we believe about addresses.
pub(crate) struct Proxies {
    trusted: Vec<IpNet>,
    header: HeaderName,
}

impl Proxies {
    /// Believes `header` from `trusted`.
    pub(crate) fn new(trusted: Vec<IpNet>, header: HeaderName) -> Self {
        Self { trusted, header }
    }

    /// Walks the list from its end, the nearest proxy, to the first address that is no proxy of ours. What can't be read
    /// ends the walk: the proxy that sent it is then the best we know.
    pub(super) fn client(&self, peer: IpAddr, lines: &Lines<'_>) -> IpAddr {
        let mut nearest = peer.to_canonical();
        if !self.trusts(nearest) {
            return nearest;
        }
        let listed = lines.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
        for text in listed {
            let Some(ip) = address(text) else { break };
            nearest = ip;
            if !self.trusts(ip) {
                break;
            }
        }
        nearest
    }

    /// The name of the header that is believed.
    pub(crate) fn header(&self) -> &str {
        self.header.as_str()
    }

    fn trusts(&self, ip: IpAddr) -> bool {
        self.trusted.iter().any(|net| net.contains(&ip))
    }
}

/// `203.0.113.7`, `203.0.113.7:4711`, `2001:db8::7`, `[2001:db8::7]` or `[2001:db8::7]:4711`.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let ip = bare.parse().ok().or_else(|| text.parse().ok().map(|socket: SocketAddr| socket.ip()))?;
    Some(ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, lines: &[&'static str]) -> String {
        let header = HeaderName::from_static("x-forwarded-for");
        let trusted = vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let mut listed = Lines::default();
        lines.iter().for_each(|line| listed.push(line.as_bytes()));
        Proxies::new(trusted, header).client(peer.parse().unwrap(), &listed).to_string()
    }

    #[test]
    fn a_stranger_is_not_believed() {
        assert_eq!(client("203.0.113.7", &["198.51.100.1"]), "203.0.113.7");
    }

    #[test]
    fn the_list_is_read_from_its_end_past_our_own_proxies() {
        assert_eq!(client("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["6.6.6.6, 198.51.100.1, 10.0.0.2"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["6.6.6.6, 198.51.100.1", "10.0.0.2"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["10.0.0.9"]), "10.0.0.9", "a visitor from inside");
        assert_eq!(client("::ffff:10.0.0.1", &["2001:db8::7"]), "2001:db8::7");
    }

    #[test]
    fn ports_and_brackets_are_understood_and_nonsense_ends_the_walk() {
        assert_eq!(client("fd00::1", &["[2001:db8::7]:4711"]), "2001:db8::7");
        assert_eq!(client("fd00::1", &["[2001:db8::7]"]), "2001:db8::7");
        assert_eq!(client("fd00::1", &["198.51.100.1:80"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["198.51.100.1, unknown"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
    }
}
