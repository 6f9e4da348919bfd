//! The two servers: given by the environment, or started for this run and gone with it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::Outcome;

/// A broker and a CQL server.
pub(crate) struct Servers {
    pub(crate) kafka: String,
    pub(crate) cql: String,
    /// The directory of the dev cluster they are of, if they are.
    dir: Option<PathBuf>,
    /// Whether this run has started them.
    own: bool,
}

impl Servers {
    pub(crate) fn find(scratch: &Path) -> Outcome<Self> {
        let given = |name: &str| std::env::var(name).ok();
        if let (Some(kafka), Some(cql)) = (given("SMARTLINKS_TEST_KAFKA"), given("SMARTLINKS_TEST_CQL")) {
            return Ok(Self {
                kafka,
                cql,
                dir: given("SMARTLINKS_TEST_CLUSTER").map(PathBuf::from),
                own: false,
            });
        }
        let dir = scratch.join("servers");
        let up = Command::new(script("up"))
            .arg("--dir")
            .arg(&dir)
            .args(["--while", &std::process::id().to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()?;
        let said = String::from_utf8_lossy(&up.stdout);
        let address = |name: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(&format!("export {name}=")));
            line.map(str::to_owned).ok_or("the dev cluster does not start")
        };
        let (kafka, cql) = (address("SMARTLINKS_TEST_KAFKA")?, address("SMARTLINKS_TEST_CQL")?);
        Ok(Self { kafka, cql, dir: Some(dir), own: true })
    }

    /// Process of the first server of a kind (`kafka`, `cql`), if it runs on this machine and it is known which.
    pub(crate) fn process(&self, kind: &str) -> Option<u32> {
        let file = self.dir.as_ref()?.join(format!("{kind}-1/pid"));
        fs::read_to_string(file).ok()?.trim().parse().ok()
    }

    /// Bytes of a topic's records on the broker's disk; 0 when that is not here. Indexes are prepared ahead and do not
    /// count.
    pub(crate) fn on_disk(&self, topic: &str) -> u64 {
        let Some(dir) = &self.dir else { return 0 };
        let named = |path: &Path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.starts_with(&format!("{topic}-"))
        };
        let inside =
            |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
        let partitions = inside(dir.join("kafka-1/data")).filter(|path| named(path));
        let segments =
            partitions.flat_map(inside).filter(|path| path.extension().is_some_and(|kind| kind == "log"));
        segments.filter_map(|path| path.metadata().ok()).map(|data| data.len()).sum()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        if let (true, Some(dir)) = (self.own, &self.dir) {
            let _ = Command::new(script("down")).arg("--dir").arg(dir).stderr(Stdio::null()).status();
        }
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/dev-cluster").join(name)
}
