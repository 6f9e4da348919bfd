//! Values: one version byte, then postcard, as the embedded store writes them.
//!
//! A row's key, and what a query of ours compares or sorts by, are columns; everything else of a row is one value. CQL
//! servers charge by the cell: a click row of thirty columns takes four times the room and the time of one blob, and
//! no question is asked of those columns that the partition does not answer.

use serde::{Serialize, de::DeserializeOwned};
use sl_core::pack;
use sl_store::{Result, StoreError};

/// Shape of every value below. Raised when a stored struct changes; older ones are then converted in [`decode`].
const VERSION: u8 = 2;

/// Writes one value.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let mut buffer = Vec::with_capacity(128);
    buffer.push(VERSION);
    pack::append(value, &mut buffer)
        .map_err(|error| StoreError::Damaged(format!("a value can't be encoded: {error}")))?;
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
