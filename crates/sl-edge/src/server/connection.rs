//! One connection: the short way of plain requests, then hyper for everything else, and around it what hyper leaves to
//! others: the answer to a slow header, the way to close, the drain.

use std::{
    cell::Cell,
    convert::Infallible,
    future::poll_fn,
    net::IpAddr,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, header::CONNECTION};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    answers::Answers,
    line::{Line, Turn},
    prefixed::Prefixed,
    requests::Requests,
    roster::{Roster, Seated},
};
use crate::{
    click::{self, HEADER_TOO_SLOW, TOO_MANY_CONNECTIONS, Worker},
    config::EdgeConfig,
};

/// How connections of one thread are served.
pub(super) struct Connections {
    http: http1::Builder,
    /// How connections are served that came in after the stop: one answer each.
    last: http1::Builder,
    pub(super) requests: Requests,
    pub(super) answers: Answers,
    pub(super) worker: Rc<Worker>,
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
        let requests = Requests::new(Rc::clone(&worker), config.max_header_bytes);
        Self { http, last, requests, answers: Answers::default(), worker, roster: Rc::default() }
    }

    /// Serves one connection to its end. One that came in after the stop gets one answer.
    pub(super) async fn serve(self: Rc<Self>, stream: TcpStream, peer: IpAddr) {
        let late = self.roster.is_stopped();
        let line = Rc::new(Line::new(&self, stream));
        let prefix = self.by_the_short_way(&line, peer).await;
        // Who is owed nothing is known to nobody else.
        let Some(Line { stream, seat, asked, .. }) = Rc::into_inner(line) else { return };
        match prefix {
            // In a box: most connections never come here.
            Some(prefix) => {
                Box::pin(self.by_hyper(Prefixed { prefix, stream }, peer, &seat, &asked, late)).await
            }
            None => close(stream, false).await,
        }
    }

    /// Answers plain requests until something else comes: then returns what was read of it. `None` at the end.
    async fn by_the_short_way(&self, line: &Rc<Line>, peer: IpAddr) -> Option<Bytes> {
        let read = |cx: &mut Context<'_>| {
            loop {
                match ready!(line.poll_answered(cx)) {
                    Some(turn) => return Poll::Ready(turn.map(Some)),
                    None if ready!(self.requests.poll_read(line, peer, cx))? => {}
                    None => return Poll::Ready(Ok(None)),
                }
            }
        };
        loop {
            let stopped = || line.is_free() && self.roster.is_stopped();
            let mut turn = until(&line.seat, stopped, read).await;
            if matches!(turn, End::Stopped) {
                turn = what_has_come(read).await;
            }
            match turn {
                End::Over(Ok(Some(Turn::Other(prefix)))) => return Some(prefix.into()),
                End::Over(Ok(Some(Turn::Rest(rest, last)))) => {
                    // Who does not read its answers has a full buffer; it gets as long as a header may take.
                    let mut writing = pin!(line.write_all(&rest));
                    let written = until(&line.seat, || false, |cx| writing.as_mut().poll(cx)).await;
                    if last || !matches!(written, End::Over(Ok(()))) {
                        return None;
                    }
                }
                End::Stopped if line.is_free() => return Some(Bytes::new()),
                // What had come is being answered.
                End::Stopped => {}
                // A connection that idles between requests is closed without a word.
                End::Over(Ok(Some(Turn::Last) | None) | Err(_)) | End::TooSlow => return None,
            }
        }
    }

    /// Answers the rest of a connection, or the one request of a `late` one.
    async fn by_hyper(&self, stream: Prefixed, peer: IpAddr, seat: &Seated, asked: &Cell<bool>, late: bool) {
        let (worker, roster) = (&self.worker, &*self.roster);
        if !stream.prefix.is_empty() {
            asked.set(false);
        }
        let service = service_fn(|request: Request<Incoming>| {
            asked.set(true);
            seat.has_asked();
            let mut answer = click::respond_to(worker, peer, &request);
            poll_fn(move |context| {
                let reply = ready!(Pin::new(&mut answer).poll(context));
                seat.is_answered();
                let mut answer = reply.into_answer().map(Full::new);
                if roster.is_stopped() {
                    // In its grace hyper does not know yet that this is the last one.
                    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Poll::Ready(Ok::<_, Infallible>(answer))
            })
        });
        let http = if late { &self.last } else { &self.http };
        let mut connection = http.serve_connection(TokioIo::new(stream), service);
        let mut end =
            until(seat, || !late && roster.is_stopped(), |cx| connection.poll_without_shutdown(cx)).await;
        if matches!(end, End::Stopped) {
            end = what_has_come(|cx| connection.poll_without_shutdown(cx)).await;
        }
        if matches!(end, End::Stopped) && !asked.get() {
            // hyper would close a connection it has read nothing from, although its first request may be on its way.
            let grace = until(seat, || false, |cx| connection.poll_without_shutdown(cx));
            end = tokio::time::timeout(GRACE, grace).await.unwrap_or(End::Stopped);
        }
        if matches!(end, End::Stopped) {
            Pin::new(&mut connection).graceful_shutdown();
            end = until(seat, || false, |cx| connection.poll_without_shutdown(cx)).await;
        }
        let parts = connection.into_parts();
        let mut stream = parts.io.into_inner().stream;
        let mut linger = false;
        match end {
            End::Over(Err(error)) => linger = error.is_parse(),
            // A connection that idles between requests is closed without a word; one that began a request is told.
            End::TooSlow if !parts.read_buf.is_empty() => {
                worker.meters.slow.increment(1);
                // Who does not read its answers has a full buffer; this one is not waited for.
                linger = tell(&mut stream, HEADER_TOO_SLOW).await;
            }
            _ => {}
        }
        close(stream, linger).await;
    }
}

/// Why a connection is no longer polled.
enum End<T> {
    Over(T),
    TooSlow,
    Stopped,
}

/// Polls a connection until it is over or there is news.
async fn until<T>(
    seat: &Seated,
    stopped: impl Fn() -> bool,
    mut connection: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> End<T> {
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

/// At the stop: what is in the kernel by now is still answered, for closing a connection would reset it. The sockets are asked
/// once more, so that this hears of it.
async fn what_has_come<T>(mut connection: impl FnMut(&mut Context<'_>) -> Poll<T>) -> End<T> {
    tokio::task::yield_now().await;
    let now = poll_fn(|context| Poll::Ready(connection(context))).await;
    match now {
        Poll::Ready(over) => End::Over(over),
        Poll::Pending => End::Stopped,
    }
}

/// Tells a connection that there are too many.
pub(super) async fn refuse(mut stream: TcpStream) {
    if tell(&mut stream, TOO_MANY_CONNECTIONS).await {
        close(stream, true).await;
    }
}

/// Writes a last answer, if it is taken in time.
async fn tell(stream: &mut TcpStream, answer: &[u8]) -> bool {
    let written = tokio::time::timeout(LINGER, stream.write_all(answer)).await;
    written.is_ok_and(|written| written.is_ok())
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
