//! Who is told: the simulated platforms in a process of their own, and somebody who never answers.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use serde_json::{Map, Value};
use sl_sim::ads::{AdsConfig, AdsSim};

use crate::{Outcome, house::SystemClock};

/// The simulator, as the child: says where it is, and ends with its input.
pub(crate) fn simulate() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ads = runtime.block_on(AdsSim::bind(AdsConfig::new(Arc::new(SystemClock))))?;
    println!("{}", ads.addr());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// The simulator, as the parent sees it.
pub(crate) struct Simulator {
    child: Child,
    address: SocketAddr,
}

impl Simulator {
    pub(crate) fn start() -> Outcome<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("sim")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut said = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut said)?;
        Ok(Self { child, address: said.trim().parse()? })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its own books: how many different events its receivers took, and how many came with different bytes.
    pub(crate) fn books(&self) -> Outcome<(u64, u64)> {
        let receivers = self.receivers()?;
        Ok((sum(&receivers, "distinct"), sum(&receivers, "changed")))
    }

    /// Requests so far.
    pub(crate) fn requests(&self) -> Outcome<u64> {
        Ok(sum(&self.receivers()?, "requests"))
    }

    fn receivers(&self) -> Outcome<Map<String, Value>> {
        let state: Value = serde_json::from_str(&self.ask("GET", "state", "")?)?;
        Ok(state.get("receivers").and_then(Value::as_object).cloned().unwrap_or_default())
    }

    /// Turns one of its switches.
    pub(crate) fn switch(&self, what: &str, how: &str) -> Outcome<()> {
        self.ask("POST", what, how).map(drop)
    }

    fn ask(&self, method: &str, what: &str, body: &str) -> Outcome<String> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let length = body.len();
        write!(
            stream,
            "{method} /_sim/{what} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("the simulator said nothing")?;
        if !head.starts_with("HTTP/1.1 200") {
            return Err(format!("the simulator refused {what}: {body}").into());
        }
        Ok(body.to_owned())
    }
}

fn sum(receivers: &Map<String, Value>, name: &str) -> u64 {
    receivers.values().filter_map(|one| one.get(name)?.as_u64()).sum()
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // Its input ends.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Takes connections, reads nothing, answers nothing.
pub(crate) fn silent() -> Outcome<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || listener.incoming().collect::<Vec<_>>());
    Ok(format!("http://{address}"))
}
