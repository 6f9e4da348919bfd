//! A Kafka broker and CQL nodes that belong to one test, which may stop and kill them.

use std::{
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use tempfile::TempDir;

/// Servers of this test's own: nobody else misses them.
pub(crate) struct Own {
    home: TempDir,
    pub(crate) kafka: String,
    pub(crate) cql: String,
}

impl Own {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// With more words for `deploy/dev-cluster/up`.
    pub(crate) fn start_with(how: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let process = std::process::id().to_string();
        let words: Vec<_> = [how, &["--while", &process]].concat().into_iter().map(str::to_owned).collect();
        let said = script("up", home.path(), &words);
        let address = |name: &str| {
            let line = said.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{said}"));
            line.split('=').nth(1).unwrap().trim_matches('\'').to_owned()
        };
        let (kafka, cql) = (address("SMARTLINKS_TEST_KAFKA"), address("SMARTLINKS_TEST_CQL"));
        Self { home, kafka, cql }
    }

    /// Stops a server, in order or as `how` says.
    pub(crate) fn down(&self, server: &str, how: &[&str]) {
        let words: Vec<_> = [&[server], how].concat().into_iter().map(str::to_owned).collect();
        script("down", self.home.path(), &words);
    }

    /// Starts one again on its data, or lets it go on.
    pub(crate) fn up(&self, server: &str) {
        script("up", self.home.path(), &[server.to_owned()]);
    }

    /// What the servers said last, which goes with them.
    fn say_logs(&self) {
        for server in std::fs::read_dir(self.home.path().join("cluster")).into_iter().flatten().flatten() {
            let Ok(log) = std::fs::read_to_string(server.path().join("log")) else { continue };
            let lines: Vec<_> = log.lines().collect();
            let end = lines.get(lines.len().saturating_sub(30)..).unwrap_or_default();
            eprintln!("{:?} said last:\n{}", server.file_name(), end.join("\n"));
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if thread::panicking() {
            self.say_logs();
        }
        script("down", self.home.path(), &[]);
    }
}

pub(crate) fn scripts() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy/dev-cluster")
}

fn script(name: &str, home: &Path, arguments: &[String]) -> String {
    let mut command = Command::new(scripts().join(name));
    let output = command.args(arguments).arg("--dir").arg(home.join("cluster")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{name} {arguments:?}: {said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    said
}
