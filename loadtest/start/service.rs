//! The service as a child process.

use std::{
    error::Error,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::filled::Known;

pub(crate) struct Running {
    child: Child,
    edge: SocketAddr,
    admin: SocketAddr,
    /// Only at the first start.
    pub(crate) owner_key: Option<String>,
}

/// The service says so when both listeners answer.
const READY: &str = "ready edge=";
/// A person's.
const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
    Version/18.1 Mobile/15E148 Safari/604.1";
/// Most that attribution may take.
const PATIENCE: Duration = Duration::from_secs(300);

impl Running {
    /// Starts it, and says how long that took, from the start of the process to the listeners.
    pub(crate) fn start(program: &Path, dir: &Path) -> Result<(Self, Duration), Box<dyn Error>> {
        let begun = Instant::now();
        let mut child = Command::new(program)
            .arg("serve")
            .env("SMARTLINKS_DATA_DIR", dir)
            .env("SMARTLINKS_EDGE__LISTEN", "127.0.0.1:0")
            .env("SMARTLINKS_ADMIN__LISTEN", "127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{program:?}: {error}; build it with `cargo build --release`"))?;
        let log = BufReader::new(child.stderr.take().ok_or("no stderr")?);
        match ready(log) {
            Ok((edge, admin, owner_key)) => Ok((Self { child, edge, admin, owner_key }, begun.elapsed())),
            Err(error) => {
                child.kill()?;
                Err(error)
            }
        }
    }

    /// Waits until attribution has seen this many clicks; `key` is the owner's.
    pub(crate) fn until_attributed(&self, clicks: u64, key: &str) -> Result<(), Box<dyn Error>> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let headers = format!("Authorization: Bearer {key}\r\n");
            let answer = self.ask(self.admin, "/api/x/progress", &headers)?;
            let (_, body) = answer.split_once("\r\n\r\n").ok_or("no body")?;
            let progress: serde_json::Value = serde_json::from_str(body)?;
            let position = progress.pointer("/data/attribution/position").and_then(serde_json::Value::as_u64);
            if position.ok_or(body)? >= clicks {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(200));
        }
        Err(format!("not attributed after {PATIENCE:?}").into())
    }

    /// Where a visitor is sent.
    pub(crate) fn visit(&self, known: &Known) -> Result<String, Box<dyn Error>> {
        let headers =
            format!("User-Agent: {PHONE}\r\nAccept: text/html\r\nCookie: sl_v={}\r\n", known.cookie);
        let answer = self.ask(self.edge, &known.target, &headers)?;
        let place = answer.lines().find_map(|line| line.strip_prefix("location: "));
        Ok(place.ok_or(answer.as_str())?.to_owned())
    }

    fn ask(&self, address: SocketAddr, target: &str, headers: &str) -> Result<String, Box<dyn Error>> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        write!(stream, "GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    pub(crate) fn resident_mib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        kib.unwrap_or(0) / 1024
    }

    /// An orderly stop.
    pub(crate) fn stop(mut self) -> Result<(), Box<dyn Error>> {
        let id = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
            .ok_or("no such process")?;
        rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("the service ended with {status}").into()) }
    }
}

fn ready(log: BufReader<ChildStderr>) -> Result<(SocketAddr, SocketAddr, Option<String>), Box<dyn Error>> {
    let (mut said, mut key) = (Vec::new(), None);
    let mut lines = log.lines();
    for line in lines.by_ref() {
        let line = line?;
        if let Some((_, secret)) = line.split_once("shown once): ") {
            key = Some(secret.to_owned());
        }
        if line.contains(READY) {
            let address = |name: &str| line.split(name).nth(1)?.split_whitespace().next()?.parse().ok();
            let (edge, admin) = address("edge=").zip(address("admin=")).ok_or(line.as_str())?;
            // Read to its end: a full pipe would stop the service.
            thread::spawn(move || lines.for_each(drop));
            return Ok((edge, admin, key));
        }
        said.push(line);
    }
    Err(format!("the service did not start: {}", said.join("\n")).into())
}
