//! Writing past the page cache (`O_DIRECT`): a commit is on its way to the disk without a copy in memory that nobody needs, and
//! the zeros of a new segment do not push anything out of the processor's caches.
//!
//! Such writes are whole blocks. The last block of a commit is filled up with zeros, as they are there already, and written
//! again by the next one with what comes then: as with the page cache, which writes whole pages too.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
};

use parking_lot::Mutex;

/// What offset and length must be multiples of, and the address of the memory: no disk asks for more.
const BLOCK: usize = 4096;

/// A second handle of a file, for appending.
pub(super) struct DirectFile {
    file: File,
    tail: Mutex<Tail>,
}

/// The last block, as far as it was written.
#[derive(Default)]
struct Tail {
    /// Where the block begins in the file.
    block: u64,
    /// Bytes of it that were written.
    filled: usize,
    /// Buffer that begins with those bytes.
    memory: Aligned,
    /// The disk does not take direct writes after all.
    refused: bool,
}

/// Memory that begins at a multiple of [`BLOCK`], inside a larger piece: moving it elsewhere would lose that.
#[derive(Default)]
struct Aligned(Vec<u8>);

/// Zeros to be written, once.
pub(crate) struct Zeros(Aligned, usize);

// === impl Aligned ===

impl Aligned {
    fn of(length: usize) -> Self {
        Self(vec![0; length + BLOCK])
    }

    fn start(&self) -> usize {
        self.0.as_ptr().align_offset(BLOCK).min(self.0.len())
    }

    fn len(&self) -> usize {
        self.0.len() - self.start()
    }

    fn get(&self, length: usize) -> &[u8] {
        let start = self.start();
        self.0.get(start..start + length).unwrap_or_default()
    }

    fn get_mut(&mut self, length: usize) -> &mut [u8] {
        let start = self.start();
        self.0.get_mut(start..start + length).unwrap_or_default()
    }
}

// === impl Zeros ===

impl Zeros {
    /// `length` zero bytes, aligned for direct writes.
    pub(crate) fn of(length: usize) -> Self {
        Self(Aligned::of(length), length)
    }

    /// At most `length` of them.
    pub(crate) fn get(&self, length: usize) -> &[u8] {
        self.0.get(length.min(self.1))
    }
}

// === impl DirectFile ===

impl DirectFile {
    /// Opens an existing file once more. `None` where the file system knows no such writes.
    pub(super) fn beside(path: &Path) -> Option<Self> {
        let flags = direct_flag()?;
        let file = OpenOptions::new().write(true).custom_flags(flags).open(path).ok()?;
        Some(Self { file, tail: Mutex::default() })
    }

    /// Writes all of `bytes` where the last write ended, or from the beginning of a block on. `None`: they must go another way.
    pub(super) fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<Option<usize>> {
        let tail = &mut *self.tail.lock();
        if tail.refused || !tail.goes_on_at(offset) {
            return Ok(None);
        }
        let is_whole = tail.filled == 0 && bytes.len().is_multiple_of(BLOCK);
        let wrote = if is_whole && bytes.as_ptr().align_offset(BLOCK) == 0 {
            self.write_blocks(bytes, offset)
        } else {
            let block = tail.block;
            self.write_blocks(tail.with(bytes), block)
        };
        match wrote {
            Ok(()) => {
                tail.pass(bytes.len());
                Ok(Some(bytes.len()))
            }
            // The disk's blocks are larger, or the file system changed its mind: all of it goes the other way.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                tail.refused = true;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn write_blocks(&self, blocks: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(blocks, offset)
    }
}

// === impl Tail ===

impl Tail {
    /// Whether a write at `offset` follows what is there, or begins a block of its own.
    fn goes_on_at(&mut self, offset: u64) -> bool {
        if offset == self.block + self.filled as u64 {
            return true;
        }
        if offset.is_multiple_of(BLOCK as u64) {
            (self.block, self.filled) = (offset, 0);
            return true;
        }
        false
    }

    /// The last block and `bytes` behind it, filled up with zeros.
    fn with(&mut self, bytes: &[u8]) -> &[u8] {
        let end = self.filled + bytes.len();
        let whole = end.next_multiple_of(BLOCK);
        if self.memory.len() < whole {
            let mut larger = Aligned::of(whole.next_power_of_two());
            larger.get_mut(self.filled).copy_from_slice(self.memory.get(self.filled));
            self.memory = larger;
        }
        let (known, rest) = self.memory.get_mut(whole).split_at_mut(self.filled);
        debug_assert_eq!(known.len(), self.filled, "the memory is large enough");
        let (new, zeros) = rest.split_at_mut(bytes.len());
        new.copy_from_slice(bytes);
        zeros.fill(0);
        self.memory.get(whole)
    }

    /// `length` bytes were written.
    fn pass(&mut self, length: usize) {
        let end = self.filled + length;
        let left = end % BLOCK;
        if left > 0 {
            self.memory.get_mut(end).copy_within(end - left.., 0);
        }
        self.block += (end - left) as u64;
        self.filled = left;
    }
}

#[cfg(target_os = "linux")]
fn direct_flag() -> Option<i32> {
    i32::try_from(rustix::fs::OFlags::DIRECT.bits()).ok()
}

#[cfg(not(target_os = "linux"))]
fn direct_flag() -> Option<i32> {
    None
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// What was appended, whatever the sizes, is what is read, and zeros follow at most to the end of the block.
    #[test]
    fn appended_pieces_are_read_as_they_were_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("segment");
        fs::write(&path, vec![7; 2 * BLOCK]).unwrap();
        let Some(direct) = DirectFile::beside(&path) else { return };
        let mut want = vec![1; BLOCK];
        direct.write_at(&want, 0).unwrap().unwrap();
        for (number, length) in [1, 600, BLOCK - 601, 5000, 3 * BLOCK, 70_000, 0, 123].into_iter().enumerate()
        {
            let piece = vec![u8::try_from(number + 2).unwrap(); length];
            assert_eq!(direct.write_at(&piece, want.len() as u64).unwrap(), Some(length));
            want.extend(piece);
            let there = fs::read(&path).unwrap();
            let (written, behind) = there.split_at(want.len());
            assert_eq!(written, want, "piece {number}");
            let in_block = want.len().next_multiple_of(BLOCK) - want.len();
            assert!(behind.iter().take(in_block).all(|byte| *byte == 0), "piece {number}");
        }
        // The header of a spare that becomes a segment: from the beginning again, and on behind it.
        direct.write_at(&[9; BLOCK], 0).unwrap().unwrap();
        direct.write_at(b"first", BLOCK as u64).unwrap().unwrap();
        let there = fs::read(&path).unwrap();
        assert_eq!(there.get(BLOCK - 1..BLOCK + 6), Some(b"\x09first\0".as_slice()));
        assert_eq!(direct.write_at(b"elsewhere", 17).unwrap(), None, "neither behind it nor at a block");
    }
}
