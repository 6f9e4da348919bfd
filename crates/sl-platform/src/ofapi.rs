//! The client of the OnlyFans API (contract E).
//!
//! * [`http`]: one request with its pace, retries and refusals · [`key`]: whether our key is accepted
//! * [`unreached`]: why no connection was made · [`wire`]: bodies in our nouns

mod http;
mod key;
mod unreached;
mod wire;

use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use sl_core::{
    ids::{AccountId, FanId, LinkKind, PoolLinkId},
    seal::Secret,
    time::Timestamp,
};

use self::http::{Call, Http};
use crate::{
    error::{PlatformError, Result},
    pacer::Priority,
    platform::{
        AccountList, CreatorPlatform, LinkPage, LinkSeen, LinkWish, PAGE, Page, ProfileSeen, SubscriberRow,
        TransactionPage,
    },
};

/// What the client needs to know.
#[derive(Debug, Clone)]
pub struct OfApiConfig {
    /// `platform.base_url`: an origin, without `/api`.
    pub base_url: reqwest::Url,
    /// `platform.api_key`.
    pub api_key: Secret,
    /// `platform.requests_per_minute`, at least 1. Default of the configuration: 900.
    pub requests_per_minute: u32,
    /// Longest time for one request. 30 s: upstream's own SDK waits 60 s, and a create that takes longer than 30 s is
    /// found by name.
    pub timeout: Duration,
}

/// The client can't be made.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The key can't stand in a header.
    #[error("platform.api_key: it holds characters that no HTTP header may hold; copy the key again")]
    Key,
    /// The base URL has no place for a path.
    #[error("platform.base_url: it must be an http or https address")]
    BaseUrl,
    /// TLS or the resolver could not be set up.
    #[error("the HTTP client can't be made: {0}")]
    Client(String),
}

/// The client; cheap to clone through an `Arc`. One per upstream key.
#[derive(Debug)]
pub struct OfApi {
    http: Http,
}

// === impl OfApi ===

impl OfApi {
    /// Makes the client. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// [`ConfigError`] naming the configuration key.
    pub fn new(config: OfApiConfig) -> std::result::Result<Self, ConfigError> {
        Ok(Self { http: Http::new(config)? })
    }

    /// Whether the key is refused: nothing else goes out until it is accepted again.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.http.is_refused()
    }
}

fn list(kind: LinkKind) -> &'static str {
    match kind {
        LinkKind::TrackingLink => "tracking-links",
        LinkKind::FreeTrial => "trial-links",
    }
}

#[async_trait]
impl CreatorPlatform for OfApi {
    async fn accounts(&self, priority: Priority) -> Result<AccountList> {
        let body = self.http.send(Call::get("accounts", &["accounts"], priority)).await?;
        wire::accounts(&body)
    }

    async fn me(&self, account: &AccountId, priority: Priority) -> Result<ProfileSeen> {
        let body = self.http.send(Call::get("me", &[account.as_str(), "me"], priority)).await?;
        wire::profile(&body)
    }

    async fn create(&self, account: &AccountId, wish: &LinkWish, priority: Priority) -> Result<LinkSeen> {
        let body = match wish.kind {
            LinkKind::TrackingLink => json!({"name": wish.name}),
            LinkKind::FreeTrial => json!({
                "name": wish.name,
                "duration": wish.trial_days,
                // Never expires by itself; 1 visitor or unlimited (contract E.2).
                "offerExpiration": 0,
                "offerLimit": u8::from(wish.single_use),
            }),
        };
        let (endpoint, path) = match wish.kind {
            LinkKind::TrackingLink => ("create_tracking_link", list(wish.kind)),
            LinkKind::FreeTrial => ("create_trial_link", list(wish.kind)),
        };
        let call = Call::post(endpoint, &[account.as_str(), path], body, priority);
        wire::created(&self.http.send(call).await?, wish.kind)
    }

    async fn links(&self, account: &AccountId, ask: LinkPage, priority: Priority) -> Result<Page<LinkSeen>> {
        let endpoint = match ask.kind {
            LinkKind::TrackingLink => "list_tracking_links",
            LinkKind::FreeTrial => "list_trial_links",
        };
        // Only the list of tracking links can be asked for deleted ones, too (contract E.1, E.2).
        let own: &[(&'static str, &str)] = match ask.kind {
            LinkKind::TrackingLink => &[("sortby", "created_date"), ("with_deleted", "1")],
            LinkKind::FreeTrial => &[("field", "create_date")],
        };
        let call = Call::get(endpoint, &[account.as_str(), list(ask.kind)], priority)
            .query("limit", PAGE)
            .query("offset", ask.offset)
            .query("sort", if ask.newest_first { "desc" } else { "asc" });
        let call = own.iter().fold(call, |call, (name, value)| call.query(name, value));
        wire::links(&self.http.send(call).await?, ask.kind)
    }

    async fn has_link(&self, account: &AccountId, link: PoolLinkId, priority: Priority) -> Result<bool> {
        let endpoint = match link.kind {
            LinkKind::TrackingLink => "get_tracking_link",
            LinkKind::FreeTrial => "get_trial_link",
        };
        let number = link.number.to_string();
        let call = Call::get(endpoint, &[account.as_str(), list(link.kind), &number], priority).once();
        match self.http.send(call).await {
            Ok(_) => Ok(true),
            Err(PlatformError::Refused { status: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn subscribers(
        &self,
        account: &AccountId,
        link: PoolLinkId,
        offset: u32,
        priority: Priority,
    ) -> Result<Page<SubscriberRow>> {
        let number = link.number.to_string();
        let path = [account.as_str(), list(link.kind), &number, "subscribers"];
        let call =
            Call::get("link_subscribers", &path, priority).query("limit", PAGE).query("offset", offset);
        wire::subscribers(&self.http.send(call).await?)
    }

    async fn add_to_list(
        &self,
        account: &AccountId,
        list: &str,
        fans: &[FanId],
        priority: Priority,
    ) -> Result<usize> {
        let ids: Vec<&str> = fans.iter().map(FanId::as_str).collect();
        let body = json!({"ids": ids, "skip_invalid": true});
        let path = [account.as_str(), "user-lists", list, "users"];
        let body = self.http.send(Call::post("add_to_list", &path, body, priority).repeatable()).await?;
        Ok(wire::refused(&body))
    }

    async fn transactions(
        &self,
        account: &AccountId,
        since: Timestamp,
        marker: Option<&str>,
        priority: Priority,
    ) -> Result<TransactionPage> {
        let mut call = Call::get("transactions", &[account.as_str(), "transactions"], priority)
            .query("limit", PAGE)
            .query("startDate", since.iso());
        if let Some(marker) = marker {
            call = call.query("marker", marker);
        }
        wire::transactions(&self.http.send(call).await?)
    }
}

impl From<reqwest::Error> for ConfigError {
    fn from(error: reqwest::Error) -> Self {
        Self::Client(error.without_url().to_string())
    }
}

/// What an answer that lacks a field is.
fn lacks(what: &'static str) -> PlatformError {
    PlatformError::Unreadable(what)
}
