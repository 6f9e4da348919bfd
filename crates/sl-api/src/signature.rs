//! The two looks of the intake at a webhook: is it signed, and can it be used (contract D.1, decisions 23).

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Longest idempotency key that is kept as it is (contract D.1).
const KEY_LIMIT: usize = 255;

/// Whether `signature` is the HMAC-SHA256 of the raw bytes under one of `secrets`, compared in constant time.
pub(crate) fn verify<S: AsRef<[u8]>>(secrets: &[S], raw: &[u8], signature: &str) -> bool {
    let Ok(claimed) = hex::decode(signature.trim()) else { return false };
    let mut valid = false;
    for secret in secrets {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_ref()) else { continue };
        mac.update(raw);
        valid |= mac.verify_slice(&claimed).is_ok();
    }
    valid
}

/// What the intake needs to know of a body.
pub(crate) struct Envelope {
    pub(crate) event: String,
    pub(crate) account: Option<String>,
    pub(crate) key: String,
    pub(crate) usable: Result<(), &'static str>,
}

/// Reads as much as the answer needs; `idempotency_key` is the header, if it came.
pub(crate) fn envelope(raw: &[u8], idempotency_key: Option<&str>) -> Envelope {
    let key = match idempotency_key.map(str::trim) {
        Some(key) if !key.is_empty() && key.len() <= KEY_LIMIT => key.to_owned(),
        _ => format!("sha256:{}", hex::encode(Sha256::digest(raw))),
    };
    let value: Value = serde_json::from_slice(raw).unwrap_or_default();
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let usable = match (text("event"), value.get("payload")) {
        (Some(event), Some(payload)) if !event.is_empty() && payload.is_object() => Ok(()),
        _ => Err("event or payload is missing"),
    };
    Envelope { event: text("event").unwrap_or_default(), account: text("account_id"), key, usable }
}
