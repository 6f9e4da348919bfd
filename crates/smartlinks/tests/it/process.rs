//! The service as a child process, and visitors as raw sockets.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    ops::Deref,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

/// Nothing here takes so long unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// ... but a first start on servers that share a busy machine with their test: three of them have to agree on fifty tables.
const PATIENCE_WITH_STARTS: Duration = Duration::from_secs(300);

/// The command with nothing of the test's own environment that could configure it.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smartlinks"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SMARTLINKS_")) {
        command.env_remove(name);
    }
    // Proxies of the environment are never used (promise 9). Nobody listens at this one: every delivery of every test
    // shows it.
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        command.env(name, "http://127.0.0.1:9");
    }
    command
}

/// Where a running service answers.
#[derive(Clone, Copy)]
pub(crate) struct Reach {
    pub(crate) edge: SocketAddr,
    pub(crate) admin: SocketAddr,
}

/// A running service in a process of its own; killed when it is dropped.
pub(crate) struct Service {
    child: Child,
    log: mpsc::Receiver<String>,
    reach: Reach,
    pub(crate) owner_key: Option<String>,
}

impl Deref for Service {
    type Target = Reach;

    fn deref(&self) -> &Reach {
        &self.reach
    }
}

/// What every service of the tests is told: ports of the system's choice; a click waits for the disk as long as it takes,
/// so that none is late.
pub(crate) fn settings(dir: &Path) -> Vec<(String, String)> {
    let dir = dir.to_str().unwrap();
    let settings = [
        ("DATA_DIR", dir),
        ("EDGE__LISTEN", "127.0.0.1:0"),
        ("EDGE__TRUSTED_PROXIES", "127.0.0.0/8"),
        ("EDGE__HEADER_TIMEOUT", "40s"),
        ("EDGE__DURABLE_WAIT", "30s"),
        ("ADMIN__LISTEN", "127.0.0.1:0"),
    ];
    named(&settings)
}

/// Names of variables for keys.
pub(crate) fn named(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    settings.iter().map(|(key, value)| (format!("SMARTLINKS_{key}"), (*value).to_owned())).collect()
}

impl Service {
    /// Starts with [`settings`] and waits until it is ready.
    pub(crate) fn start(dir: &Path) -> Self {
        Self::start_with(dir, &[])
    }

    /// The same with settings of its own: `("POOL__MIN", "40")`.
    pub(crate) fn start_with(dir: &Path, settings: &[(&str, &str)]) -> Self {
        let mut command = command();
        command.arg("serve");
        Self::start_by(command, dir, settings)
    }

    /// One of several processes, with some of the roles.
    pub(crate) fn start_roles(roles: &str, dir: &Path, settings: &[(&str, &str)]) -> Self {
        let mut command = command();
        command.args(["serve", "--roles", roles]);
        Self::start_by(command, dir, settings)
    }

    /// The same while the store of a cluster is away: it serves without.
    pub(crate) fn start_alone(roles: &str, dir: &Path, settings: &[(&str, &str)]) -> Self {
        let mut command = command();
        command.args(["serve", "--roles", roles]);
        Self::start_until("serving without it", command, dir, settings)
    }

    /// The same by a command that ends in `smartlinks serve`.
    pub(crate) fn start_by(command: Command, dir: &Path, settings: &[(&str, &str)]) -> Self {
        Self::start_until("ready ", command, dir, settings)
    }

