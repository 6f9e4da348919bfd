//! How far a journal was forwarded, on disk: one line of text with its checksum, replaced as a whole and synced.
//!
//! `smartlinks-forwarder 1 <journal> <topic's epoch> <journal's epoch> <offset> <crc32>`, numbers in decimal, the journal
//! and the checksum in hexadecimal. A damaged or absent file means that everything the journal has is sent again.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use sl_core::event::{JournalId, Position};

/// Everything before `position` of this journal was acknowledged by the topic of this epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forwarded {
    /// The journal that is forwarded.
    pub journal: JournalId,
    /// [`crate::Topic::epoch`]: in a topic that was made anew nothing of it is left.
    pub epoch: u64,
    /// Position in the journal.
    pub position: Position,
}

/// The file in which a forwarder keeps how far it has come.
#[derive(Debug, Clone)]
pub struct PositionFile(PathBuf);

const MAGIC: &str = "smartlinks-forwarder 1";

impl PositionFile {
    /// The file at this path; its directory must be there.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// What it says; `None` when there is none or it is damaged.
    ///
    /// # Errors
    /// The disk's.
    pub fn read(&self) -> io::Result<Option<Forwarded>> {
        let text = match fs::read(&self.0) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let forwarded = std::str::from_utf8(&text).ok().and_then(parse);
        if forwarded.is_none() {
            tracing::error!(file = %self.0.display(), "the forwarder's position is damaged: everything is sent again");
        }
        Ok(forwarded)
    }

    /// Replaces it; on disk when this returns. Blocks.
    ///
    /// # Errors
    /// The disk's; the old one is then still there.
    pub fn write(&self, forwarded: &Forwarded) -> io::Result<()> {
        let new = self.0.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(format(forwarded).as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &self.0)?;
        // The new name must survive a power cut too.
        match self.0.parent() {
            Some(dir) => File::open(dir)?.sync_all(),
            None => Ok(()),
        }
    }
}

fn format(forwarded: &Forwarded) -> String {
    let Forwarded { journal, epoch, position } = forwarded;
    let line = format!("{MAGIC} {:016x} {epoch} {} {}", journal.0, position.epoch, position.offset);
    let sum = crc32fast::hash(line.as_bytes());
    format!("{line} {sum:08x}\n")
}

fn parse(text: &str) -> Option<Forwarded> {
    let (line, sum) = text.trim_end().rsplit_once(' ')?;
    if u32::from_str_radix(sum, 16).ok()? != crc32fast::hash(line.as_bytes()) {
        return None;
    }
    let mut words = line.strip_prefix(MAGIC)?.split_ascii_whitespace();
    let journal = JournalId(u64::from_str_radix(words.next()?, 16).ok()?);
    let mut number = || words.next()?.parse().ok();
    let (epoch, position) = (number()?, Position { epoch: number()?, offset: number()? });
    Some(Forwarded { journal, epoch, position })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: Forwarded = Forwarded {
        journal: JournalId(0xfeed_0000_0000_0001),
        epoch: 1_796_000_000,
        position: Position { epoch: 2, offset: 123_456 },
    };

    #[test]
    fn what_is_written_is_read_and_replaced() {
        let dir = tempfile::TempDir::new().unwrap();
        let file = PositionFile::at(&dir.path().join("forwarder"));
        assert_eq!(file.read().unwrap(), None);
        file.write(&SOME).unwrap();
        assert_eq!(file.read().unwrap(), Some(SOME));
        let later = Forwarded { position: Position { epoch: 2, offset: 123_457 }, ..SOME };
        file.write(&later).unwrap();
        assert_eq!(file.read().unwrap(), Some(later));
    }

    #[test]
    fn any_damage_means_none() {
        let whole = format(&SOME);
        for at in 0..whole.len() - 1 {
            let mut bytes = whole.clone().into_bytes();
            bytes[at] ^= 1;
            let read = std::str::from_utf8(&bytes).ok().and_then(parse);
            assert_eq!(read, None, "a flipped bit at {at}");
            assert_eq!(parse(&whole[..at]), None, "torn at {at}");
        }
    }
}
