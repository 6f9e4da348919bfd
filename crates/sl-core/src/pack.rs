//! Values as bytes for stores: postcard, written without detours.

use std::fmt;

use postcard::ser_flavors::Flavor;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, Error, Visitor},
};

/// A value that a store can't write, or can't read back; says which and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadValue(String);

/// The shape of a store's values: this number as one byte, then postcard. Raised when a stored struct changes; older
/// values must then be converted when they are read.
#[derive(Debug, Clone, Copy)]
pub struct Version(pub u8);

// === impl Version ===

impl Version {
    /// Writes `value` behind what `into` has.
    ///
    /// # Errors
    /// What postcard can't encode.
    pub fn append<T: Serialize>(self, value: &T, into: &mut Vec<u8>) -> Result<(), BadValue> {
        into.push(self.0);
        append(value, into).map_err(|error| BadValue(format!("a value can't be encoded: {error}")))
    }

    /// Writes one value.
    ///
    /// # Errors
    /// See [`Self::append`].
    pub fn encode<T: Serialize>(self, value: &T) -> Result<Vec<u8>, BadValue> {
        let mut buffer = Vec::with_capacity(128);
        self.append(value, &mut buffer)?;
        Ok(buffer)
    }

    /// Reads what [`Self::append`] wrote.
    ///
    /// # Errors
    /// Damaged bytes, or those of another version.
    pub fn decode<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, BadValue> {
        self.decode_by(bytes, |value| postcard::from_bytes(value))
    }

    /// [`Self::decode`] with a reader of the value's own.
    ///
    /// # Errors
    /// See there.
    pub fn decode_by<T>(
        self,
        bytes: &[u8],
        read: impl FnOnce(&[u8]) -> postcard::Result<T>,
    ) -> Result<T, BadValue> {
        let (what, reads) = (std::any::type_name::<T>(), self.0);
        match bytes.split_first() {
            Some((version, value)) if *version == reads => {
                read(value).map_err(|error| BadValue(format!("a {what} can't be decoded: {error}")))
            }
            Some((version, _)) => Err(BadValue(format!(
                "a {what} was written by another version of smartlinks (value version {version}, this one reads {reads})"
            ))),
            None => Err(BadValue("an empty value".to_owned())),
        }
    }
}

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
    fn a_value_is_its_version_and_postcard() {
        let bytes = Version(2).encode(&(300_u64, "paid")).unwrap();
        assert_eq!(bytes, [2, 0xac, 0x02, 4, b'p', b'a', b'i', b'd']);
        let mut behind = vec![9];
        Version(1).append(&true, &mut behind).unwrap();
        assert_eq!(behind, [9, 1, 1]);
    }

    #[test]
    fn a_value_of_another_version_is_named_not_misread() {
        let mut bytes = Version(1).encode(&7_u64).unwrap();
        assert_eq!(Version(1).decode::<u64>(&bytes), Ok(7));
        bytes[0] = 9;
        let error = Version(1).decode::<u64>(&bytes).unwrap_err();
        assert!(error.to_string().contains("value version 9, this one reads 1"), "{error}");
        assert!(Version(1).decode::<u64>(&[]).is_err());
    }

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