    /// Starts, and is killed after a while, ready or not.
    pub(crate) fn killed_start(dir: &Path, settings: &[(&str, &str)], after: Duration) {
        let mut command = command();
        command.arg("serve").envs(self::settings(dir)).envs(named(settings)).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(after);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Returns once it says so, with its addresses.
    fn start_until(what: &str, mut command: Command, dir: &Path, settings: &[(&str, &str)]) -> Self {
        let mut child = command
            .envs(self::settings(dir))
            .envs(named(settings))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (lines, heard) = mpsc::channel();
        let log = BufReader::new(child.stderr.take().unwrap());
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let reach = Reach { edge: nowhere, admin: nowhere };
        let mut service = Self { child, log: heard, reach, owner_key: None };
        // Read to its end: a full pipe would stop the service.
        thread::spawn(move || log.lines().map_while(Result::ok).for_each(|line| drop(lines.send(line))));
        let mut said = Vec::new();
        loop {
            let Ok(line) = service.log.recv_timeout(PATIENCE_WITH_STARTS) else {
                panic!("the service did not start: {said:#?}")
            };
            if let Some((_, secret)) = line.split_once("shown once): ") {
                service.owner_key = Some(secret.to_owned());
            }
            if line.contains(what) && line.contains("admin=") {
                let address = |name: &str| {
                    let text = line.split(name).nth(1)?;
                    Some(text.split_whitespace().next()?.parse().unwrap())
                };
                let edge = address("edge=").unwrap_or(nowhere);
                service.reach = Reach { edge, admin: address("admin=").unwrap() };
                return service;
            }
            said.push(line);
        }
    }

    /// Where it answers, for others to hold.
    pub(crate) fn reach(&self) -> Reach {
        self.reach
    }

    /// Waits until the log says something.
    pub(crate) fn until_said(&self, text: &str) {
        while !self.log.recv_timeout(PATIENCE).unwrap().contains(text) {}
    }

    /// Whether the log has said it since it was last read.
    pub(crate) fn has_said(&self, text: &str) -> bool {
        self.log.try_iter().any(|line| line.contains(text))
    }

    /// A path as the process sees it, which may have mounts of its own.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        Path::new("/proc")
            .join(self.child.id().to_string())
            .join("root")
            .join(path.strip_prefix("/").unwrap())
    }

    /// How far any file may be written from now on, bytes.
    pub(crate) fn limit_files(&self, current: Option<u64>) {
        let process = rustix::process::Pid::from_child(&self.child);
        let limit = rustix::process::Rlimit { current, maximum: None };
        rustix::process::prlimit(Some(process), rustix::process::Resource::Fsize, limit).unwrap();
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and the exit status.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.signal();
        self.wait()
    }

    /// The exit status of one that was told to end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// SIGTERM.
    pub(crate) fn signal(&self) {
        self.tell(rustix::process::Signal::TERM);
    }

    /// Ends the program whose terminal the service runs in, which was started instead of it.
    pub(crate) fn end_terminal(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGHUP.
    pub(crate) fn hang_up(&self) {
        self.tell(rustix::process::Signal::HUP);
    }

    /// SIGSTOP: a machine that stands still.
    pub(crate) fn freeze(&self) {
        self.tell(rustix::process::Signal::STOP);
    }

    /// Goes on after [`Self::freeze`].
    pub(crate) fn thaw(&self) {
        self.tell(rustix::process::Signal::CONT);
    }

    fn tell(&self, signal: rustix::process::Signal) {
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, signal).unwrap();
    }

    /// The exit status, once it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }
}

impl Reach {
    /// A visitor of its own for every number.
    pub(crate) fn visit(&self, link: &str, visitor: u32) -> io::Result<Answer> {
        visit(self.edge, link, visitor)
    }

    /// A visit by an ad with this query.
    pub(crate) fn visit_by(&self, link: &str, visitor: u32, query: &str) -> io::Result<Answer> {
        visit_with(self.edge, link, visitor, query)
    }

    /// The link that visitors share who get none of their own: what a HEAD is answered with.
    pub(crate) fn shared(&self, link: &str) -> String {
        self.try_shared(link).unwrap()
    }

    /// The same; `None` where the edge does not know the Smart Link.
    pub(crate) fn try_shared(&self, link: &str) -> Option<String> {
        let head = format!("HEAD /go/{link} HTTP/1.1\r\nHost: go.example\r\nConnection: close\r\n\r\n");
        exchange(self.edge, &head).unwrap().location
    }

