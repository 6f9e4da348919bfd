//! Build rules that platforms share (ad-platforms 1).

use sha2::{Digest, Sha256};

/// SHA-256 of a normalised value, lower-case hex (ad-platforms 1.4).
pub(crate) fn digest(value: &str) -> String {
    hex::encode(Sha256::digest(value))
}

/// The click URL without fragment, keeping only campaign parameters and the platform's own click id, in their order and
/// encoding (ad-platforms 1.6).
pub(crate) fn source_url(click_url: &str, click_id: &str) -> String {
    const CAMPAIGN: [&str; 6] =
        ["utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "utm_id"];
    let url = click_url.split('#').next().unwrap_or_default();
    let Some((base, query)) = url.split_once('?') else { return url.to_owned() };
    let name = |pair: &str| pair.split('=').next().unwrap_or_default().to_owned();
    let keep = |pair: &&str| CAMPAIGN.contains(&name(pair).as_str()) || name(pair) == click_id;
    let kept: Vec<&str> = query.split('&').filter(keep).collect();
    if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) }
}
