//! Click rows as they lie on disk: those of one link, one UTC second and one step together, so that a busy link costs
//! few rows of the database. A single click is a block, too.
//!
//! A block begins with its version and the number of its rows (2 bytes); then, for each, time (8 bytes), id (16) and the
//! end of its own bytes behind this head (4), in order of time and id; then those bytes, each as [`crate::codec`] writes
//! a value.

use sl_core::{click::ClickRow, ids::ClickId, time::Timestamp};
use sl_store::Result;

use crate::{
    codec::{append, decode},
    db::damaged,
    layout::{Reader, ordered},
};

const VERSION: u8 = 1;
/// Rows of a block: 64 × about 400 bytes = 25 KB read to find one.
pub(super) const ROWS: usize = 64;
const HEAD: usize = 3;
const ENTRY: usize = 28;

/// Puts rows of one link and second together into `block`, which is emptied first. They must be sorted by time and id, and at
/// most [`ROWS`].
pub(super) fn encode<'rows>(
    rows: impl ExactSizeIterator<Item = &'rows ClickRow>,
    block: &mut Vec<u8>,
) -> Result<()> {
    let count = rows.len();
    block.clear();
    block.push(VERSION);
    block.extend_from_slice(&u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes());
    block.resize(HEAD + count * ENTRY, 0);
    let body = block.len();
    for (number, row) in rows.enumerate() {
        append(row, block)?;
        let end = u32::try_from(block.len() - body).unwrap_or(u32::MAX);
        let entry = block.get_mut(HEAD + number * ENTRY..).and_then(|rest| rest.first_chunk_mut::<ENTRY>());
        let entry = entry.ok_or_else(|| damaged("a block of clicks under way"))?;
        let (at, rest) = entry.split_at_mut(8);
        let (id, length) = rest.split_at_mut(16);
        at.copy_from_slice(&ordered(row.click.at).to_be_bytes());
        id.copy_from_slice(&row.click.id.to_bytes());
        length.copy_from_slice(&end.to_be_bytes());
    }
    Ok(())
}

/// Looks into the bytes of a block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block<'bytes> {
    head: &'bytes [u8],
    body: &'bytes [u8],
}

/// A row's place in the head of its block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) at: Timestamp,
    pub(crate) id: ClickId,
    end: usize,
}

// === impl Block ===

impl<'bytes> Block<'bytes> {
    pub(crate) fn read(bytes: &'bytes [u8]) -> Result<Self> {
        let block = || {
            let ([version, c0, c1], rest) = bytes.split_first_chunk::<HEAD>()?;
            let count = usize::from(u16::from_be_bytes([*c0, *c1]));
            let (head, body) = rest.split_at_checked(count * ENTRY)?;
            (*version == VERSION).then_some(Self { head, body })
        };
        block().ok_or_else(|| damaged("a block of clicks"))
    }

    pub(crate) fn entries(self) -> impl DoubleEndedIterator<Item = Entry> + ExactSizeIterator {
        self.head.chunks_exact(ENTRY).map(|entry| {
            let mut fields = Reader(entry);
            let (at, id) = (fields.at().unwrap_or(Timestamp(0)), fields.id().unwrap_or_default());
            Entry { at, id: ClickId::from_bytes(id), end: fields.u32().unwrap_or(0) as usize }
        })
    }

    /// The rows for which `wanted` is true.
    pub(crate) fn rows(self, wanted: impl Fn(&Entry) -> bool) -> Result<Vec<ClickRow>> {
        let mut begin = 0;
        let mut rows = Vec::new();
        for entry in self.entries() {
            let bytes = self.body.get(begin..entry.end).ok_or_else(|| damaged("a block of clicks"))?;
            begin = entry.end;
            if wanted(&entry) {
                rows.push(decode(bytes)?);
            }
        }
        Ok(rows)
    }
}
