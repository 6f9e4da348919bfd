//! The one place that builds HTTP clients.

use std::time::Duration;

use reqwest::{Client, redirect::Policy};

/// A client without proxy, cookies and redirects.
///
/// # Errors
/// When the TLS provider or the resolver can't be set up.
pub fn build(connect: Duration, total: Duration, idle_per_host: usize) -> Result<Client, reqwest::Error> {
    // Somebody else of the process may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .connect_timeout(connect)
        .timeout(total)
        .pool_max_idle_per_host(idle_per_host)
        // Servers end idle connections after some seconds; a request that meets the end goes unanswered.
        .pool_idle_timeout(Duration::from_secs(1))
        .build()
}
