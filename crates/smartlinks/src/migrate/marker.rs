//! `data_dir/MOVED`: the note that a directory's store was moved, or is being moved. Two services that go on from the same
//! deliveries would tell receivers everything twice.

use std::{fs, io::ErrorKind, path::Path};

use crate::{failure::Failure, files};

/// Name of the marker file in `data_dir`.
pub(crate) const NAME: &str = "MOVED";

/// Line that says that the move came to its end.
const DONE: &str = "It is done.";

/// What the marker file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    /// Id of the move.
    pub(crate) id: String,
    /// The cluster may have served since.
    pub(crate) is_done: bool,
}

/// The note in the marker file; `None` where there is none.
///
/// # Errors
/// [`Failure::Run`], naming the file.
pub(crate) fn read(data_dir: &Path) -> Result<Option<Note>, Failure> {
    let path = data_dir.join(NAME);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(Note {
            id: text.lines().next().unwrap_or_default().trim().to_owned(),
            is_done: text.lines().any(|line| line == DONE),
        })),
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
    note(data_dir, &id, "")?;
    Ok(id)
}

/// The move with this id came to its end.
///
/// # Errors
/// [`Failure::Run`], naming the file.
pub(crate) fn done(data_dir: &Path, id: &str) -> Result<(), Failure> {
    note(data_dir, id, &format!("{DONE}\n"))
}

fn note(data_dir: &Path, id: &str, more: &str) -> Result<(), Failure> {
    let path = data_dir.join(NAME);
    let text = format!(
        "{id}\nThe store of this directory is moved to a cluster. The embedded service does not start while this file is \
         here.\n{more}"
    );
    files::replace(&path, text.as_bytes())
        .map_err(|error| Failure::Run(format!("{path:?} can't be written: {error}")))
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
        assert_eq!(read(dir.path()).unwrap(), Some(Note { id: id.clone(), is_done: false }));
        done(dir.path(), &id).unwrap();
        assert_eq!(read(dir.path()).unwrap(), Some(Note { id, is_done: true }));
        let said = refuse(dir.path()).unwrap_err().to_string();
        assert!(said.contains("moved") && said.contains("MOVED"), "{said}");
        fs::remove_file(dir.path().join(NAME)).unwrap();
        refuse(dir.path()).unwrap();
    }
}
