//! Resolves a name once and hands on only the addresses that may be connected to.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use hickory_resolver::{
    TokioResolver,
    config::{
        ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
    },
    net::runtime::TokioRuntimeProvider,
};
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

/// Who is asked for the addresses of a name.
#[derive(Clone, Default)]
pub(crate) enum Names {
    /// The system, with its hosts file.
    #[default]
    System,
    /// Servers of the operator's choice, and nobody else.
    Servers(Box<TokioResolver>),
}

impl Names {
    /// Asks these servers, over UDP and, for long answers, TCP.
    pub(super) fn of(servers: &[SocketAddr]) -> Result<Self, String> {
        if servers.is_empty() {
            return Ok(Self::System);
        }
        let servers = servers.iter().map(|server| {
            let ways = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut way| {
                way.port = server.port();
                way
            });
            NameServerConfig::new(server.ip(), true, ways.to_vec())
        });
        let config = ResolverConfig::from_name_servers(servers.collect());
        let mut options = ResolverOpts::default();
        options.use_hosts_file = ResolveHosts::Never;
        // Every address there is: one private among them refuses the name.
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let resolver = resolver.with_options(options).build();
        resolver.map(|resolver| Self::Servers(Box::new(resolver))).map_err(|error| error.to_string())
    }

    async fn look_up(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        match self {
            Self::System => {
                let found = tokio::net::lookup_host((name, 0)).await.map_err(|_| ResolveError::Unknown)?;
                Ok(found.map(|address| address.ip()).collect())
            }
            Self::Servers(resolver) => {
                let found = resolver.lookup_ip(name).await.map_err(|_| ResolveError::Unknown)?;
                Ok(found.iter().collect())
            }
        }
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "System",
            Self::Servers(_) => "Servers",
        })
    }
}

/// A resolver behind the guard.
#[derive(Debug, Clone)]
pub(crate) struct Guarded(pub(crate) Arc<Egress>);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let egress = Arc::clone(&self.0);
        Box::pin(async move {
            let all = egress.names.look_up(name.as_str()).await?;
            if all.is_empty() {
                return Err(ResolveError::Unknown.into());
            }
            // A name with one private answer is an attempt to get through by luck: all or nothing.
            if !all.iter().all(|ip| egress.permits(*ip)) {
                return Err(ResolveError::Private.into());
            }
            Ok(Box::new(all.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs)
        })
    }
}
