//! Secrets of others at rest: XChaCha20-Poly1305, with the id of the key and a nonce given by the caller
//! (architecture 7, decisions 58).
//!
//! Layout of a sealed value: version `1`, key id (4 bytes), nonce (24 bytes), ciphertext with its tag (16 bytes more than
//! the plain text). The context is authenticated: a value sealed for one place does not open in another.

use std::fmt;

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305,
    aead::{Aead, Payload},
};
use sha2::{Digest, Sha256};

const VERSION: u8 = 1;
const ID_BYTES: usize = 4;

/// Bytes of a nonce. Random ones of this length never meet again.
pub const NONCE_BYTES: usize = 24;

/// Context of a pixel's access token; the same for all pixels, since a row is written after it got its number.
pub const PIXEL_TOKEN: &[u8] = b"pixel access token";

/// Context of a dashboard session cookie.
pub const SESSION: &[u8] = b"dashboard session";

/// A text that must not be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps it.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl AsRef<[u8]> for Secret {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// A sealed value does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It is not a sealed value.
    #[error("this is not a sealed value of a known version")]
    Malformed,
    /// No key with its id is at hand.
    #[error("sealed with another key: give the secrets.key it was written with")]
    UnknownKey,
    /// Changed, cut, or sealed for another place.
    #[error("the sealed value was changed or belongs elsewhere")]
    Forged,
    /// What was sealed is no text.
    #[error("the sealed value is no text")]
    NotText,
}

#[derive(Clone)]
struct OneKey {
    id: [u8; ID_BYTES],
    key: [u8; 32],
}

impl OneKey {
    fn new(key: [u8; 32]) -> Self {
        let digest = Sha256::new().chain_update(b"smartlinks seal key id").chain_update(key).finalize();
        let mut id = [0; ID_BYTES];
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Self { id, key }
    }
}

/// The keys of an installation: the first seals, all of them open.
#[derive(Clone)]
pub struct SealKeys {
    current: OneKey,
    older: Vec<OneKey>,
}

impl fmt::Debug for SealKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKeys(current {})", hex::encode(self.current.id))
    }
}

impl SealKeys {
    /// One key of 32 bytes (`secrets.key`).
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self { current: OneKey::new(key), older: Vec::new() }
    }

    /// Adds a key that only opens, for the time of a change.
    #[must_use]
    pub fn with_older(mut self, key: [u8; 32]) -> Self {
        self.older.push(OneKey::new(key));
        self
    }

    /// Seals `plain` for `context`. `nonce` must be random and fresh.
    #[must_use]
    pub fn seal(&self, context: &[u8], plain: &Secret, nonce: [u8; NONCE_BYTES]) -> Vec<u8> {
        let cipher = XChaCha20Poly1305::new(&self.current.key.into());
        let payload = Payload { msg: plain.expose().as_bytes(), aad: context };
        // It fails only above 256 GiB, which no text in memory reaches; an empty result opens nowhere.
        let sealed = cipher.encrypt(&nonce.into(), payload).unwrap_or_default();
        [&[VERSION][..], &self.current.id, &nonce, &sealed].concat()
    }

    /// Opens what [`Self::seal`] made for the same context.
    ///
    /// # Errors
    /// [`SealError`]; none of its texts shows anything of the value.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Secret, SealError> {
        let (version, rest) = sealed.split_first().ok_or(SealError::Malformed)?;
        let (id, rest) = rest.split_first_chunk::<ID_BYTES>().ok_or(SealError::Malformed)?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Malformed)?;
        if *version != VERSION {
            return Err(SealError::Malformed);
        }
        let mut known = std::iter::once(&self.current).chain(&self.older);
        let key = known.find(|key| key.id == *id).ok_or(SealError::UnknownKey)?;
        let cipher = XChaCha20Poly1305::new(&key.key.into());
        let payload = Payload { msg: text, aad: context };
        let plain = cipher.decrypt(&(*nonce).into(), payload).map_err(|_| SealError::Forged)?;
        String::from_utf8(plain).map(Secret).map_err(|_| SealError::NotText)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_token_opens_with_its_key_and_in_its_place_only() {
        let keys = SealKeys::new([1; 32]);
        let token = Secret::new("EAAB-token");
        let sealed = keys.seal(PIXEL_TOKEN, &token, [9; 24]);
        assert!(!sealed.windows(4).any(|part| part == b"EAAB"));
        assert_eq!(keys.open(PIXEL_TOKEN, &sealed), Ok(token.clone()));
        assert_eq!(keys.open(SESSION, &sealed), Err(SealError::Forged));
        assert_eq!(SealKeys::new([2; 32]).open(PIXEL_TOKEN, &sealed), Err(SealError::UnknownKey));
        let after_change = SealKeys::new([2; 32]).with_older([1; 32]);
        assert_eq!(after_change.open(PIXEL_TOKEN, &sealed), Ok(token));
    }

    #[test]
    fn no_changed_or_cut_value_opens() {
        let keys = SealKeys::new([1; 32]);
        let sealed = keys.seal(PIXEL_TOKEN, &Secret::new("token"), [9; 24]);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(keys.open(PIXEL_TOKEN, &changed).is_err(), "byte {at}");
            assert!(keys.open(PIXEL_TOKEN, &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn debug_shows_neither_key_nor_secret() {
        let keys = SealKeys::new([0x41; 32]);
        let shown = format!("{keys:?} {:?}", Secret::new("hunter2"));
        assert!(!shown.contains("4141") && !shown.contains("65, 65") && !shown.contains("hunter2"));
    }
}
