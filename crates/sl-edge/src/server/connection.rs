//! One connection: hyper in the middle, and around it what hyper leaves to others: the answer to a slow header, the way
//! to close, the drain.

use std::{
    cell::Cell,
    future::poll_fn,
    net::IpAddr,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::roster::{Roster, Seated};
use crate::{
    click::{self, HEADER_TOO_SLOW, TOO_MANY_CONNECTIONS, Worker},
    config::EdgeConfig,
};

/// How connections of one thread are served.
pub(super) struct Connections {
    http: http1::Builder,
    /// ... that came in after the stop: one answer each.
    last: http1::Builder,
    worker: Rc<Worker>,
    pub(super) roster: Rc<Roster>,
}

/// At the stop, how long a connection that has not asked for anything yet may still do so.
const GRACE: Duration = Duration::from_millis(100);
/// hyper's smallest read buffer.
const LEAST_BUFFER: usize = 8192;
/// After an error answer, how long and how much we still read: closing with unread bytes would reset the connection, and
/// the answer might never be seen.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 256 * 1024;

impl Connections {
    pub(super) fn new(config: &EdgeConfig, worker: Rc<Worker>) -> Self {
        let mut http = http1::Builder::new();
        // The roster does it, for all connections together.
        http.header_read_timeout(None)
            // An answer is one piece of memory: a plain send is the shorter way into the kernel.
            .writev(false)
            .max_header_size(config.max_header_bytes)
            .max_buf_size(config.max_header_bytes.max(LEAST_BUFFER))
            // Without it, hyper drops the handler of a client that closes its sending side after the request. (Its
            // `pipeline_flush` stays off: with it, the answer to a malformed request is never written.)
            .half_close(true);
        let mut last = http.clone();
        last.keep_alive(false);
        Self { http, last, worker, roster: Rc::default() }
    }

    /// Serves one connection to its end. One that came in after the stop gets one answer.
    pub(super) async fn serve(&self, stream: TcpStream, peer: IpAddr) {
        let (worker, roster, asked) = (&self.worker, &*self.roster, Cell::new(false));
        let seat = &self.roster.sit();
        let service = service_fn(|request: Request<Incoming>| {
            asked.set(true);
            seat.has_asked();
            let mut answer = click::respond(worker, peer, request);
            poll_fn(move |context| {
                let answer = Pin::new(&mut answer).poll(context);
                if answer.is_ready() {
                    seat.is_answered();
                }
                answer
            })
        });
        let stopped = roster.is_stopped();
        let http = if stopped { &self.last } else { &self.http };
        let mut connection = http.serve_connection(TokioIo::new(stream), service);
        let mut end =
            until(seat, || !stopped && roster.is_stopped(), |cx| connection.poll_without_shutdown(cx)).await;
        if matches!(end, End::Stopped) && !asked.get() {
            // hyper would close a connection it has read nothing from, although its first request may be in the kernel.
            let grace = until(seat, || false, |cx| connection.poll_without_shutdown(cx));
            end = tokio::time::timeout(GRACE, grace).await.unwrap_or(End::Stopped);
        }
        if matches!(end, End::Stopped) {
            Pin::new(&mut connection).graceful_shutdown();
            end = until(seat, || false, |cx| connection.poll_without_shutdown(cx)).await;
        }
        let parts = connection.into_parts();
        let mut stream = parts.io.into_inner();
        let mut linger = false;
        match end {
            End::Over(Err(error)) => linger = error.is_parse(),
            // A connection that idles between requests is closed without a word; one that began a request is told.
            End::TooSlow if !parts.read_buf.is_empty() => {
                worker.meters.slow.increment(1);
                let _ = stream.write_all(HEADER_TOO_SLOW).await;
                linger = true;
            }
            _ => {}
        }
        close(stream, linger).await;
    }
}

/// Why a connection is no longer polled.
enum End {
    Over(hyper::Result<()>),
    TooSlow,
    Stopped,
}

/// Polls a connection until it is over or there is news.
async fn until(
    seat: &Seated,
    stopped: impl Fn() -> bool,
    mut connection: impl FnMut(&mut Context<'_>) -> Poll<hyper::Result<()>>,
) -> End {
    poll_fn(|context| {
        // News first, so that an answer that becomes ready together with the stop still says that it is the last.
        if seat.is_too_slow() {
            return Poll::Ready(End::TooSlow);
        }
        if stopped() {
            return Poll::Ready(End::Stopped);
        }
        seat.park(context);
        connection(context).map(End::Over)
    })
    .await
}

/// Tells a connection that there are too many.
pub(super) async fn refuse(mut stream: TcpStream) {
    if stream.write_all(TOO_MANY_CONNECTIONS).await.is_ok() {
        close(stream, true).await;
    }
}

async fn close(mut stream: TcpStream, linger: bool) {
    if stream.shutdown().await.is_err() || !linger {
        return;
    }
    let rest = async {
        let (mut scrap, mut left) = ([0; 4096], LINGER_BYTES);
        while left > 0 {
            match stream.read(&mut scrap).await {
                Ok(0) | Err(_) => break,
                Ok(read) => left = left.saturating_sub(read),
            }
        }
    };
    let _ = tokio::time::timeout(LINGER, rest).await;
}
