//! Values: one version byte, then postcard ([`sl_core::pack`]).
//!
//! A row's key, and what a query of ours compares or sorts by, are columns; everything else of a row is one value. CQL
//! servers charge by the cell: a click row of thirty columns takes four times the room and the time of one blob, and
//! no question is asked of those columns that the partition does not answer.

use serde::{Serialize, de::DeserializeOwned};
use sl_core::pack::Version;
use sl_store::Result;

use crate::failure::damaged;

/// Shape of every value of this store.
pub(crate) const VALUES: Version = Version(2);

/// Writes one value.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    VALUES.encode(value).map_err(damaged)
}

/// Reads what [`encode`] wrote.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    VALUES.decode(bytes).map_err(damaged)
}
