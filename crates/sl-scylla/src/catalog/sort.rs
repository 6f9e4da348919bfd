//! Sorts of catalog rows, and where each lies.

use sl_core::{
    ids::{AccountId, SmartLinkId, TeamId},
    time::Timestamp,
};

/// Which sort of row. Numbers are never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    Team = 1,
    Key = 2,
    Account = 3,
    Link = 4,
    Pixel = 5,
    Postback = 6,
    /// Keys by the hash of their secret.
    KeyHash = 7,
}

/// Slices of a team's links, see `schemas/cql/0003_catalog.cql`.
const LINK_SLICES: i32 = 16;

/// The partition of all teams.
pub(crate) const NO_TEAM: TeamId = TeamId(0);

// === impl Sort ===

impl Sort {
    pub(crate) fn code(self) -> i8 {
        self as i8
    }

    pub(crate) fn slices(self) -> i32 {
        if self == Self::Link { LINK_SLICES } else { 1 }
    }

    /// Ids of links are random in their last byte.
    pub(crate) fn slice(self, id: &[u8]) -> i32 {
        i32::from(id.last().copied().unwrap_or(0)) % self.slices()
    }
}

pub(crate) fn number(id: u64) -> Vec<u8> {
    id.to_be_bytes().to_vec()
}

pub(crate) fn link(id: SmartLinkId) -> Vec<u8> {
    id.to_bytes().to_vec()
}

pub(crate) fn account(id: &AccountId) -> Vec<u8> {
    id.as_str().as_bytes().to_vec()
}

/// A team in a column.
pub(crate) fn team(id: TeamId) -> i64 {
    id.0.cast_signed()
}

/// The time of a cell whose latest value counts, whoever writes it: the time that the value tells of, in microseconds.
pub(crate) fn stamp(at: Timestamp) -> i64 {
    at.0.saturating_mul(1_000).max(1)
}
