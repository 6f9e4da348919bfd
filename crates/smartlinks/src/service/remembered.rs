//! The visitors of the last hours in a file, `data_dir/edge/visitors` (decisions 53): written by an ordered stop, so that the next
//! start reads from the journal only what came afterwards. Whoever can't use the file reads all of it from the journal.
//!
//! Eight bytes name format and version. Frames follow: length (4 bytes, little-endian), CRC-32, that many bytes of postcard. The
//! first is the [`Head`], then come lists of clicks, then an empty one.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, BufReader, BufWriter, ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sl_core::{event::JournalId, pack};
use sl_edge::{Kept, Window};

/// The last digits are the version: raised when one of the shapes changes.
const MAGIC: [u8; 8] = *b"slseen01";
/// Clicks of a frame: 1,024 x about 170 bytes.
const CLICKS: usize = 1024;
/// Longest frame that is believed, bytes.
const LONGEST: u32 = 64 << 20;

/// What the file is about. It is used by a process for which the first three are the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) journal: JournalId,
    /// `edge.visitor_window`.
    pub(super) span: Duration,
    /// `edge.window_entries`.
    pub(super) entries: usize,
    /// First sequence of the journal that the file knows nothing of.
    pub(super) until: u64,
    /// How many keys the window had.
    pub(super) keys: usize,
}

/// A piece of the file, as it is read.
pub(super) enum Piece {
    /// How many keys the window had.
    Keys(usize),
    /// Some of its clicks.
    Clicks(Vec<Kept>),
}

/// The file of remembered visitors, by its path.
#[derive(Debug, Clone)]
pub(super) struct VisitorsFile(PathBuf);

// === impl VisitorsFile ===

impl VisitorsFile {
    pub(super) fn of(data_dir: &Path) -> Self {
        Self(data_dir.join("edge/visitors"))
    }

    /// Replaces it by what the window remembers; `false`, and it stays, while a click may still be lost. Blocks. It is not
    /// synced: what a power cut leaves of it is noticed, and the journal has everything.
    ///
    /// # Errors
    /// The disk's; the old file is then still there, and as good as it was.
    pub(super) fn write(&self, head: &Head, window: &Window) -> io::Result<bool> {
        if let Some(dir) = self.0.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        let unfinished = self.0.with_extension("new");
        let written = write(&unfinished, head, window);
        let replaced = match &written {
            Ok(true) => fs::rename(&unfinished, &self.0),
            _ => Ok(()),
        };
        if !matches!((&written, &replaced), (Ok(true), Ok(()))) {
            // The disk may be full: nothing half done takes room.
            let _ = fs::remove_file(&unfinished);
        }
        replaced.and(written)
    }

    /// Says how many keys there were, then what it has; from which sequence on the journal is to be read. `None` when there is
    /// nothing for a process like `wanted`, or when it turns out to be damaged: then the journal is to be read as if nothing
    /// had been said.
    pub(super) fn read(&self, wanted: &Head, mut each: impl FnMut(Piece)) -> Option<u64> {
        let file = match File::open(&self.0) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!("{:?} can't be read: {error}; the journal is read instead", self.0);
                return None;
            }
        };
        let mut file = BufReader::with_capacity(1 << 20, file);
        match read(&mut file, wanted, &mut each) {
            Ok(until) => until,
            Err(error) => {
                tracing::warn!("{:?} is damaged: {error}; the journal is read instead", self.0);
                None
            }
        }
    }
}

/// `false` while a click may still be lost; the file is not whole then.
fn write(path: &Path, head: &Head, window: &Window) -> io::Result<bool> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let mut frames = Frames { file: BufWriter::with_capacity(1 << 20, file), buffer: Vec::new() };
    frames.file.write_all(&MAGIC)?;
    frames.write(&Head { keys: window.keys(), ..head.clone() })?;
    let (mut clicks, mut failed) = (Vec::with_capacity(CLICKS), None);
    let is_whole = window.kept(|kept| {
        clicks.push(kept);
        if clicks.len() == CLICKS {
            failed = failed.take().or_else(|| frames.write(&clicks).err());
            clicks.clear();
        }
    });
    failed.map_or(Ok(()), Err)?;
    if !is_whole {
        return Ok(false);
    }
    frames.write(&clicks)?;
    if !clicks.is_empty() {
        frames.write(&Vec::<Kept>::new())?;
    }
    frames.file.flush()?;
    Ok(true)
}

fn read(file: &mut impl Read, wanted: &Head, each: &mut impl FnMut(Piece)) -> io::Result<Option<u64>> {
    let mut magic = [0; MAGIC.len()];
    file.read_exact(&mut magic)?;
    if magic != MAGIC {
        return Ok(None);
    }
    let mut buffer = Vec::new();
    let head: Head = frame(file, &mut buffer)?;
    // A journal that is shorter than it was has lost clicks that the file still knows.
    let same = |head: &Head| (head.journal, head.span, head.entries);
    if head.until > wanted.until || same(&head) != same(wanted) {
        return Ok(None);
    }
    each(Piece::Keys(head.keys));
    loop {
        let clicks: Vec<Kept> = frame(file, &mut buffer)?;
        if clicks.is_empty() {
            return Ok(Some(head.until));
        }
        each(Piece::Clicks(clicks));
    }
}

