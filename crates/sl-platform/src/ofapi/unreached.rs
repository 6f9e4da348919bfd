//! Why no connection was made. The client's own text is not used: it holds the address.

use std::{error::Error, io};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::error::Unreached;

/// The system's resolver, whose failure can be told from others.
#[derive(Debug, Clone, Copy)]
pub(super) struct SystemNames;

/// The system knows no address.
#[derive(Debug, thiserror::Error)]
#[error("the name does not resolve")]
struct NoName;

impl Resolve for SystemNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(|_| NoName)?;
            let found: Vec<_> = found.collect();
            if found.is_empty() { Err(NoName.into()) } else { Ok(Box::new(found.into_iter()) as Addrs) }
        })
    }
}

/// `None` when a connection stood, or may have: the call may have had its effect.
pub(super) fn unreached(error: &reqwest::Error) -> Option<Unreached> {
    if error.is_builder() {
        return Some(unmade());
    }
    error.is_connect().then(|| cause(error))
}

/// The address can't be asked at all.
pub(super) fn unmade() -> Unreached {
    Unreached::Other("platform.base_url can't be asked".to_owned())
}

/// The first link of the chain that says something.
fn cause(error: &reqwest::Error) -> Unreached {
    let mut at = error.source();
    while let Some(inner) = at {
        if inner.is::<NoName>() {
            return Unreached::Name;
        }
        if let Some(tls) = tls(inner) {
            return Unreached::Tls(tls.to_string());
        }
        match inner.downcast_ref::<io::Error>() {
            Some(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Unreached::Refused,
            Some(error) if error.raw_os_error().is_some() => return Unreached::Other(error.to_string()),
            _ => {}
        }
        at = inner.source();
    }
    if error.is_timeout() { Unreached::Late } else { Unreached::Other("the connection broke".to_owned()) }
}

/// A failure of TLS, however often it is wrapped: the `source` of an I/O error is that of the error it wraps.
fn tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut error = error;
    while let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        error = inner;
    }
    error.downcast_ref()
}
