//! SHA-256 of what is short, by the library's compression: its hasher can take any number of bytes, at a price.

use sha2::{Digest, Sha256, block_api::compress256};

use crate::click::VisitorId;

/// The first half of a digest.
pub(super) fn half(digest: [u8; 32]) -> [u8; 16] {
    let [head @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = digest;
    head
}

/// What is hashed in one go: a few headers are hardly ever longer than four blocks of SHA-256. The library's hasher, which can
/// take any number of bytes, takes half as long again.
pub(super) struct Text {
    bytes: [u8; Self::LONGEST],
    used: usize,
    /// All of it, when it is longer.
    long: Option<Sha256>,
}

impl Text {
    const BLOCK: usize = 64;
    const LONGEST: usize = 4 * Self::BLOCK;
    /// Behind the text come a byte and its length in bits (FIPS 180-4, 5.1.1).
    const PADDING: usize = 9;

    pub(super) fn new() -> Self {
        Self { bytes: [0; Self::LONGEST], used: 0, long: None }
    }

    /// Bytes whose number is known where this is compiled.
    #[inline]
    pub(super) fn add_few<const LENGTH: usize>(&mut self, part: &[u8; LENGTH]) {
        match self.bytes.get_mut(self.used..).and_then(<[u8]>::first_chunk_mut) {
            Some(place) if self.long.is_none() => {
                *place = *part;
                self.used += LENGTH;
            }
            _ => self.add_long(part),
        }
    }

    pub(super) fn add(&mut self, part: &[u8]) {
        if part.is_empty() {
            return;
        }
        match self.bytes.get_mut(self.used..self.used + part.len()) {
            Some(place) if self.long.is_none() => {
                place.copy_from_slice(part);
                self.used += part.len();
            }
            _ => self.add_long(part),
        }
    }

    #[cold]
    fn add_long(&mut self, part: &[u8]) {
        let (bytes, used) = (&self.bytes, self.used);
        let begun = || Sha256::new_with_prefix(bytes.get(..used).unwrap_or_default());
        self.long.get_or_insert_with(begun).update(part);
    }

    pub(super) fn digest(mut self) -> [u8; 32] {
        if let Some(long) = self.long {
            return long.finalize().into();
        }
        let bits = (self.used as u64 * 8).to_be_bytes();
        let end = (self.used + Self::PADDING).next_multiple_of(Self::BLOCK);
        let padded = self.bytes.get_mut(..end).and_then(|bytes| {
            *bytes.get_mut(self.used)? = 0x80;
            *bytes.last_chunk_mut()? = bits;
            Some(&*bytes)
        });
        let Some(padded) = padded else {
            return Sha256::digest(self.bytes.get(..self.used).unwrap_or_default()).into();
        };
        let mut state = INITIAL;
        let (blocks, _) = padded.as_chunks::<{ Self::BLOCK }>();
        compress256(&mut state, blocks);
        let mut digest = [0; 32];
        for (place, word) in digest.as_chunks_mut().0.iter_mut().zip(state) {
            *place = word.to_be_bytes();
        }
        digest
    }
}

/// SHA-256 behind a secret block of 64 bytes, which is hashed once a day. HMAC's second pass keeps others from extending a
/// message whose tag they have; here every message of a key has the same length and half of each tag is kept, so there is
/// nothing to extend, and a tag costs one block instead of two.
///
/// Kept is what the library's compression makes of the secret block: with its hasher, which can take any number of bytes,
/// a tag takes twice as long.
#[derive(Clone, Copy)]
pub(super) struct Key([u32; 8]);

/// What SHA-256 begins with (FIPS 180-4, 5.3.3).
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

impl Key {
    pub(super) fn of(secret: &[u8; 64]) -> Self {
        let mut state = INITIAL;
        compress256(&mut state, &[*secret]);
        Self(state)
    }

    /// The tag of a message of at most 55 bytes, so that it and its padding (FIPS 180-4, 5.1.1) are one block.
    pub(super) fn id<const LENGTH: usize>(&self, message: [u8; LENGTH]) -> VisitorId {
        const { assert!(LENGTH <= 55, "one block") };
        let mut block = [0; 64];
        let (text, padding) = block.split_at_mut(LENGTH);
        text.copy_from_slice(&message);
        if let [one, .., high, low] = padding {
            *one = 0x80;
            // Bits of secret and message: fewer than 65,536.
            let [.., upper, lower] = ((64 + LENGTH) * 8).to_be_bytes();
            (*high, *low) = (upper, lower);
        }
        let mut state = self.0;
        compress256(&mut state, &[block]);
        let [first, second, third, fourth, ..] = state.map(u128::from);
        VisitorId(first << 96 | second << 64 | third << 32 | fourth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_any_length_has_the_digest_that_the_library_says() {
        for length in (0..300).chain([1000]) {
            let long: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let mut text = Text::new();
            text.add_few(b"ab");
            text.add(&long);
            text.add(b"");
            text.add_few(b"cde");
            let whole = [b"ab", &*long, b"cde"].concat();
            assert_eq!(text.digest(), <[u8; 32]>::from(Sha256::digest(whole)), "{length}");
        }
        assert_eq!(Text::new().digest(), <[u8; 32]>::from(Sha256::digest(b"")));
    }

    #[test]
    fn a_tag_is_the_first_half_of_sha_256_over_secret_and_message() {
        fn hashed(secret: [u8; 64], message: &[u8]) -> VisitorId {
            let digest = Sha256::new_with_prefix(secret).chain_update(message).finalize();
            VisitorId(u128::from_be_bytes(half(digest.into())))
        }
        for round in 0..100_u8 {
            let secret = std::array::from_fn(|at| round.wrapping_mul(31) ^ at as u8);
            let key = Key::of(&secret);
            let message: [u8; 55] = std::array::from_fn(|at| round.wrapping_add(at as u8));
            assert_eq!(key.id(message), hashed(secret, &message));
            let message: [u8; 16] = std::array::from_fn(|at| message[at]);
            assert_eq!(key.id(message), hashed(secret, &message));
            assert_eq!(key.id([]), hashed(secret, &[]));
        }
    }
}