    /// GET with the bearer key, whatever the answer.
    pub(crate) fn try_api(&self, key: &str, path: &str) -> Answer {
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\r\n"
        );
        exchange(self.admin, &head).unwrap()
    }

    /// GET with the bearer key; the body as JSON.
    pub(crate) fn api(&self, key: &str, path: &str) -> serde_json::Value {
        let answer = self.try_api(key, path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// GET without a key; the body.
    pub(crate) fn get(&self, path: &str) -> String {
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        exchange(self.admin, &head).unwrap().body
    }

    /// POST with the bearer key; the answer's body as JSON.
    pub(crate) fn post(&self, key: &str, path: &str, body: &serde_json::Value) -> serde_json::Value {
        let answer = self.try_post(key, path, body);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// POST with the bearer key, whatever the answer.
    pub(crate) fn try_post(&self, key: &str, path: &str, body: &serde_json::Value) -> Answer {
        self.send("POST", key, path, body)
    }

    /// PATCH with the bearer key; it is taken.
    pub(crate) fn patch(&self, key: &str, path: &str, body: &serde_json::Value) {
        let answer = self.send("PATCH", key, path, body);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    }

    /// A webhook of the creator platform, signed with this secret.
    pub(crate) fn signed_webhook(&self, secret: &str, body: &serde_json::Value) -> Answer {
        let body = body.to_string();
        let signature = sl_core::webhook::sign(secret.as_bytes(), body.as_bytes());
        let head = format!(
            "POST /webhooks/onlyfansapi HTTP/1.1\r\nHost: x\r\nSignature: {signature}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        exchange(self.admin, &head).unwrap()
    }

    /// DELETE with the bearer key; it is taken.
    pub(crate) fn delete(&self, key: &str, path: &str) {
        let answer = self.send("DELETE", key, path, &serde_json::Value::Null);
        assert!((200..300).contains(&answer.status), "{path}: {}", answer.body);
    }

    fn send(&self, method: &str, key: &str, path: &str, body: &serde_json::Value) -> Answer {
        let body = body.to_string();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        exchange(self.admin, &head).unwrap()
    }

    /// Waits until the answer to a GET is as wanted.
    pub(crate) fn until(
        &self,
        key: &str,
        path: &str,
        ready: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        for _ in 0..2400 {
            let shown = self.api(key, path);
            if ready(&shown) {
                return shown;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("{path} stays {}", self.api(key, path));
    }

    /// Waits until every queue of the service is empty.
    pub(crate) fn settle(&self, key: &str) {
        for _ in 0..2400 {
            let progress = self.api(key, "/api/x/progress");
            if progress["data"]["settled"] == true {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("the service does not settle: {}", self.api(key, "/api/x/progress"));
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let said: Vec<_> = self.log.try_iter().collect();
            eprintln!("the service at {} said last:\n{}", self.admin, said.join("\n"));
        }
    }
}

/// A whole answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    pub(crate) body: String,
}

/// One visit by the browser `visitor`; an error when no whole answer came.
pub(crate) fn visit(edge: SocketAddr, link: &str, visitor: u32) -> io::Result<Answer> {
    visit_with(edge, link, visitor, "utm_source=test")
}

fn visit_with(edge: SocketAddr, link: &str, visitor: u32, query: &str) -> io::Result<Answer> {
    let [_, a, b, c] = visitor.to_be_bytes();
    let head = format!(
        "GET /go/{link}?{query} HTTP/1.1\r\nHost: go.example\r\nX-Forwarded-For: 23.{a}.{b}.{c}\r\n\
         User-Agent: Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) \
         Chrome/126.0.0.0 Mobile Safari/537.36\r\nAccept: text/html\r\nAccept-Language: en-US,en;q=0.9\r\n\
         Connection: close\r\n\r\n"
    );
    exchange(edge, &head)
}

fn exchange(address: SocketAddr, head: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(head.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status =
        head.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
    let location = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("location").then(|| value.to_owned())
    });
    let body = if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        body.lines().skip(1).step_by(2).collect()
    } else {
        body.to_owned()
    };
    Ok(Answer { status, location, body })
}
