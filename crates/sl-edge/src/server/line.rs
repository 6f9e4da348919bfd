//! A connection on the short way: who owes whom what. It reads nothing more while its client is owed an answer, and is not
//! woken when that has been sent: the next it hears of is the client's next request.

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    task::{Context, Poll, ready},
};

use rustix::net::{RecvFlags, SendFlags, recv, send};
use tokio::{io::Interest, net::TcpStream};

use super::{connection::Connections, roster::Seated};
use crate::click::{Answering, Client, Reply};

/// One connection.
pub(super) struct Line {
    pub(super) stream: TcpStream,
    pub(super) seat: Seated,
    /// Whether it has asked for anything.
    pub(super) asked: Cell<bool>,
    /// Whether it has said something that nobody has looked at yet, or its last request waits for the answer.
    pub(super) owed: Cell<bool>,
    connections: Rc<Connections>,
    /// The client has said more meanwhile, or has gone.
    more: Cell<bool>,
    /// What became of what was read or of the last answer, if that is worth a word.
    news: RefCell<Option<io::Result<Turn>>>,
}

/// What is next on a connection.
pub(super) enum Turn {
    /// The client has said this, which is no plain request or only the beginning of one.
    Other(Vec<u8>),
    /// The client has not taken all of its answer: this is left, and whether it was the last.
    Rest(Vec<u8>, bool),
    /// That was the last answer.
    Last,
}

impl Line {
    pub(super) fn new(connections: &Rc<Connections>, stream: TcpStream) -> Self {
        Self {
            stream,
            seat: connections.roster.sit(),
            asked: Cell::new(false),
            owed: Cell::new(false),
            connections: Rc::clone(connections),
            more: Cell::new(false),
            news: RefCell::default(),
        }
    }

    /// Whether no answer is under way.
    pub(super) fn is_free(&self) -> bool {
        !self.owed.get() && self.news.borrow().is_none()
    }

    /// A plain request was read.
    pub(super) fn asks(self: &Rc<Self>, answer: Answering) {
        self.asked.set(true);
        self.seat.has_asked();
        if let Some(reply) = answer.now_or_to(|| Rc::clone(self) as Rc<dyn Client>) {
            self.answer(&reply);
        }
    }

    /// Something else was read.
    pub(super) fn says(&self, other: Vec<u8>) {
        self.hears(Ok(Turn::Other(other)));
    }

    /// There will be no answer.
    pub(super) fn fails(&self) {
        self.hears(Err(io::Error::other("a request could not be looked at")));
    }

    fn hears(&self, news: io::Result<Turn>) {
        self.owed.set(false);
        self.news.replace(Some(news));
        self.seat.wake();
    }

    /// Ready once nothing is owed: with what there is to do about what was read or the last answer, or nothing.
    pub(super) fn poll_answered(&self, context: &mut Context<'_>) -> Poll<Option<io::Result<Turn>>> {
        if self.owed.get() {
            // Hears of the next request; one that is there already waits for this answer.
            if self.stream.poll_read_ready(context).is_ready() {
                self.more.set(true);
            }
            return Poll::Pending;
        }
        Poll::Ready(self.news.take())
    }

    /// Reads what there is, as far as there is room. Past the C library, whose `recv` and `send` are points where threads may
    /// be cancelled, at a price.
    pub(super) fn poll_receive(&self, room: &mut [u8], context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_read_ready(context))?;
            let mut got = None;
            let tried = self.stream.try_io(Interest::READABLE, || {
                let (read, _) = recv(&self.stream, &mut *room, RecvFlags::empty())?;
                got = Some(read);
                // Less than there is room for, so the socket is empty: no second call only to hear that.
                if 0 < read && read < room.len() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
            });
            match (got, tried) {
                (Some(read), _) => return Poll::Ready(Ok(read)),
                (None, Err(error)) if error.kind() != io::ErrorKind::WouldBlock => {
                    return Poll::Ready(Err(error));
                }
                (None, _) => {}
            }
        }
    }

    /// Writes all of it, as the client takes it.
    pub(super) async fn write_all(&self, mut rest: &[u8]) -> io::Result<()> {
        while !rest.is_empty() {
            self.stream.writable().await?;
            rest = rest.get(self.write(rest)?..).unwrap_or_default();
        }
        Ok(())
    }

    /// How much the client took.
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let sent =
            self.stream.try_io(Interest::WRITABLE, || Ok(send(&self.stream, bytes, SendFlags::NOSIGNAL)?));
        match sent {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            sent => sent,
        }
    }

    /// Says what is worth a word of it: what the client did not take, an error, that it was the last.
    fn send(&self, reply: &Reply) -> Option<io::Result<Turn>> {
        let Connections { answers, worker, roster, .. } = &*self.connections;
        let last = roster.is_stopped();
        let rest = answers.with_bytes(reply, worker, last, |bytes| {
            Ok(bytes.get(self.write(bytes)?..).unwrap_or_default().to_vec())
        });
        match rest {
            Ok(rest) if rest.is_empty() => last.then_some(Ok(Turn::Last)),
            rest => Some(rest.map(|rest| Turn::Rest(rest, last))),
        }
    }
}

impl Client for Line {
    fn answer(&self, reply: &Reply) {
        self.owed.set(false);
        let news = self.send(reply);
        self.seat.is_answered();
        if news.is_some() || self.more.take() {
            self.news.replace(news);
            self.seat.wake();
        }
    }
}
