//! The few things the journal asks of a disk: one directory of files, written at offsets and synced.
//!
//! A trait, so that tests can put a disk underneath that fails on command and forgets what was not synced.

mod direct;
mod real;

use std::{io, sync::Arc};

pub(crate) use direct::Zeros;
pub use real::RealDisk;

/// One directory. Names are plain file names.
pub trait Disk: Send + Sync + 'static {
    /// Names of the files in the directory, in any order.
    ///
    /// # Errors
    /// What the operating system says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Creates a file that must not exist yet, for reading and writing.
    ///
    /// # Errors
    /// What the operating system says; no room included.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// The same for a segment: behind what was written, zeros may follow up to the next 4,096 bytes.
    ///
    /// # Errors
    /// What the operating system says; no room included.
    fn create_segment(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.create(name)
    }

    /// Opens an existing file, for writing too when `writable`.
    ///
    /// # Errors
    /// What the operating system says.
    fn open(&self, name: &str, writable: bool) -> io::Result<Arc<dyn DiskFile>>;

    /// Renames; replaces `to`. Durable only after [`Disk::sync`].
    ///
    /// # Errors
    /// What the operating system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes. Durable only after [`Disk::sync`].
    ///
    /// # Errors
    /// What the operating system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes creations, renames and removals durable.
    ///
    /// # Errors
    /// What the operating system says.
    fn sync(&self) -> io::Result<()>;
}

/// One open file.
pub trait DiskFile: Send + Sync + 'static {
    /// Reads at most `buffer.len()` bytes; 0 is the end of the file.
    ///
    /// # Errors
    /// What the operating system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes some of `bytes` and says how many.
    ///
    /// # Errors
    /// What the operating system says.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// `fdatasync`: what was written is durable afterwards. After a failure nothing is known about any page written
    /// since the last success, and asking again would not tell.
    ///
    /// # Errors
    /// What the operating system says.
    fn sync(&self) -> io::Result<()>;

    /// Cuts the file.
    ///
    /// # Errors
    /// What the operating system says.
    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// Bytes.
    ///
    /// # Errors
    /// What the operating system says.
    fn len(&self) -> io::Result<u64>;

    /// Nobody will read it soon: memory that caches what is synced may serve others. Only a hint.
    fn forget_cached(&self) {}

    /// Whether it has none.
    ///
    /// # Errors
    /// What the operating system says.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// Writes all of `bytes`, however short the disk's writes are.
pub(crate) fn write_all(file: &dyn DiskFile, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                offset += written as u64;
                bytes = bytes.get(written..).unwrap_or_default();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Fills `buffer` as far as the file goes; says how far.
pub(crate) fn read_full(file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..)
        && !rest.is_empty()
    {
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Reads a small file whole.
pub(crate) fn read_small(disk: &dyn Disk, name: &str) -> io::Result<Vec<u8>> {
    let file = disk.open(name, false)?;
    // 1 MiB holds some ten thousand consumers; there are about two.
    let length = usize::try_from(file.len()?).unwrap_or(usize::MAX).min(1 << 20);
    let mut bytes = vec![0; length];
    let read = read_full(&*file, &mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Replaces a small file so that a crash leaves the old or the new one.
pub(crate) fn replace_small(disk: &dyn Disk, name: &str, bytes: &[u8]) -> io::Result<()> {
    let draft = format!("{name}.tmp");
    remove_if_there(disk, &draft)?;
    let file = disk.create(&draft)?;
    write_all(&*file, bytes, 0)?;
    file.sync()?;
    disk.rename(&draft, name)?;
    disk.sync()
}

pub(crate) fn remove_if_there(disk: &dyn Disk, name: &str) -> io::Result<()> {
    match disk.remove(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
