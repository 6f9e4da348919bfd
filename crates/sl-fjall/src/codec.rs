//! Values: one version byte, then postcard ([`sl_core::pack`]).

use serde::{Serialize, de::DeserializeOwned};
use sl_core::pack::{BadValue, Version};
use sl_store::{Result, StoreError};

/// Shape of every value of this store.
pub(crate) const VALUES: Version = Version(1);

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
    VALUES.append(value, buffer).map_err(damaged)
}

/// Writes one value.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    VALUES.encode(value).map_err(damaged)
}

/// Reads what [`encode`] wrote.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    VALUES.decode(bytes).map_err(damaged)
}

/// A value that can't be written or read, in the store's words.
pub(crate) fn damaged(error: BadValue) -> StoreError {
    StoreError::Damaged(error.to_string())
}
