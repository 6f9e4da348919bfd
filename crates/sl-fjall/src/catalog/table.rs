//! Keys of the `catalog` keyspace.

use crate::layout::Key;

/// The tables of the catalog. Never reuse a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Table {
    Team = 1,
    ApiKey = 2,
    Account = 3,
    Link = 4,
    Pixel = 5,
    Postback = 6,
}

// === impl Table ===

impl Table {
    pub(crate) fn all(self) -> Key {
        Key::table(self as u8)
    }

    pub(crate) fn number(self, id: u64) -> Key {
        self.all().u64(id)
    }

    pub(crate) fn ulid(self, id: [u8; 16]) -> Key {
        self.all().id(id)
    }

    pub(crate) fn text(self, id: &str) -> Key {
        self.all().text(id)
    }
}
