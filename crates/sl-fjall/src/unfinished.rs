//! A first start that did not end (a full disk): the marker of the database's version is cut short or missing, and there is no data.
//! Without a word of ours every later start would take that for damage.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, ErrorKind, Read},
    path::Path,
};

use sl_store::{Result, StoreError};

use crate::db::failed;

/// Bytes of a whole marker.
const MARKER: usize = 4;
/// The log that a first start makes; it has only zeros until something is written.
const FIRST_LOG: &str = "0.jnl";

/// Makes room for a start anew where an earlier first one did not end. It takes away what certainly holds nothing, and only that: a
/// marker cut short and an empty log.
///
/// # Errors
/// `Damaged`, with the remedy, when there is data beside a marker cut short or missing; `Unavailable` when the directory can't be read
/// or another process has it.
pub(crate) fn clear(dir: &Path) -> Result<()> {
    let marker = dir.join("version");
    let marked = match fs::read(&marker) {
        Ok(bytes) if bytes.len() >= MARKER => return Ok(()),
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => return Err(unreadable(&error)),
    };
    let log = dir.join(FIRST_LOG);
    let has_log = log.exists();
    let _lock = lock(dir)?;
    no_data(dir, marked)?;
    for (there, path) in [(has_log, log), (marked, marker)] {
        if there {
            fs::remove_file(path).map_err(|error| unreadable(&error))?;
        }
    }
    if has_log || marked {
        tracing::warn!(?dir, "the first start did not end, and nothing was stored: the store is made anew");
    }
    Ok(())
}

/// The database's own lock; `None` when it was never made.
fn lock(dir: &Path) -> Result<Option<File>> {
    let file = match OpenOptions::new().read(true).write(true).open(dir.join("lock")) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(&error)),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(failed(fjall::Error::Locked)),
        Err(TryLockError::Error(error)) => Err(unreadable(&error)),
    }
}

/// Whether nothing was ever written: no table, and no log with anything in it.
fn no_data(dir: &Path, marked: bool) -> Result<()> {
    let Some(what) = data(dir).map_err(|error| unreadable(&error))? else { return Ok(()) };
    let marker = if marked { "is cut short" } else { "is missing" };
    Err(StoreError::Damaged(format!(
        "its file {:?} {marker}, and there is data beside it ({what}); put the directory back from a backup, or move it away to \
         begin with an empty one",
        dir.join("version")
    )))
}

/// The name of something in the directory that has, or may have, data.
fn data(dir: &Path) -> io::Result<Option<String>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        let has_data = if name == "keyspaces" {
            fs::read_dir(&path)?.next().is_some()
        } else if name == FIRST_LOG {
            !is_blank(&path)?
        } else {
            path.extension() == Some(OsStr::new("jnl"))
        };
        if has_data {
            return Ok(Some(name.to_string_lossy().into_owned()));
        }
    }
    Ok(None)
}

/// Whether a file has nothing but zeros.
fn is_blank(path: &Path) -> io::Result<bool> {
    let (mut file, mut piece) = (File::open(path)?, vec![0; 1 << 16]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(true),
            read if piece.iter().take(read).any(|byte| *byte != 0) => return Ok(false),
            _ => {}
        }
    }
}

fn unreadable(error: &io::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handle::{FjallOptions, open};

    /// What a first start leaves when the disk takes nothing from `version` on.
    fn begun(dir: &Path) {
        fs::create_dir(dir.join("keyspaces")).unwrap();
        File::create(dir.join("lock")).unwrap();
        File::create(dir.join(FIRST_LOG)).unwrap().set_len(1 << 20).unwrap();
        File::create(dir.join("version")).unwrap();
    }

    fn why(dir: &Path) -> String {
        match open(dir, FjallOptions::default()) {
            Ok(_) => panic!("it was opened"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_first_start_that_did_not_end_is_made_anew() {
        for missing in [&[][..], &["version"], &["version", "lock"]] {
            let dir = tempfile::tempdir().unwrap();
            begun(dir.path());
            missing.iter().for_each(|name| fs::remove_file(dir.path().join(name)).unwrap());
            drop(open(dir.path(), FjallOptions::default()).unwrap());
            drop(open(dir.path(), FjallOptions::default()).unwrap());
        }
    }

    #[test]
    fn nothing_is_made_anew_over_data() {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path(), FjallOptions::default()).unwrap());
        let marker = dir.path().join("version");
        let whole = fs::read(&marker).unwrap();
        fs::write(&marker, "").unwrap();
        assert!(why(dir.path()).contains("is cut short, and there is data beside it"));
        fs::remove_file(&marker).unwrap();
        assert!(why(dir.path()).contains("is missing, and there is data beside it"));
        fs::write(&marker, whole).unwrap();
        drop(open(dir.path(), FjallOptions::default()).unwrap());

        let dir = tempfile::tempdir().unwrap();
        begun(dir.path());
        fs::write(dir.path().join(FIRST_LOG), b"\0\0x").unwrap();
        assert!(why(dir.path()).contains("(0.jnl)"), "the log has something");
        fs::write(dir.path().join(FIRST_LOG), b"\0\0").unwrap();
        fs::write(dir.path().join("1.jnl"), b"").unwrap();
        assert!(why(dir.path()).contains("(1.jnl)"), "no first start makes that");
    }

    #[test]
    fn what_another_process_is_making_is_left_to_it() {
        let dir = tempfile::tempdir().unwrap();
        begun(dir.path());
        let other = File::open(dir.path().join("lock")).unwrap();
        other.try_lock().unwrap();
        assert!(why(dir.path()).contains("another process"));
        assert!(dir.path().join("version").exists() && dir.path().join(FIRST_LOG).exists());
    }
}
