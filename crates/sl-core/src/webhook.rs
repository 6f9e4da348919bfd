//! Webhooks of the creator platform (contract D): is it signed, can it be used, what does it say.
//!
//! [`verify`] looks at the raw bytes before anything is parsed. [`envelope`] is the cheap look of the intake: it decides
//! between 200 and 202 (decisions 23). [`parse`] gives the typed event to attribution. Nothing here panics on any bytes.

mod parse;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

pub use parse::{Message, Parsed, Reason, Signal, Subscription, parse};

/// Whether `signature` (header `Signature`, hex in any case) is the HMAC-SHA256 of `raw_body` under one of `secrets`
/// (contract D.1). Several secrets are accepted during a change; each is compared in constant time.
#[must_use]
pub fn verify<S: AsRef<[u8]>>(secrets: &[S], raw_body: &[u8], signature: &str) -> bool {
    let Ok(claimed) = hex::decode(signature.trim()) else { return false };
    let mut valid = false;
    for secret in secrets {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_ref()) else { continue };
        mac.update(raw_body);
        // `verify_slice` compares in constant time; every secret is tried whatever came before.
        valid |= mac.verify_slice(&claimed).is_ok();
    }
    valid
}

/// The signature upstream would send: lower-case hex (contract D.1). For simulators and tests.
#[must_use]
pub fn sign(secret: &[u8], raw_body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return String::new() };
    mac.update(raw_body);
    hex::encode(mac.finalize().into_bytes())
}

/// What the intake needs to know of a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// `event`; empty when the body has none.
    pub event: String,
    /// `account_id`; absent on team-level events.
    pub account: Option<String>,
    /// The idempotency header, or `sha256:` and the hash of the body.
    pub key: String,
    /// The body can be used; otherwise it becomes a dead letter for this reason (202).
    pub usable: Result<(), Reason>,
}

/// Longest idempotency key that is kept as it is (contract D.1: a client caps it at 255 characters); a longer one is
/// replaced by its hash.
const KEY_MAX: usize = 255;

/// Reads as much as the intake needs. `idempotency_key` is the header `X-OFAPI-Idempotency-Key`, if it came.
#[must_use]
pub fn envelope(raw: &[u8], idempotency_key: Option<&str>) -> Envelope {
    let key = match idempotency_key.map(str::trim) {
        Some(key) if !key.is_empty() && key.len() <= KEY_MAX => key.to_owned(),
        Some(key) if !key.is_empty() => format!("sha256:{}", hex::encode(Sha256::digest(key))),
        _ => format!("sha256:{}", hex::encode(Sha256::digest(raw))),
    };
    let (event, account) = parse::names(raw);
    Envelope { event, account, key, usable: parse(raw).map(|_| ()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BODY: &[u8] = br#"{"event":"users.online","account_id":"acct_7f3a","payload":{}}"#;

    #[test]
    fn a_signature_of_any_current_secret_and_letter_case_is_accepted() {
        let signature = sign(b"old", BODY);
        assert!(verify(&["new", "old"], BODY, &signature));
        assert!(verify(&["old"], BODY, &signature.to_ascii_uppercase()));
        assert!(!verify(&["new"], BODY, &signature));
        assert!(!verify(&["old"], b"{}", &signature));
        assert!(!verify::<&str>(&[], BODY, &signature));
        assert!(!verify(&["old"], BODY, "not hex"));
        assert!(!verify(&["old"], BODY, ""));
    }

    #[test]
    fn the_signature_is_hmac_sha256_over_the_raw_bytes() {
        // RFC 4231, test case 2.
        let want = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(sign(b"Jefe", b"what do ya want for nothing?"), want);
    }

    #[test]
    fn a_webhook_without_a_key_is_known_by_the_hash_of_its_body() {
        let keyed = envelope(BODY, Some("evt_1"));
        assert_eq!((keyed.key.as_str(), keyed.event.as_str()), ("evt_1", "users.online"));
        assert_eq!(keyed.account.as_deref(), Some("acct_7f3a"));
        assert!(keyed.usable.is_ok());
        let keyless = envelope(BODY, None);
        assert!(keyless.key.starts_with("sha256:"));
        assert_eq!(keyless.key, envelope(BODY, Some("  ")).key);
        assert_ne!(keyless.key, envelope(b"{}", None).key);
        assert!(envelope(BODY, Some(&"x".repeat(300))).key.len() < 80);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(raw in proptest::collection::vec(any::<u8>(), 0..256), key in ".{0,40}") {
            let _ = envelope(&raw, Some(&key));
            let _ = verify(&[key.as_str()], &raw, &key);
        }

        #[test]
        fn no_payload_makes_it_panic(event in prop::sample::select(vec![
            "transactions.new", "subscriptions.new", "messages.received", "accounts.connected",
        ]), payload in ".{0,60}") {
            let body = format!(r#"{{"event":"{event}","account_id":"a","payload":{{"id":1,"amount":{payload}}}}}"#);
            let _ = parse(body.as_bytes());
        }
    }
}
