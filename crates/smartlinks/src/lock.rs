//! `data_dir/LOCK`: one process per directory (surface 5).

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use rustix::fs::{FlockOperation, flock};

use crate::failure::Failure;

/// Held as long as this lives; the system lets go when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct DirLock(#[expect(dead_code, reason = "closing it lets go")] File);

/// Makes the directory if need be and takes it.
///
/// # Errors
/// [`Failure::Run`], naming the process that holds it.
pub(crate) fn take(data_dir: &Path) -> Result<DirLock, Failure> {
    let failed =
        |what: &str, error: std::io::Error| Failure::Run(format!("data_dir = {data_dir:?}: {what}: {error}"));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data_dir)
        .map_err(|error| failed("can't be made", error))?;
    let path = data_dir.join("LOCK");
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let mut file = file.map_err(|error| failed("LOCK can't be opened", error))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut holder = String::new();
        let _ = file.read_to_string(&mut holder);
        let holder = holder.trim();
        let who = if holder.is_empty() { "another process".to_owned() } else { format!("process {holder}") };
        return Err(Failure::Run(format!(
            "data_dir = {data_dir:?} is in use by {who}; stop it, or choose another data_dir"
        )));
    }
    let mut write = || -> std::io::Result<()> {
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        writeln!(file, "{}", std::process::id())
    };
    write().map_err(|error| failed("LOCK can't be written", error))?;
    Ok(DirLock(file))
}

/// Whether somebody has it now.
pub(crate) fn is_taken(data_dir: &Path) -> bool {
    let Ok(file) = fs::File::open(data_dir.join("LOCK")) else { return false };
    flock(&file, FlockOperation::NonBlockingLockShared).is_err()
}
