//! Values as bytes for stores: postcard, written without detours.

use std::fmt;

use postcard::ser_flavors::Flavor;
use serde::{
    Deserializer, Serialize,
    de::{Error, Visitor},
};

/// Appends the postcard encoding of `value`. What `postcard::to_extend` does, but with whole runs of bytes instead of
/// one after the other.
///
/// # Errors
/// Postcard's, for what it cannot encode.
pub fn append<T: Serialize>(value: &T, into: &mut Vec<u8>) -> postcard::Result<()> {
    *into = postcard::serialize_with_flavor(value, Append(std::mem::take(into)))?;
    Ok(())
}

struct Append(Vec<u8>);

impl Flavor for Append {
    type Output = Vec<u8>;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Vec<u8>> {
        Ok(self.0)
    }
}

/// Reads 16 bytes that were written as a run.
pub(crate) fn sixteen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 16], D::Error> {
    struct Sixteen;

    impl Visitor<'_> for Sixteen {
        type Value = [u8; 16];

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("16 bytes")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<[u8; 16], E> {
            bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))
        }
    }

    deserializer.deserialize_bytes(Sixteen)
}
