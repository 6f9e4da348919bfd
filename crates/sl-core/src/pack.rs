//! Values as bytes for stores: postcard, written without detours.

use std::fmt;

use postcard::ser_flavors::Flavor;
use serde::{
    Deserialize, Deserializer, Serialize,
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

/// Reads what older versions did not write: the last field of the last part of a value. Missing is empty. Where the value stands
/// inside of another, this reads what comes behind it.
///
/// # Errors
/// None.
pub fn at_the_end<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(T::deserialize(deserializer).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{conversion::TransactionFacts, time::Timestamp};

    #[test]
    fn a_row_of_a_version_that_did_not_write_the_last_field_is_read() {
        let now = TransactionFacts {
            id: "t".into(),
            kind: "tip".to_owned(),
            description: String::new(),
            status: "done".to_owned(),
            turns: vec![Timestamp(5)],
        };
        let before = TransactionFacts { turns: Vec::new(), ..now.clone() };
        let mut bytes = Vec::new();
        append(&before, &mut bytes).unwrap();
        bytes.pop();
        assert_eq!(postcard::from_bytes(&bytes), Ok(before));
        bytes.clear();
        append(&now, &mut bytes).unwrap();
        assert_eq!(postcard::from_bytes(&bytes), Ok(now));
    }
}
