//! The disk of the operating system.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::fs::{Advice, FlockOperation, fadvise, flock};

use super::{Disk, DiskFile, direct::DirectFile};

/// A directory, locked against a second writer for as long as this value lives.
#[derive(Debug)]
pub struct RealDisk {
    path: PathBuf,
    directory: File,
}

impl RealDisk {
    /// Opens `path`, makes it when it is missing, and locks it.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when another journal has it open, otherwise what the operating system says.
    pub fn exclusive(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        let disk = Self::read_only(path)?;
        flock(&disk.directory, FlockOperation::NonBlockingLockExclusive)?;
        Ok(disk)
    }

    /// Opens `path` to look at it, also while a journal is running on it.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn read_only(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), directory: File::open(path)? })
    }

    fn new_file(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(self.path.join(name))
    }
}

impl Disk for RealDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            // A name that is no text is not one of ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(RealFile(self.new_file(name)?)))
    }

    fn create_segment(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.new_file(name)?;
        Ok(match DirectFile::beside(&self.path.join(name)) {
            Some(direct) => Arc::new(SegmentFile { whole: RealFile(file), direct }),
            None => Arc::new(RealFile(file)),
        })
    }

    fn open(&self, name: &str, writable: bool) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(writable).open(self.path.join(name))?;
        Ok(Arc::new(RealFile(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync(&self) -> io::Result<()> {
        self.directory.sync_all()
    }
}

/// A segment that is being written: past the page cache, read and cut like any file.
struct SegmentFile {
    whole: RealFile,
    direct: DirectFile,
}

impl DiskFile for SegmentFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.whole.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        match self.direct.write_at(bytes, offset)? {
            Some(written) => Ok(written),
            None => self.whole.write_at(bytes, offset),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.whole.sync()
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.whole.set_len(bytes)
    }

    fn len(&self) -> io::Result<u64> {
        self.whole.len()
    }

    fn forget_cached(&self) {
        self.whole.forget_cached();
    }
}

struct RealFile(File);

impl DiskFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn forget_cached(&self) {
        // Only a hint: a system that does not take it keeps the pages until it needs them.
        let _ = fadvise(&self.0, 0, None, Advice::DontNeed);
    }
}
