//! What the connections of a thread ask for. Sockets that have something are all read before any of it is looked at: so the
//! processor has at hand what reading takes, and then what a click takes.

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    net::IpAddr,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    task::{Context, Poll, Waker, ready},
};

use super::{
    line::Line,
    plain::{LONGEST, acceptable, no_headers, parse},
};
use crate::click::{Worker, respond};

/// Requests that are read before they are looked at.
const MOST: usize = 32;

/// Requests of a thread's connections that are read, and looked at together.
pub(super) struct Requests {
    worker: Rc<Worker>,
    longest: usize,
    unseen: RefCell<Unseen>,
    /// Wakes who looks at them.
    looker: RefCell<Option<Waker>>,
}

/// What was read and nobody has looked at.
struct Unseen {
    /// One request behind the other.
    memory: Box<[u8]>,
    used: usize,
    requests: Vec<(Rc<Line>, IpAddr, Range<usize>)>,
}

impl Requests {
    /// `longest` is `edge.max_header_bytes`.
    pub(super) fn new(worker: Rc<Worker>, longest: usize) -> Self {
        let memory = vec![0; MOST * LONGEST].into();
        let unseen = Unseen { memory, used: 0, requests: Vec::with_capacity(MOST) };
        let longest = longest.min(LONGEST);
        Self { worker, longest, unseen: RefCell::new(unseen), looker: RefCell::default() }
    }

    /// Reads what there is from a connection; `false` when its client has no more to say. Who has read something is owed an
    /// answer.
    pub(super) fn poll_read(
        &self,
        line: &Rc<Line>,
        peer: IpAddr,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<bool>> {
        let unseen = &mut *self.unseen.borrow_mut();
        let begin = unseen.used;
        let room = unseen.memory.get_mut(begin..begin + LONGEST).unwrap_or_default();
        let read = ready!(line.poll_receive(room, context))?;
        if read == 0 {
            return Poll::Ready(Ok(false));
        }
        line.owed.set(true);
        unseen.used += read;
        unseen.requests.push((Rc::clone(line), peer, begin..unseen.used));
        match unseen.requests.len() {
            MOST => self.look(unseen),
            1 => self.looker.borrow().iter().for_each(Waker::wake_by_ref),
            _ => {}
        }
        Poll::Ready(Ok(true))
    }

    /// Looks at what was read, whenever everything that was ready has been. Never ends; goes with its runtime.
    pub(super) async fn look_at_them(&self) {
        poll_fn(|context| {
            self.looker.borrow_mut().get_or_insert_with(|| context.waker().clone());
            self.look(&mut self.unseen.borrow_mut());
            Poll::Pending
        })
        .await
    }

    /// Clicks of plain requests are in the journal's hands after this.
    fn look(&self, unseen: &mut Unseen) {
        unseen.used = 0;
        self.worker.read_clock();
        for (line, peer, bytes) in unseen.requests.drain(..) {
            let got = unseen.memory.get(bytes).unwrap_or_default();
            // A fault of ours ends its connection and nobody else's.
            if catch_unwind(AssertUnwindSafe(|| self.look_at(&line, peer, got))).is_err() {
                line.fails();
            }
        }
    }

    fn look_at(&self, line: &Rc<Line>, peer: IpAddr, got: &[u8]) {
        let mut headers = no_headers();
        let fitting = Some(got).filter(|got| got.len() <= self.longest);
        match fitting.and_then(|got| parse(got, &mut headers, self.worker.forwarded())) {
            Some(asked) => line.asks(respond(&self.worker, peer, &asked)),
            None => line.says(acceptable(got)),
        }
    }
}
