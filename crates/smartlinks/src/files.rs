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

/// Takes as many as the system gives, since shells start with 1,024. Gives how many of `edge.max_connections` fit beside everything
/// else that has to be open, and says so when that is not all: one more is refused with an answer instead of keeping the journal
/// from its next segment.
pub(crate) fn allow(connections: usize) -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // Without a limit there is nothing to raise.
    let Some(before) = current else { return connections };
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    let files = if raised { maximum } else { Some(before) };
    let Some(enough) = files.and_then(|files| short(files, connections)) else { return connections };
    tracing::warn!(
        "edge.max_connections = {connections}, but the system lets this process open {} files only: {enough} visitors \
         at once are served and others get 503; raise the limit (ulimit -n, LimitNOFILE) or lower the setting",
        files.unwrap_or_default()
    );
    enough
}

/// How many connections fit, when they do not all: a quarter of the files where there are hardly any.
fn short(files: u64, connections: usize) -> Option<usize> {
    let room = files.saturating_sub(OTHERS).max(files / 4).max(1);
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    (room < connections).then_some(room)
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
        assert_eq!(short(1_024, 20_000), Some(512));
        assert_eq!(short(100, 20_000), Some(25));
    }
}
