//! `kill -9` at any moment: a child process of this test binary applies steps until it is killed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sl_fjall::FjallOptions;
use sl_store::suite::crash;

const DIR: &str = "SL_FJALL_CRASH_DIR";

/// Not a case of its own: the child's part, which does nothing in an ordinary run.
#[tokio::test]
async fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    // Late rows go into their tables every few steps.
    let store =
        sl_fjall::open(dir, FjallOptions { late_bytes: 2_000, ..FjallOptions::default() }).unwrap().store();
    crash::write_steps(&store, u64::MAX, |step| println!("applied {step}")).await;
}

#[tokio::test]
async fn a_process_killed_in_the_middle_of_steps_leaves_whole_ones() {
    let dir = tempfile::tempdir().unwrap();
    let mut before = 0;
    for steps in [1, 40, 7, 150] {
        let told = crash::killed_after(DIR, dir.path(), steps);
        let store = sl_fjall::open(dir.path(), FjallOptions::default()).unwrap().store();
        let last = crash::state_effects_and_position_agree(&store, told).await;
        assert!(last > before);
        before = last;
    }
}

/// Copies a directory while its store is open: what a power cut leaves when everything written had reached the disk.
fn copied(from: &Path) -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            let target = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &target);
            } else {
                fs::copy(entry.path(), target).unwrap();
            }
        }
    }
    let to = tempfile::tempdir().unwrap();
    copy(from, to.path());
    to
}

/// The store's own write-ahead log.
fn log_of(dir: &Path) -> PathBuf {
    let logs = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    logs.filter(|path| path.extension().is_some_and(|extension| extension == "jnl")).max().unwrap()
}

#[tokio::test]
async fn a_torn_log_costs_whole_steps_from_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let store = sl_fjall::open(dir.path(), FjallOptions::default()).unwrap().store();
    crash::write_steps(&store, 5, |_| ()).await;
    let at_least = fs::read(log_of(dir.path())).unwrap().iter().rposition(|&byte| byte != 0).unwrap() as u64;
    crash::write_steps(&store, 30, |_| ()).await;
    let end = fs::read(log_of(dir.path())).unwrap().iter().rposition(|&byte| byte != 0).unwrap() as u64;
    assert!(end > at_least);
    let mut found = Vec::new();
    for part in 0..=12 {
        let copy = copied(dir.path());
        let log = fs::File::options().write(true).open(log_of(copy.path())).unwrap();
        log.set_len(end + 1 - part * (end - at_least) / 13).unwrap();
        let store = sl_fjall::open(copy.path(), FjallOptions::default()).unwrap().store();
        found.push(crash::state_effects_and_position_agree(&store, 5).await);
        // It goes on from there.
        crash::write_steps(&store, 31, |_| ()).await;
        assert_eq!(crash::state_effects_and_position_agree(&store, 31).await, 31);
    }
    assert_eq!(found[0], 30, "nothing was cut off");
    assert!(found.is_sorted_by(|longer, shorter| longer >= shorter), "{found:?}");
    assert!(found[12] < 10, "{found:?}");
}
