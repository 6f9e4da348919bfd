//! The two servers, as child processes on one core.

use std::{
    error::Error,
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use clap::ValueEnum as _;

use crate::{Log, served::Books};

/// The edge in a child of its own.
pub(crate) struct EdgeChild {
    child: Child,
    words: ChildStdin,
    answers: BufReader<ChildStdout>,
    pub(crate) address: SocketAddr,
}

impl EdgeChild {
    pub(crate) fn start(directory: &Path, log: Log) -> Result<Self, Box<dyn Error>> {
        let log = log.to_possible_value().ok_or("no such log")?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--serve")
            .arg(directory)
            .args(["--log", log.get_name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let words = child.stdin.take().ok_or("no stdin")?;
        let mut answers = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        let line = line(&mut answers)?;
        let address = line.strip_prefix("listening ").ok_or(line.as_str())?.parse()?;
        Ok(Self { child, words, answers, address })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Gives it pool links, outside the measured time.
    pub(crate) fn stock(&mut self, count: u64) -> Result<(), Box<dyn Error>> {
        writeln!(self.words, "stock {count}")?;
        line(&mut self.answers).map(|_| ())
    }

    pub(crate) fn stop(mut self) -> Result<Books, Box<dyn Error>> {
        writeln!(self.words, "stop")?;
        let books = serde_json::from_str(&line(&mut self.answers)?)?;
        self.child.wait()?;
        Ok(books)
    }
}

fn line(answers: &mut impl BufRead) -> Result<String, Box<dyn Error>> {
    let mut line = String::new();
    answers.read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// nginx with nothing but `return 302`: one process.
pub(crate) struct Nginx {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Nginx {
    /// With its access log in `directory`, as it comes, or without any.
    pub(crate) fn start(program: &Path, directory: &Path, logs: bool) -> Result<Self, Box<dyn Error>> {
        // A free port: taken, looked at, given back.
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        fs::create_dir_all(directory)?;
        let file: PathBuf = directory.join("nginx.conf");
        fs::write(&file, configuration(address, logs))?;
        let child = Command::new(program)
            .arg("-p")
            .arg(directory)
            .arg("-c")
            .arg(&file)
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{program:?}: {error}; install nginx or name it with --nginx"))?;
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            if begun.elapsed() > Duration::from_secs(5) {
                return Err("nginx does not listen after 5 seconds".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Self { child, address })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(address: SocketAddr, logs: bool) -> String {
    let log = if logs { "access.log combined" } else { "off" };
    format!(
        "daemon off; master_process off; pid nginx.pid; error_log /dev/null crit;
events {{ worker_connections 4096; }}
http {{
  access_log {log}; keepalive_requests 1000000000; keepalive_timeout 600s; server_tokens off;
  client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  server {{ listen {address}; add_header Cache-Control no-store; return 302 https://onlyfans.com/nova/c1; }}
}}
"
    )
}
