//! The visitors: one thread, one epoll, prebuilt requests. It does less per answer than any server can.
//!
//! Closed loop: every connection asks again as soon as it is answered. Open loop: requests are due at a fixed rate,
//! whether or not earlier ones are answered, and their time counts from when they were due.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
};

use crate::visitors::Visitors;

/// Connections of one round, kept alive.
pub struct Load {
    epoll: rustix::fd::OwnedFd,
    connections: Vec<Connection>,
    visitors: Visitors,
    /// Sleeps until an answer comes, instead of looking again and again.
    sleepy: bool,
    /// 302s since the connections were made, warm-up included.
    pub answered: u64,
}

/// What one run saw.
pub struct Run {
    /// Answers.
    pub count: u64,
    /// From the first request to the last answer.
    pub took: Duration,
    /// Times to the answer, in nanoseconds.
    pub times: Histogram<u64>,
}

struct Connection {
    stream: TcpStream,
    asked: Instant,
    got: Vec<u8>,
}

/// An answer that takes longer ends the run with an error.
const PATIENCE: Duration = Duration::from_secs(10);

impl Load {
    /// Opens so many connections. `sleepy`: the thread sleeps between answers instead of looking again at once.
    ///
    /// # Errors
    /// The system's.
    pub fn connect(server: SocketAddr, count: usize, visitors: Visitors, sleepy: bool) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut connections = Vec::with_capacity(count);
        for number in 0..count {
            let stream = TcpStream::connect(server)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            epoll::add(&epoll, &stream, epoll::EventData::new_u64(number as u64), epoll::EventFlags::IN)?;
            connections.push(Connection { stream, asked: Instant::now(), got: Vec::with_capacity(4096) });
        }
        Ok(Self { epoll, connections, visitors, sleepy, answered: 0 })
    }

    /// Gives the visitors back: the next round goes on with new ones.
    pub fn into_visitors(self) -> Visitors {
        self.visitors
    }

    /// Asks for `span`, then waits for what is still under way. `rate` is per second, for an open loop.
    ///
    /// # Errors
    /// When a connection ends, an answer is no 302, or none comes for ten seconds.
    pub fn run(&mut self, span: Duration, rate: Option<f64>) -> io::Result<Run> {
        let began = Instant::now();
        let mut run = Run { count: 0, took: span, times: histogram()? };
        let mut pace = rate.map(|rate| Pace { due: began, gap: Duration::from_secs_f64(1.0 / rate) });
        // In turns: a server closes what has not been used for a while.
        let mut idle: VecDeque<usize> = (0..self.connections.len()).collect();
        let (mut under_way, mut events) = (0, Vec::with_capacity(1024));
        loop {
            let now = Instant::now();
            let over = now.duration_since(began) >= span;
            if over && under_way == 0 {
                run.took = began.elapsed();
                return Ok(run);
            }
            while !over && !idle.is_empty() {
                let Some(asked) = pace.as_mut().map_or(Some(now), |pace| pace.next(now)) else { break };
                let Some(number) = idle.pop_front() else { break };
                self.ask(number, asked)?;
                under_way += 1;
            }
            let wait = match &pace {
                Some(pace) if !over && !idle.is_empty() => pace.due.saturating_duration_since(now),
                _ => PATIENCE,
            };
            self.wait(&mut events, wait)?;
            if events.is_empty() && wait == PATIENCE {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer for 10 seconds"));
            }
            for event in &events {
                let number = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
                if let Some(time) = self.answer(number)? {
                    run.count += 1;
                    run.times.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
                    under_way -= 1;
                    idle.push_back(number);
                }
            }
        }
    }

    fn wait(&self, events: &mut Vec<epoll::Event>, longest: Duration) -> io::Result<()> {
        let (begun, pause) = (Instant::now(), if self.sleepy { longest } else { Duration::ZERO });
        loop {
            events.clear();
            epoll::wait(&self.epoll, spare_capacity(events), Some(&timespec(pause)))?;
            if !events.is_empty() || begun.elapsed() >= longest {
                return Ok(());
            }
        }
    }

    fn ask(&mut self, number: usize, asked: Instant) -> io::Result<()> {
        let Some(connection) = self.connections.get_mut(number) else { return Ok(()) };
        connection.asked = asked;
        // Far smaller than an empty socket buffer, so it is taken whole.
        connection.stream.write_all(self.visitors.next())
    }

    /// The time of an answer that is complete by now.
    fn answer(&mut self, number: usize) -> io::Result<Option<Duration>> {
        let Some(connection) = self.connections.get_mut(number) else { return Ok(None) };
        let mut buffer = [0; 4096];
        let read = connection.stream.read(&mut buffer)?;
        if read == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed a connection"));
        }
        connection.got.extend_from_slice(buffer.get(..read).unwrap_or_default());
        if !whole(&connection.got, self.visitors.get_body())? {
            return Ok(None);
        }
        connection.got.clear();
        self.answered += 1;
        Ok(Some(connection.asked.elapsed()))
    }
}

struct Pace {
    due: Instant,
    gap: Duration,
}

impl Pace {
    fn next(&mut self, now: Instant) -> Option<Instant> {
        let due = self.due;
        (due <= now).then(|| {
            self.due += self.gap;
            due
        })
    }
}

/// Of times in nanoseconds, up to a minute.
///
/// # Errors
/// Never: its bounds are in order.
pub fn histogram() -> io::Result<Histogram<u64>> {
    Histogram::new_with_bounds(1_000, 60_000_000_000, 3).map_err(io::Error::other)
}

fn timespec(span: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(span.subsec_nanos()),
    }
}

/// Whether a 302 is complete, body included. Anything else is an error: the comparison would be of something else.
fn whole(got: &[u8], body: bool) -> io::Result<bool> {
    const STATUS: &[u8] = b"HTTP/1.1 302 ";
    if got.len() >= STATUS.len() && !got.starts_with(STATUS) {
        let head = String::from_utf8_lossy(got.get(..64.min(got.len())).unwrap_or_default()).into_owned();
        return Err(io::Error::other(format!("not a 302: {head:?}")));
    }
    let Some(end) = got.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(false) };
    if !body {
        return Ok(true);
    }
    let head = String::from_utf8_lossy(got.get(..end).unwrap_or_default());
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok()).flatten()
    });
    Ok(got.len() >= end + 4 + length.unwrap_or(0))
}
