//! Files of this process: how many it may open, and how a small one is replaced.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The store, the journal, outbound requests, and room.
const OTHERS: u64 = 512;

/// Takes as many as the system gives, since shells start with 1,024, and says so when that is not enough for
/// `edge.max_connections`.
pub(crate) fn allow(connections: usize) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // Without a limit there is nothing to raise.
    let Some(before) = current else { return };
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    let files = if raised { maximum } else { Some(before) };
    if let Some(enough) = files.and_then(|files| short(files, connections)) {
        tracing::warn!(
            "edge.max_connections = {connections}, but the system lets this process open {} files only: visitors \
             beyond about {enough} are not accepted; raise the limit (ulimit -n, LimitNOFILE) or lower the setting",
            files.unwrap_or_default()
        );
    }
}

/// How many connections fit, when they do not all.
fn short(files: u64, connections: usize) -> Option<u64> {
    let room = files.saturating_sub(OTHERS);
    (room < connections as u64).then_some(room)
}

/// Replaces a file, or makes it, for its owner alone. Afterwards it is on disk; whatever happens before, the old one is.
///
/// # Errors
/// The disk's.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    File::open(path.parent().unwrap_or(path))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("NOTE");
        for text in ["first, and longer", "second"] {
            replace(&path, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing unfinished stays");
        assert!(replace(&dir.path().join("absent/NOTE"), b"x").is_err());
    }

    #[test]
    fn a_limit_that_holds_the_connections_and_the_rest_is_enough() {
        assert_eq!(short(65_536, 20_000), None);
        assert_eq!(short(20_512, 20_000), None);
        assert_eq!(short(20_000, 20_000), Some(19_488));
        assert_eq!(short(100, 20_000), Some(0));
    }
}
