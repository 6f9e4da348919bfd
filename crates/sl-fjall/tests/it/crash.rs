//! `kill -9` at any moment: a child process of this test binary applies steps until it is killed.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use sl_fjall::FjallOptions;
use sl_store::suite::crash;

const DIR: &str = "SL_FJALL_CRASH_DIR";

/// Not a case of its own: the child's part, which does nothing in an ordinary run.
#[tokio::test]
async fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let store = sl_fjall::open(dir, FjallOptions::default()).unwrap().store();
    crash::write_steps(&store, u64::MAX, |step| println!("applied {step}")).await;
}

/// Lets a child work until it has told of `steps`, kills it, and returns the last step it told of.
fn killed_after(dir: &Path, steps: usize) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child", "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut told = lines.filter_map(|line| line.rsplit_once("applied ").and_then(|(_, n)| n.parse().ok()));
    let mut last = told.nth(steps - 1).expect("the child ended by itself");
    child.kill().unwrap();
    child.wait().unwrap();
    last = told.last().unwrap_or(last);
    last
}

#[tokio::test]
async fn a_process_killed_in_the_middle_of_steps_leaves_whole_ones() {
    let dir = tempfile::tempdir().unwrap();
    let mut before = 0;
    for steps in [1, 40, 7, 150] {
        let told = killed_after(dir.path(), steps);
        let store = sl_fjall::open(dir.path(), FjallOptions::default()).unwrap().store();
        let last = crash::state_effects_and_position_agree(&store, told).await;
        assert!(last > before);
        before = last;
    }
}
