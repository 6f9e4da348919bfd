//! The Smart Links there are, read from the management API.

use std::time::Duration;

use serde::Deserialize;
use sl_core::{ids::SmartLinkId, seal::Secret};
use url::Url;

use super::config::{Target, TrafficError};

/// Most links that are read: one page (contract A.4.4).
const MOST: usize = 1000;

#[derive(Deserialize)]
struct Page {
    data: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    id: SmartLinkId,
    account: Account,
}

#[derive(Deserialize)]
struct Account {
    id: String,
    username: String,
}

/// The newest 1,000 Smart Links of a team. `window` is `attribution.window`, which the contract does not show.
///
/// # Errors
/// [`TrafficError::Discover`] when the API can't be asked or answers otherwise than contract A.6.2.
pub async fn discover(
    admin_url: &Url,
    api_key: &Secret,
    window: Duration,
) -> Result<Vec<Target>, TrafficError> {
    let wrong = |why: String| TrafficError::Discover(why);
    let http = crate::client::build(Duration::from_secs(5), Duration::from_secs(30), 1)?;
    let url = admin_url
        .join(&format!("/api/smart-links?limit={MOST}"))
        .map_err(|error| wrong(error.to_string()))?;
    let response = http.get(url).bearer_auth(api_key.expose()).send().await;
    let response = response.map_err(|error| wrong(error.without_url().to_string()))?;
    if !response.status().is_success() {
        return Err(wrong(format!("it answered {}", response.status())));
    }
    let page: Page = response.json().await.map_err(|error| wrong(error.without_url().to_string()))?;
    let targets = page.data.into_iter().map(|row| Target {
        id: row.id,
        account: row.account.id,
        username: row.account.username,
        window,
    });
    Ok(targets.collect())
}
