//! The egress guard: deliveries to destinations that users enter reach public addresses only (promise 9).
//!
//! A name is resolved once, by us, and the connection goes to an address of that answer that passed: what was checked is
//! what is connected to. Literal addresses never reach a resolver and are checked in the URL. `egress.allow` makes
//! exceptions: a CIDR for every port, `host:port` for that name and port (decisions 18).

mod ranges;
mod resolver;

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use ipnet::IpNet;
use url::{Host, Url};

use resolver::Names;
pub(crate) use resolver::{Guarded, ResolveError};

/// Exceptions from `egress.allow`.
#[derive(Debug, Clone, Default)]
pub struct Egress {
    nets: Vec<IpNet>,
    hosts: Vec<(String, u16)>,
    names: Names,
}

/// An entry of `egress.allow` that is neither a CIDR nor `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is neither a network such as \"10.1.0.0/16\" nor \"host:port\" such as \"collector.internal:8080\""
)]
pub struct BadException(pub String);

/// Why a destination is not delivered to, in words for the person who entered it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// Anything but http and https.
    #[error("the scheme {0:?} can't be delivered to; use https")]
    Scheme(String),
    /// `https://name:password@…`.
    #[error("a name and password in the address are not sent; put a token into the query")]
    Userinfo,
    /// No host at all.
    #[error("the address has no host")]
    NoHost,
    /// An address that is not on the public internet.
    #[error("the address {0} is not on the public internet; use a public host, or add it to egress.allow")]
    Private(IpAddr),
}

impl Egress {
    /// From the entries of `egress.allow`.
    ///
    /// # Errors
    /// [`BadException`] with the first entry that is none.
    pub fn new(entries: &[String]) -> Result<Self, BadException> {
        let mut egress = Self::default();
        for entry in entries {
            let entry = entry.trim();
            if let Ok(net) = IpNet::from_str(entry) {
                egress.nets.push(net);
            } else if let Ok(ip) = IpAddr::from_str(entry) {
                egress.nets.push(IpNet::from(ip));
            } else {
                egress.hosts.push(host_and_port(entry).ok_or_else(|| BadException(entry.to_owned()))?);
            }
        }
        Ok(egress)
    }

    /// Asks these DNS servers for names, and nobody else; the system when there are none (`egress.dns`).
    ///
    /// # Errors
    /// What the resolver says when it can't be made of them.
    pub fn asking(mut self, servers: &[SocketAddr]) -> Result<Self, String> {
        self.names = Names::of(servers)?;
        Ok(self)
    }

    /// Checks what the URL itself shows: scheme, userinfo, literal addresses in every spelling that URL parsers accept.
    /// A name is checked when it is connected to.
    ///
    /// # Errors
    /// [`Forbidden`].
    pub fn check(&self, url: &Url) -> Result<(), Forbidden> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Forbidden::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Forbidden::Userinfo);
        }
        let ip = match url.host() {
            None => return Err(Forbidden::NoHost),
            Some(Host::Domain(_)) => return Ok(()),
            Some(Host::Ipv4(ip)) => IpAddr::V4(ip),
            Some(Host::Ipv6(ip)) => IpAddr::V6(ip),
        };
        if self.permits(ip) || self.names(url) { Ok(()) } else { Err(Forbidden::Private(ip)) }
    }

    /// Whether this address may be connected to.
    pub(crate) fn permits(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ranges::is_public(ip) || self.nets.iter().any(|net| net.contains(&ip))
    }

    /// Whether this host and port are an exception by name: then it may be anywhere.
    pub(crate) fn names(&self, url: &Url) -> bool {
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return false };
        self.hosts.iter().any(|(name, at)| *at == port && name.eq_ignore_ascii_case(host))
    }
}

/// Reads `host:port`, brackets around IPv6, as URL parsers spell the host.
fn host_and_port(entry: &str) -> Option<(String, u16)> {
    let port = entry.rsplit_once(':')?.1.parse().ok()?;
    let url = Url::parse(&format!("http://{entry}/")).ok()?;
    let bare = url.username().is_empty() && url.path() == "/" && url.query().is_none();
    bare.then(|| url.host_str().map(|host| (host.to_owned(), port))).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(egress: &Egress, url: &str) -> Result<(), Forbidden> {
        egress.check(&Url::parse(url).unwrap())
    }

    #[test]
    fn every_spelling_of_a_private_address_is_refused() {
        for url in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://0x7f.1/",
            "http://127.0.0.1./",
            "http://0/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://[0:0:0:0:0:0:0:1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[fd00::1]/",
            "http://169.254.169.254/latest/meta-data",
            "http://[fe80::1]/",
            "https://10.0.0.1:8443/x",
            "http://①②⑦.0.0.1/",
            "http://127。0。0。1/",
            "http://%31%32%37.0.0.1/",
        ] {
            assert!(matches!(check(&Egress::default(), url), Err(Forbidden::Private(_))), "{url}");
        }
    }

    #[test]
    fn other_schemes_and_userinfo_are_refused() {
        for url in ["file:///etc/passwd", "ftp://example.com/", "gopher://example.com/", "data:text/plain,x"]
        {
            assert!(matches!(check(&Egress::default(), url), Err(Forbidden::Scheme(_))), "{url}");
        }
        for url in ["http://user@example.com/", "https://user:pw@example.com/", "http://:pw@example.com/"] {
            assert_eq!(check(&Egress::default(), url), Err(Forbidden::Userinfo), "{url}");
        }
    }

    #[test]
    fn public_hosts_pass() {
        for url in ["https://track.example.com/pb?x=1", "http://8.8.8.8/", "https://[2606:4700::1]:8443/"] {
            assert_eq!(check(&Egress::default(), url), Ok(()), "{url}");
        }
    }

    #[test]
    fn an_exception_opens_what_it_names_and_nothing_else() {
        let entries =
            ["10.1.0.0/16", "127.0.0.1:9000", "collector.internal:8080", "[::1]:9001"].map(str::to_owned);
        let egress = Egress::new(&entries).unwrap();
        for url in
            ["http://10.1.2.3:81/", "http://127.0.0.1:9000/", "http://2130706433:9000/", "http://[::1]:9001/"]
        {
            assert_eq!(check(&egress, url), Ok(()), "{url}");
        }
        for url in ["http://10.2.2.3/", "http://127.0.0.1:9001/", "http://127.0.0.1/", "http://[::1]:9000/"] {
            assert!(check(&egress, url).is_err(), "{url}");
        }
        let names = |url: &str| egress.names(&Url::parse(url).unwrap());
        assert!(names("http://COLLECTOR.internal:8080/x") && !names("http://collector.internal:8081/x"));
        assert!(!names("http://evil.collector.internal:8080/x"));
    }

    #[test]
    fn a_bad_exception_is_named() {
        for entry in ["collector", "http://x:80", "10.0.0.0/40", "x:99999", "a@b:80", "x:80/y", ""] {
            assert_eq!(Egress::new(&[entry.to_owned()]).unwrap_err(), BadException(entry.to_owned()));
        }
    }
}
