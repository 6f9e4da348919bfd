//! Values: one version byte, then postcard.

use serde::{Serialize, de::DeserializeOwned};
use sl_core::pack;
use sl_store::{Result, StoreError};

/// Shape of every value below. Raised when a stored struct changes; older ones are then converted in [`decode`].
const VERSION: u8 = 1;

/// Writes `value` into `buffer`, which is emptied first, and returns the bytes: one buffer serves a whole step.
pub(crate) fn encode_into<'buffer, T: Serialize>(
    value: &T,
    buffer: &'buffer mut Vec<u8>,
) -> Result<&'buffer [u8]> {
    buffer.clear();
    append(value, buffer)?;
    Ok(buffer)
}

/// Writes `value` behind what `buffer` has.
pub(crate) fn append<T: Serialize>(value: &T, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.push(VERSION);
    pack::append(value, buffer)
        .map_err(|error| StoreError::Damaged(format!("a value can't be encoded: {error}")))
}

/// Writes one value.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let mut buffer = Vec::with_capacity(128);
    encode_into(value, &mut buffer)?;
    Ok(buffer)
}

/// Reads what [`encode`] wrote.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    decode_by(bytes, |value| postcard::from_bytes(value))
}

/// Likewise, with a reader of the value's own.
pub(crate) fn decode_by<T>(bytes: &[u8], read: impl FnOnce(&[u8]) -> postcard::Result<T>) -> Result<T> {
    match bytes.split_first() {
        Some((&VERSION, value)) => read(value).map_err(|error| {
            StoreError::Damaged(format!("a {} can't be decoded: {error}", std::any::type_name::<T>()))
        }),
        Some((version, _)) => Err(StoreError::Damaged(format!(
            "a {} was written by another version of smartlinks (value version {version}, this one reads {VERSION})",
            std::any::type_name::<T>()
        ))),
        None => Err(StoreError::Damaged("an empty value".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_another_version_is_named_not_misread() {
        let mut bytes = encode(&7_u64).unwrap();
        assert_eq!(decode::<u64>(&bytes), Ok(7));
        bytes[0] = 9;
        let error = decode::<u64>(&bytes).unwrap_err();
        assert!(error.to_string().contains("value version 9"), "{error}");
        assert!(decode::<u64>(&[]).is_err());
    }
}
