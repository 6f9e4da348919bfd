//! What an operator sets about the edge (`edge.*`), and why it may be refused.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use ipnet::IpNet;

/// Settings of the edge; the field names are the keys under `edge.`.
#[derive(Debug, Clone)]
pub struct EdgeConfig {
    /// Address of the public listener. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Accept threads, at least 1. Each runs a runtime of its own.
    pub threads: usize,
    /// Connections of the whole process; past it, 503 with `Retry-After`.
    pub max_connections: usize,
    /// Longest time from the first byte of a request to the end of its header, and longest idle time between requests.
    pub header_timeout: Duration,
    /// Request line and header together, in bytes; past it, 431. At least 1 KiB.
    pub max_header_bytes: usize,
    /// Longest wait for the disk before a click counts as `late`: at least 1 ms, below `header_timeout`.
    pub durable_wait: Duration,
    /// Peers whose `client_ip_header` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Header that carries the visitor's address, nearest proxy last.
    pub client_ip_header: String,
    /// First-party visitor cookie.
    pub cookie: bool,
}

impl Default for EdgeConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8080)),
            threads: std::thread::available_parallelism().map_or(1, Into::into),
            max_connections: 20_000,
            header_timeout: Duration::from_secs(5),
            max_header_bytes: 16 * 1024,
            durable_wait: Duration::from_millis(20),
            trusted_proxies: Vec::new(),
            client_ip_header: "x-forwarded-for".to_owned(),
            cookie: true,
        }
    }
}

/// The edge can't start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// A setting is out of its range.
    #[error("edge.{key} = {value}: {remedy}")]
    Config {
        /// Key under `edge.`.
        key: &'static str,
        /// The value as it was set.
        value: String,
        /// What is wrong and what to do.
        remedy: &'static str,
    },
    /// The port is taken, or not ours to take.
    #[error("edge.listen = {address}: {source}; free the address or choose another")]
    Listen {
        /// Address that can't be listened on.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A thread or its runtime could not be made.
    #[error("an edge thread can't start: {0}")]
    Thread(std::io::Error),
    /// An edge thread ended before it was told to.
    #[error("an edge thread died; see the log for its panic")]
    Died,
}

impl EdgeConfig {
    /// Checks every range.
    ///
    /// # Errors
    /// [`EdgeError::Config`] for the first setting out of range.
    pub fn check(&self) -> Result<(), EdgeError> {
        let wrong = |key, value, remedy| Err(EdgeError::Config { key, value, remedy });
        if self.threads == 0 {
            return wrong("threads", "0".to_owned(), "nobody would accept connections; set at least 1");
        }
        if self.max_connections == 0 {
            return wrong("max_connections", "0".to_owned(), "every visitor would get 503; set at least 1");
        }
        if self.header_timeout.is_zero() {
            return wrong("header_timeout", "0s".to_owned(), "every request would be too slow; set about 5s");
        }
        if self.max_header_bytes < 1024 {
            let value = self.max_header_bytes.to_string();
            return wrong("max_header_bytes", value, "browsers send about 1 KiB; set at least 1024");
        }
        let wait = sl_core::time::written(self.durable_wait);
        if self.durable_wait < Duration::from_millis(1) {
            return wrong(
                "durable_wait",
                wait,
                "no disk is that fast and every click would be late; set at least 1ms",
            );
        }
        if self.durable_wait >= self.header_timeout {
            return wrong(
                "durable_wait",
                wait,
                "not below edge.header_timeout, so a stalled disk would hold every visitor; lower it",
            );
        }
        if http::HeaderName::from_bytes(self.client_ip_header.as_bytes()).is_err() {
            return wrong("client_ip_header", format!("{:?}", self.client_ip_header), "not a header name");
        }
        Ok(())
    }
}
