//! What `deploy/dev-cluster` promises to who starts several, or one that does not come up.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Output, Stdio},
    thread,
    time::Duration,
};

use crate::own::scripts;

fn run(name: &str, dir: &Path, words: &[&str]) -> Output {
    Command::new(scripts().join(name)).args(words).arg("--dir").arg(dir).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// Brokers that end with this process, and where they are.
fn brokers(dir: &Path, count: usize) -> Vec<String> {
    let (count, process) = (count.to_string(), std::process::id().to_string());
    let output = run("up", dir, &["kafka", "--brokers", &count, "--while", &process]);
    assert!(output.status.success(), "{}", said(&output));
    let line = said(&output).lines().find(|line| line.contains("SMARTLINKS_TEST_KAFKA=")).unwrap().to_owned();
    line.split('=').nth(1).unwrap().split(',').map(str::to_owned).collect()
}

fn serve(dir: &Path) -> bool {
    let output = run("status", dir, &[]);
    assert!(output.status.success() != said(&output).contains("stopped"), "{}", said(&output));
    output.status.success()
}

#[test]
#[ignore = "starts Kafka brokers of its own with deploy/dev-cluster: needs Java and Maven"]
fn two_clusters_that_start_at_once_never_collide_and_one_ends_without_the_other() {
    let home = tempfile::tempdir().unwrap();
    let dirs = [home.path().join("one"), home.path().join("two")];
    let (one, two) = thread::scope(|scope| {
        let one = scope.spawn(|| brokers(&dirs[0], 2));
        let two = brokers(&dirs[1], 1);
        (one.join().unwrap(), two)
    });
    let mut all = [one, two.clone()].concat();
    assert!(all.iter().all(|address| TcpStream::connect(address).is_ok()), "{all:?}");
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 3, "everybody has a port of their own");

    let down = run("down", &dirs[0], &[]);
    assert!(down.status.success(), "{}", said(&down));
    assert!(!dirs[0].exists(), "nothing is left of it");
    assert!(serve(&dirs[1]));

    // Of one that stays, the servers can be stopped and come back to their data at the same place.
    assert!(run("down", &dirs[1], &["--keep", "--kill"]).status.success());
    assert!(!serve(&dirs[1]));
    assert_eq!(brokers(&dirs[1], 1), two);
    assert!(serve(&dirs[1]));
    assert!(run("down", &dirs[1], &[]).status.success());
    assert!(!dirs[1].exists());
}

#[test]
#[ignore = "starts a Kafka broker of its own with deploy/dev-cluster: needs Java and Maven"]
fn a_cluster_goes_with_who_asked_for_it_also_when_that_ends_while_it_starts() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("cluster");
    let mut asker = Command::new("sleep").arg("600").spawn().unwrap();
    let mut up = Command::new(scripts().join("up"));
    up.args(["kafka", "--while", &asker.id().to_string(), "--dir"]).arg(&dir);
    let mut up = up.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = |said: &str| said.contains("kafka-1: starting");
    let said =
        BufReader::new(up.stderr.take().unwrap()).lines().map_while(Result::ok).find(|line| begun(line));
    assert!(said.is_some(), "it did not start");
    // Nobody reads any more, which ends the script, too.
    asker.kill().unwrap();
    asker.wait().unwrap();
    up.wait().unwrap();
    let is_gone = (0..1200).any(|_| {
        thread::sleep(Duration::from_millis(50));
        !dir.exists()
    });
    assert!(is_gone, "the broker is still there");
}

#[test]
#[ignore = "starts a Kafka broker of its own with deploy/dev-cluster: needs Java and Maven"]
fn a_server_that_does_not_come_up_is_said_so_and_its_log_is_kept() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("cluster");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = run("up", &dir, &["kafka", "--kafka-port", &port]);
    let said = said(&output);
    assert!(!output.status.success(), "{said}");
    let log = dir.join("kafka-1/log");
    assert!(said.contains(&format!("its whole log is {}", log.display())), "{said}");
    assert!(said.contains("Address already in use"), "the end of the log: {said}");
    assert!(fs::read_to_string(&log).unwrap().contains("Address already in use"));
    assert!(run("down", &dir, &[]).status.success());
    assert!(!dir.exists());
}
