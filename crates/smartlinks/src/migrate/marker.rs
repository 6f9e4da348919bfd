//! `data_dir/MOVED`: the note that a directory's store was moved, or is being moved. Two services that go on from the same
//! deliveries would tell receivers everything twice.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use crate::failure::Failure;

/// Its name.
pub(crate) const NAME: &str = "MOVED";

/// Which move it was, if it was.
///
/// # Errors
/// [`Failure::Run`], naming the file.
pub(crate) fn read(data_dir: &Path) -> Result<Option<String>, Failure> {
    let path = data_dir.join(NAME);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.lines().next().unwrap_or_default().trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::Run(format!("{path:?} can't be read: {error}"))),
    }
}

/// Draws an id and writes it down for good.
///
/// # Errors
/// [`Failure::Run`], naming the file.
pub(crate) fn write(data_dir: &Path) -> Result<String, Failure> {
    let id = hex::encode(rand::random::<[u8; 16]>());
    let (path, unfinished) = (data_dir.join(NAME), data_dir.join("MOVED.new"));
    let text = format!(
        "{id}\nThe store of this directory is moved to a cluster. The embedded service does not start while this file is \
         here.\n"
    );
    let write = || -> std::io::Result<()> {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        File::open(data_dir)?.sync_all()
    };
    write().map_err(|error| Failure::Run(format!("{path:?} can't be written: {error}")))?;
    Ok(id)
}

/// Whoever wants to write to the embedded store asks first.
///
/// # Errors
/// [`Failure::Run`] when it was moved.
pub(crate) fn refuse(data_dir: &Path) -> Result<(), Failure> {
    if read(data_dir)?.is_none() {
        return Ok(());
    }
    Err(Failure::Run(format!(
        "data_dir = {data_dir:?}: its store was moved to a cluster, or is being moved; going on here as well would tell \
         receivers everything twice. Use storage.backend = \"cluster\"; to go back to where the move began, remove \
         {:?}: what the cluster has done since is not here",
        data_dir.join(NAME)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_was_moved_is_refused_until_its_note_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        refuse(dir.path()).unwrap();
        let id = write(dir.path()).unwrap();
        assert_eq!(read(dir.path()).unwrap(), Some(id));
        let said = refuse(dir.path()).unwrap_err().to_string();
        assert!(said.contains("moved") && said.contains("MOVED"), "{said}");
        fs::remove_file(dir.path().join(NAME)).unwrap();
        refuse(dir.path()).unwrap();
    }
}
