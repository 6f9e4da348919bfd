//! How a simulated platform is set up.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use sl_core::{money::Cents, seal::Secret, time::Clock};
use url::Url;

/// What [`super::PlatformSim::bind`] wants to know.
#[derive(Clone)]
pub struct PlatformConfig {
    /// Address to listen on; port 0 for any.
    pub listen: SocketAddr,
    /// Decides every choice.
    pub seed: u64,
    /// Where webhooks go; `None`: they wait until [`super::PlatformSim::set_webhook`].
    pub webhook_url: Option<Url>,
    /// Signing secret of the webhooks (contract D.1).
    pub webhook_secret: Secret,
    /// The bearer key of the API.
    pub api_key: Secret,
    /// The creators it knows.
    pub accounts: Vec<AccountSetup>,
    /// Which faults it has, and how often.
    pub faults: Faults,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
}

impl PlatformConfig {
    /// A platform on any port of this machine, with the webhook faults of [`Faults::usual`].
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, seed: u64, api_key: Secret, webhook_secret: Secret) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            seed,
            webhook_url: None,
            webhook_secret,
            api_key,
            accounts: Vec::new(),
            faults: Faults::usual(),
            clock,
        }
    }
}

/// One creator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSetup {
    /// `acct_…`.
    pub id: String,
    /// The creator's handle.
    pub username: String,
    /// The creator's name, as people see it.
    pub display_name: String,
    /// The creator's user id.
    pub onlyfans_id: u64,
    /// Price of a month; free trials can be made when it is above zero (contract A.6.1).
    pub price: Cents,
    /// The platform is logged in.
    pub is_authenticated: bool,
}

impl AccountSetup {
    /// A paid page at 10.00, logged in.
    #[must_use]
    pub fn new(id: &str, username: &str, onlyfans_id: u64) -> Self {
        Self {
            id: id.to_owned(),
            username: username.to_owned(),
            display_name: username.to_owned(),
            onlyfans_id,
            price: Cents(1000),
            is_authenticated: true,
        }
    }
}

/// How the platform misbehaves. Shares are per call or event, 0.0 to 1.0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Faults {
    /// API calls that are answered 500 without being done.
    pub failing: f64,
    /// Creations that are done, but answered 504.
    pub unanswered: f64,
    // The rest is about webhooks.
    /// Sent a second time, with the same idempotency key, though the first was taken.
    pub duplicated: f64,
    /// Held back for up to [`Faults::longest_delay`], so that later events overtake it.
    pub delayed: f64,
    /// Longest delay of a held-back event.
    pub longest_delay: Duration,
    /// Redelivered by hand some time later, with `X-OFAPI-Redelivery-Of`.
    pub redelivered: f64,
    /// Accompanied by a signed event that can't be used.
    pub malformed: f64,
    /// Accompanied by a copy with a wrong signature.
    pub forged: f64,
    /// A transaction starts as `loading` and is told again as `done`.
    pub settled_later: f64,
    /// After this time such a transaction is `done`.
    pub settles_after: Duration,
    /// Wait before the second attempt; doubles with each, up to 64 times.
    pub retry_after: Duration,
}

impl Faults {
    /// A well-behaved platform: each event once, at once. Refused events are sent again all the same.
    #[must_use]
    pub fn none() -> Self {
        Self {
            failing: 0.0,
            unanswered: 0.0,
            duplicated: 0.0,
            delayed: 0.0,
            longest_delay: Duration::ZERO,
            redelivered: 0.0,
            malformed: 0.0,
            forged: 0.0,
            settled_later: 0.0,
            settles_after: Duration::from_secs(1),
            retry_after: Duration::from_millis(250),
        }
    }

    /// What a busy day looks like.
    #[must_use]
    pub fn usual() -> Self {
        Self {
            failing: 0.005,
            unanswered: 0.01,
            duplicated: 0.05,
            delayed: 0.2,
            longest_delay: Duration::from_millis(1500),
            redelivered: 0.02,
            malformed: 0.01,
            forged: 0.01,
            settled_later: 0.3,
            ..Self::none()
        }
    }
}
