//! Resolves a name once and hands on only the addresses that may be connected to.

use std::{net::SocketAddr, sync::Arc};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::Egress;

/// Why a name leads nowhere.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    #[error("the name does not resolve")]
    Unknown,
    #[error("the name leads to addresses that are not on the public internet")]
    Private,
}

/// The system's resolver behind the guard.
#[derive(Debug, Clone)]
pub(crate) struct Guarded(pub(crate) Arc<Egress>);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let egress = Arc::clone(&self.0);
        Box::pin(async move {
            let found =
                tokio::net::lookup_host((name.as_str(), 0)).await.map_err(|_| ResolveError::Unknown)?;
            let all: Vec<SocketAddr> = found.collect();
            if all.is_empty() {
                return Err(ResolveError::Unknown.into());
            }
            // A name with one private answer is an attempt to get through by luck: all or nothing.
            if !all.iter().all(|address| egress.permits(address.ip())) {
                return Err(ResolveError::Private.into());
            }
            Ok(Box::new(all.into_iter()) as Addrs)
        })
    }
}
