//! The service as a child process.

use std::{
    error::Error,
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// `smartlinks serve` with a data directory of its own; killed when it is dropped.
pub struct Service {
    child: Child,
    /// Unspecified without the role `edge`.
    edge: SocketAddr,
    admin: SocketAddr,
    /// Only at the first start.
    pub owner_key: Option<String>,
}

/// The service says so when its listeners answer.
const READY: &str = "ready ";

impl Service {
    /// Starts it with these roles and settings (`EDGE__THREADS`), and says how long that took, from the start of the process
    /// to the listeners. What it logs is in `dir/log` afterwards.
    ///
    /// # Errors
    /// When there is no such program, or it does not start: what it said.
    pub fn start(
        program: &Path,
        roles: &str,
        dir: &Path,
        settings: &[(&str, String)],
    ) -> Result<(Self, Duration), Box<dyn Error>> {
        let begun = Instant::now();
        let mut child = Command::new(program)
            .args(["serve", "--roles", roles])
            .env("SMARTLINKS_DATA_DIR", dir)
            .env("SMARTLINKS_EDGE__LISTEN", "127.0.0.1:0")
            .env("SMARTLINKS_ADMIN__LISTEN", "127.0.0.1:0")
            .envs(settings.iter().map(|(key, value)| (format!("SMARTLINKS_{key}"), value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{program:?}: {error}; build it with `cargo build --release`"))?;
        let log = child.stderr.take().ok_or("no stderr")?;
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut service = Self { child, edge: nowhere, admin: nowhere, owner_key: None };
        service.until_ready(log, dir.join("log"))?;
        Ok((service, begun.elapsed()))
    }

    fn until_ready(&mut self, log: impl Read + Send + 'static, kept: PathBuf) -> Result<(), Box<dyn Error>> {
        let (mut said, mut lines) = (Vec::new(), BufReader::new(log).lines());
        for line in lines.by_ref() {
            let line = line?;
            if let Some((_, secret)) = line.split_once("shown once): ") {
                self.owner_key = Some(secret.to_owned());
            }
            let ready = line.contains(READY) && line.contains("admin=");
            if ready {
                let address = |name: &str| line.split(name).nth(1)?.split_whitespace().next()?.parse().ok();
                self.edge = address("edge=").unwrap_or(self.edge);
                self.admin = address("admin=").ok_or(line.as_str())?;
            }
            said.push(line);
            if ready {
                let mut kept = File::create(kept)?;
                // Read to its end: a full pipe would stop the service.
                thread::spawn(move || {
                    let rest = lines.map_while(Result::ok);
                    said.into_iter().chain(rest).try_for_each(|line| writeln!(kept, "{line}"))
                });
                return Ok(());
            }
        }
        Err(format!("the service did not start: {}", said.join("\n")).into())
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where visitors are answered.
    #[must_use]
    pub fn edge(&self) -> SocketAddr {
        self.edge
    }

    /// An answer of the edge, with its head. `headers` end in `\r\n`.
    ///
    /// # Errors
    /// When none comes.
    pub fn ask_edge(&self, target: &str, headers: &str) -> Result<String, Box<dyn Error>> {
        ask(self.edge, "GET", target, headers, "")
    }

    /// Asks the API with a key, and gives what it answers.
    ///
    /// # Errors
    /// When the answer is no success: what it says.
    pub fn send(
        &self,
        key: &str,
        method: &str,
        target: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<serde_json::Value, Box<dyn Error>> {
        let body = body.map(serde_json::Value::to_string).unwrap_or_default();
        let headers = format!(
            "Authorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
        let answer = ask(self.admin, method, target, &headers, &body)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no body")?;
        match body {
            _ if !head.starts_with("HTTP/1.1 2") => Err(answer.into()),
            "" => Ok(serde_json::Value::Null),
            body => Ok(serde_json::from_str(body)?),
        }
    }

    /// Records that attribution has passed, over all partitions; `key` is the owner's.
    ///
    /// # Errors
    /// When the answer says something else.
    pub fn attributed(&self, key: &str) -> Result<u64, Box<dyn Error>> {
        let progress = self.send(key, "GET", "/api/x/progress", None)?;
        let position = progress.pointer("/data/attribution/position").and_then(serde_json::Value::as_u64);
        Ok(position.ok_or_else(|| progress.to_string())?)
    }

    /// The sum over all labels of a metric; 0 while it has none.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn metric(&self, name: &str) -> Result<f64, Box<dyn Error>> {
        Ok(self.metrics(name)?.into_iter().map(|(_, value)| value).sum())
    }

    /// A metric by its labels.
    ///
    /// # Errors
    /// As [`Self::metric`].
    pub fn metrics(&self, name: &str) -> Result<Vec<(String, f64)>, Box<dyn Error>> {
        let answer = ask(self.admin, "GET", "/metrics", "", "")?;
        let found = answer.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let labels = series.strip_prefix(name)?;
            (labels.is_empty() || labels.starts_with('{'))
                .then(|| Some((labels.to_owned(), value.parse().ok()?)))?
        });
        Ok(found.collect())
    }

    /// Resident memory, MiB.
    #[must_use]
    pub fn resident_mib(&self) -> u64 {
        crate::process::resident_mib(self.id()).unwrap_or(0)
    }

    /// An orderly stop.
    ///
    /// # Errors
    /// When it ends with another status than 0.
    pub fn stop(mut self) -> Result<(), Box<dyn Error>> {
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, rustix::process::Signal::TERM)?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("the service ended with {status}").into()) }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn ask(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &str,
    body: &str,
) -> Result<String, Box<dyn Error>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    write!(stream, "{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n{body}")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
