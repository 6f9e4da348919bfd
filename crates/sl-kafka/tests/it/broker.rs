//! A broker of the test's own, to be stopped in every manner.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use tempfile::TempDir;

pub(crate) struct Broker {
    dir: TempDir,
    pub(crate) brokers: String,
}

impl Broker {
    pub(crate) fn start() -> Self {
        Self::several(1)
    }

    pub(crate) fn several(count: u32) -> Self {
        Self::started(&["--brokers", &count.to_string()])
    }

    #[cfg(feature = "tls")]
    pub(crate) fn with_tls() -> Self {
        Self::started(&["--tls"])
    }

    /// Where it wants TLS and a password.
    #[cfg(feature = "tls")]
    pub(crate) fn door(&self) -> String {
        said(&self.run("up", &["kafka"]), "SMARTLINKS_TEST_KAFKA_TLS")
    }

    /// Its certificate.
    #[cfg(feature = "tls")]
    pub(crate) fn certificate(&self) -> PathBuf {
        self.dir.path().join("cluster/kafka-1/tls.pem")
    }

    fn started(how: &[&str]) -> Self {
        let dir = TempDir::new().unwrap();
        let mut broker = Self { dir, brokers: String::new() };
        let process = std::process::id().to_string();
        // Also when this process is killed, the broker does not stay behind.
        let told = broker.run("up", &[&["kafka", "--while", &process], how].concat());
        broker.brokers = said(&told, "SMARTLINKS_TEST_KAFKA");
        broker
    }

    /// On the data it had.
    pub(crate) fn again(&self) {
        self.run("up", &["kafka"]);
    }

    pub(crate) fn stop(&self) {
        self.run("down", &["kafka"]);
    }

    pub(crate) fn kill(&self) {
        self.run("down", &["kafka", "--kill"]);
    }

    pub(crate) fn freeze(&self) {
        self.run("down", &["kafka", "--freeze"]);
    }

    /// Takes the second half of a partition's only segment, as a power cut may; the broker must have been killed.
    pub(crate) fn cut(&self, topic: &str, partition: u32) {
        let folder = self.dir.path().join(format!("cluster/kafka-1/data/{topic}-{partition}"));
        let segment = folder.join(format!("{:020}.log", 0));
        let file = std::fs::OpenOptions::new().write(true).open(segment).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    }

    pub(crate) fn kill_one(&self, server: &str) {
        self.run("down", &[server, "--kill"]);
    }

    pub(crate) fn one_again(&self, server: &str) {
        self.run("up", &[server]);
    }

    fn run(&self, command: &str, arguments: &[&str]) -> String {
        let scripts = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy/dev-cluster");
        let done = Command::new(scripts.join(command))
            .args(arguments)
            .arg("--dir")
            .arg(self.dir.path().join("cluster"))
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{command} {arguments:?}: {words}");
        String::from_utf8(done.stdout).unwrap()
    }
}

/// What `up` says a variable is.
fn said(told: &str, name: &str) -> String {
    let name = format!("export {name}=");
    told.lines().find_map(|line| line.strip_prefix(&name)).expect("up says where it is").to_owned()
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.run("down", &[]);
    }
}
