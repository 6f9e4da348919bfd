//! Which destinations may be saved.

use url::{Host, Url};

/// Refuses schemes, userinfo and literal addresses that are not public. Names are checked when they are connected to.
///
/// # Errors
/// Why, in words for the person who entered it.
pub(crate) fn check(url: &Url) -> Result<(), String> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("the scheme {:?} can't be delivered to; use https", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a name and password in the address are not sent; put a token into the query".to_owned());
    }
    match url.host() {
        Some(Host::Domain(_)) => Ok(()),
        Some(Host::Ipv4(ip))
            if !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_broadcast()) =>
        {
            Ok(())
        }
        _ => Err("the address is not on the public internet; use a public host name".to_owned()),
    }
}