fn frame<T: DeserializeOwned>(file: &mut impl Read, buffer: &mut Vec<u8>) -> io::Result<T> {
    let mut word = [0; 4];
    file.read_exact(&mut word)?;
    let length = u32::from_le_bytes(word);
    file.read_exact(&mut word)?;
    if length > LONGEST {
        return Err(io::Error::new(ErrorKind::InvalidData, "a frame is too long"));
    }
    buffer.clear();
    file.take(u64::from(length)).read_to_end(buffer)?;
    if buffer.len() as u64 != u64::from(length) || crc32fast::hash(buffer) != u32::from_le_bytes(word) {
        return Err(io::Error::new(ErrorKind::InvalidData, "a frame is not as it was written"));
    }
    postcard::from_bytes(buffer).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

struct Frames {
    file: BufWriter<File>,
    buffer: Vec<u8>,
}

impl Frames {
    fn write(&mut self, value: &impl Serialize) -> io::Result<()> {
        self.buffer.clear();
        pack::append(value, &mut self.buffer).map_err(io::Error::other)?;
        let length = u32::try_from(self.buffer.len()).map_err(io::Error::other)?;
        self.file.write_all(&length.to_le_bytes())?;
        self.file.write_all(&crc32fast::hash(&self.buffer).to_le_bytes())?;
        self.file.write_all(&self.buffer)
    }
}

#[cfg(test)]
mod tests {
    use sl_core::{
        click::{Rung, VisitorId},
        ids::{ClickId, SmartLinkId},
        time::Timestamp,
        visitor::{Target, Visit},
    };

    use super::*;

    const SPAN: Duration = Duration::from_secs(6 * 3600);
    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn kept(number: u128) -> Kept {
        let visit = Visit {
            click: ClickId::from_bytes(number.to_be_bytes()),
            target: Target::new(SmartLinkId::from_bytes([7; 16]), Some("ad")),
            at: NOW,
            daily: VisitorId(number),
            given: Some(VisitorId(1 << 100 | number)),
            rung: Rung::Fresh,
            pool_link: "c5".parse().ok(),
            sent_to: Some(format!("https://onlyfans.com/nova/c{number}").into()),
        };
        Kept { visit, also: vec![VisitorId(2 << 100 | number)] }
    }

    fn head(until: u64) -> Head {
        Head { journal: JournalId(9), span: SPAN, entries: 10_000, until, keys: 0 }
    }

    /// More than a frame.
    fn written(dir: &Path) -> (VisitorsFile, Vec<Kept>) {
        let (file, all) = (VisitorsFile::of(dir), (0..2048).map(kept).collect::<Vec<_>>());
        let window = Window::new(SPAN, 10_000);
        let mut rebuild = window.rebuild(NOW);
        let mut count = 0;
        rebuild.kept(&all, |_| count += 1);
        assert_eq!(count, all.len());
        drop(rebuild);
        assert!(file.write(&head(5), &window).unwrap());
        (file, all)
    }

    fn read_by(file: &VisitorsFile, wanted: &Head) -> (Option<u64>, Vec<Kept>) {
        let mut all = Vec::new();
        let until = file.read(wanted, |piece| match piece {
            Piece::Keys(keys) => assert_eq!(keys, 3 * 2048),
            Piece::Clicks(mut clicks) => all.append(&mut clicks),
        });
        (until, all)
    }

    #[test]
    fn what_is_written_is_read_by_a_process_with_the_same_journal_and_settings() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read_by(&VisitorsFile::of(dir.path()), &head(5)), (None, vec![]), "a first start");
        let (file, all) = written(dir.path());
        assert_eq!(read_by(&file, &head(7)), (Some(5), all));
        let none = (None, vec![]);
        assert_eq!(read_by(&file, &head(4)), none, "the journal has lost clicks");
        assert_eq!(read_by(&file, &Head { journal: JournalId(8), ..head(5) }), none);
        assert_eq!(read_by(&file, &Head { span: SPAN * 2, ..head(5) }), none);
        assert_eq!(read_by(&file, &Head { entries: 20_000, ..head(5) }), none);
    }

    #[test]
    fn any_damage_means_that_the_journal_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let (file, _) = written(dir.path());
        let whole = fs::read(&file.0).unwrap();
        for at in (0..whole.len()).step_by(997).chain(whole.len() - 40..whole.len()) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&file.0, &bytes).unwrap();
            assert_eq!(read_by(&file, &head(5)).0, None, "a flipped bit at {at}");
            fs::write(&file.0, &whole[..at]).unwrap();
            assert_eq!(read_by(&file, &head(5)).0, None, "torn at {at}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_replaced_leaves_nothing_half_done() {
        let dir = tempfile::tempdir().unwrap();
        let file = VisitorsFile::of(dir.path());
        fs::create_dir_all(file.0.join("in the way")).unwrap();
        assert!(file.write(&head(5), &Window::new(SPAN, 10_000)).is_err());
        assert_eq!(fs::read_dir(dir.path().join("edge")).unwrap().count(), 1);
    }

    #[test]
    fn it_is_for_its_owner_alone_and_nothing_unfinished_stays() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let (file, _) = written(dir.path());
        let (own, parent) = (fs::metadata(&file.0).unwrap(), fs::metadata(dir.path().join("edge")).unwrap());
        assert_eq!((own.permissions().mode() & 0o777, parent.permissions().mode() & 0o777), (0o600, 0o700));
        assert_eq!(fs::read_dir(dir.path().join("edge")).unwrap().count(), 1);
    }
}
