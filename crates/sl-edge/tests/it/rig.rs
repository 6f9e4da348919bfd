//! An edge on a free port, with a link, stock, and a client that writes raw bytes.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use sl_core::{
    catalog::{EdgeLink, OverflowLink},
    click::{Click, Repeat},
    event::EventBody,
    ids::{LinkKind, PoolLinkId, SmartLinkId, TeamId},
    pool::{PoolLink, StockKey},
    time::{ManualClock, Timestamp},
};
use sl_edge::{
    Edge, EdgeConfig, EdgeError, EdgeParts, Geo, InstallationSecret, LinkTable, Stock, StockBlock, Window,
};
use tokio_util::sync::CancellationToken;

use crate::faults::TestLog;

pub(crate) const NOON: Timestamp = Timestamp(1_767_268_800_000);
pub(crate) const LINK: &str = "01KZ4M8Q2T7V9W3X5Y6B1C0DEF";
pub(crate) const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1";
pub(crate) const BOT: &str = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
pub(crate) const OVERFLOW: &str = "https://onlyfans.com/nova/c900";
pub(crate) const PROFILE: &str = "https://onlyfans.com/nova";

pub(crate) struct Rig {
    pub(crate) address: SocketAddr,
    pub(crate) log: Arc<TestLog>,
    pub(crate) stock: Stock,
    pub(crate) links: LinkTable,
    pub(crate) window: Window,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) stop: CancellationToken,
    thread: Option<JoinHandle<Result<(), EdgeError>>>,
}

pub(crate) fn key() -> StockKey {
    StockKey { account: "acct_1".into(), kind: LinkKind::TrackingLink, trial_days: None }
}

pub(crate) fn link() -> EdgeLink {
    EdgeLink {
        id: LINK.parse().unwrap(),
        team: TeamId(1),
        stock: key(),
        window: Duration::from_secs(6 * 3600),
        deleted: false,
        paused: false,
        overflow: Some(OverflowLink { id: number(900), url: OVERFLOW.to_owned() }),
        profile_url: PROFILE.into(),
    }
}

pub(crate) fn other(byte: u8, change: impl FnOnce(&mut EdgeLink)) -> (String, EdgeLink) {
    let id = SmartLinkId::from_bytes([byte; 16]);
    let mut link = EdgeLink { id, ..link() };
    change(&mut link);
    (id.to_string(), link)
}

pub(crate) fn number(number: u64) -> PoolLinkId {
    PoolLinkId { kind: LinkKind::TrackingLink, number }
}

pub(crate) fn block(fence: u64, numbers: std::ops::Range<u64>) -> StockBlock {
    let links = numbers.map(|ordinal| {
        let url = format!("https://onlyfans.com/nova/c{ordinal}");
        let id = number(ordinal);
        (PoolLink { id, team: TeamId(1), stock: key(), url, ordinal, created_at: NOON }, false)
    });
    StockBlock { fence, stock: key(), links: links.collect(), good_for: Duration::from_secs(3600) }
}

impl Rig {
    /// One link, links 1 to 99 in stock, noon.
    pub(crate) fn start() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut EdgeConfig)) -> Self {
        let rig = Self::bare(change);
        rig.links.replace(vec![link()]);
        rig.stock.put_block(block(1, 1..100), Instant::now());
        rig
    }

    /// No catalog and no stock yet.
    pub(crate) fn bare(change: impl FnOnce(&mut EdgeConfig)) -> Self {
        let mut config = EdgeConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            threads: 2,
            // Long enough that no test on a busy machine is late by accident.
            durable_wait: Duration::from_secs(4),
            ..EdgeConfig::default()
        };
        change(&mut config);
        let (stock, stop) = (Stock::default(), CancellationToken::new());
        let (log, clock) = (Arc::new(TestLog::default()), Arc::new(ManualClock::at(NOON)));
        let (links, window) =
            (LinkTable::new(stock.clone()), Window::new(Duration::from_secs(6 * 3600), 1000));
        let parts = EdgeParts {
            log: Arc::<TestLog>::clone(&log),
            links: links.clone(),
            geo: Geo::shipped(),
            window: window.clone(),
            clock: Arc::<ManualClock>::clone(&clock),
            secret: InstallationSecret::new(&[9; 32]),
            seed: [3; 32],
        };
        let edge = Edge::bind(config, parts).unwrap();
        let (address, token) = (edge.local_addr(), stop.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(edge.run(token, Duration::from_secs(5)))
        });
        Self { address, log, stock, links, window, clock, stop, thread: Some(thread) }
    }

    /// Waits until it ends by itself.
    pub(crate) fn ended(&mut self) -> Result<(), EdgeError> {
        self.thread.take().map_or(Ok(()), |thread| thread.join().unwrap())
    }

    /// Stops it and waits until it has drained.
    pub(crate) fn finish(&mut self) -> Result<(), EdgeError> {
        self.stop.cancel();
        self.ended()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Sends bytes as they are and reads to the end of the connection.
    pub(crate) fn raw(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes.as_ref()).unwrap();
        read_all(&mut stream)
    }

    /// One request on a connection of its own, kept alive: a GET goes the short way.
    pub(crate) fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: go.example\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut stream = self.connect();
        stream.write_all((text + "\r\n").as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        Answer::read(&read_all(&mut stream))
    }

    /// A person's visit.
    pub(crate) fn visit(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        let mut all = vec![("User-Agent", IPHONE), ("Accept", "text/html,*/*;q=0.8")];
        all.extend(headers);
        self.ask("GET", target, &all)
    }

    pub(crate) fn clicks(&self) -> Vec<Click> {
        let events = self.log.events();
        let clicks = events.into_iter().filter_map(|event| match event.body {
            EventBody::Click(click) => Some(Click::clone(&click)),
            _ => None,
        });
        clicks.collect()
    }

    pub(crate) fn repeats(&self) -> Vec<Repeat> {
        let events = self.log.events();
        let repeats = events.into_iter().filter_map(|event| match event.body {
            EventBody::Repeat(repeat) => Some(repeat),
            _ => None,
        });
        repeats.collect()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub(crate) fn go(query: &str) -> String {
    format!("/go/{LINK}{query}")
}

pub(crate) fn read_all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset after the answer is the end as well.
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads until `count` header blocks are complete (answers without a body).
pub(crate) fn read_answers(stream: &mut TcpStream, count: usize) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while text.matches("\r\n\r\n").count() < count {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(read) => text.push_str(&String::from_utf8_lossy(&buffer[..read])),
        }
    }
    text
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Self { status: status.unwrap_or(0), headers, body: body.to_owned() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn location(&self) -> &str {
        self.header("location").unwrap_or("")
    }

    /// The visitor cookie as a browser returns it.
    pub(crate) fn cookie(&self) -> Option<String> {
        self.header("set-cookie").and_then(|line| line.split(';').next()).map(str::to_owned)
    }
}
