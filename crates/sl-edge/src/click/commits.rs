//! The answers of one thread that wait for the disk, and the one task that watches over them.
//!
//! A click costs a place in a queue: no lock, no timer and no channel of its own. The task runs whenever everything that was
//! ready has been read, sends the records on their way together once they are enough or nobody else comes, and is woken
//! once by a commit. It gives plain requests their answers itself, one after the other; those that hyper waits for it wakes.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::Future,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use sl_journal::{ClickLog, Fate, Ticket};
use tokio::time::Sleep;

use super::{
    answer::Reply,
    company::{Company, Next},
    waiting::Hit,
    worker::Worker,
};

pub(super) type FateFuture = Pin<Box<dyn Future<Output = Fate> + Send>>;

/// Answers in the order of their tickets.
#[derive(Default)]
pub(crate) struct Commits {
    waiting: RefCell<VecDeque<Waiter>>,
    /// Records held back, and how many are enough.
    company: RefCell<Company>,
    /// Every ticket below has waited for as long as a visitor may.
    late: Cell<u64>,
    watch: RefCell<Option<Waker>>,
    /// When the watch last woke answers: one reading of the clock for all of them.
    woken: Cell<Option<Instant>>,
}

struct Waiter {
    ticket: Ticket,
    began: Instant,
    who: Who,
}

enum Who {
    /// To be woken; it asks for the fate itself.
    Task(Waker),
    /// To be answered.
    Client(Rc<dyn Client>, Hit),
}

/// A connection that is owed an answer.
pub(crate) trait Client {
    /// Sends it.
    fn answer(&self, reply: &Reply);
}

impl Commits {
    /// Wakes `waker` once the fate of `ticket` is known, or when it becomes late.
    pub(super) fn wait(&self, ticket: Ticket, began: Instant, waker: Waker) {
        self.waiting.borrow_mut().push_back(Waiter { ticket, began, who: Who::Task(waker) });
    }

    /// Answers `client` once the fate of `ticket` is known, or when it becomes late.
    pub(super) fn owe(&self, ticket: Ticket, client: Rc<dyn Client>, hit: Hit) {
        let began = hit.began();
        self.waiting.borrow_mut().push_back(Waiter { ticket, began, who: Who::Client(client, hit) });
    }

    /// Nobody is answered any more.
    pub(crate) fn forget(&self) {
        let all = std::mem::take(&mut *self.waiting.borrow_mut());
        drop(all);
    }

    /// A record was handed over, to be held until it has company.
    pub(super) fn hold(&self, log: &dyn ClickLog) {
        let (alone, go) = self.company.borrow_mut().join();
        if go {
            log.release();
        } else if alone && let Some(watch) = &*self.watch.borrow() {
            watch.wake_by_ref();
        }
    }

    /// What was ready has been read: whether to look again before held records go.
    fn look(&self, log: &dyn ClickLog, now: Instant) -> bool {
        let next = self.company.borrow_mut().look(self.waiting.borrow().len(), now);
        if next == Next::Go {
            log.release();
        }
        next == Next::LookAgain
    }

    /// Whether the answer has waited for as long as a visitor may.
    pub(super) fn is_late(&self, ticket: Ticket) -> bool {
        ticket.0 < self.late.get()
    }

    /// How long the visitor waited who came at `began` and whose answer has just been woken.
    pub(super) fn waited(&self, began: Instant) -> Duration {
        self.woken.get().map_or(Duration::ZERO, |woken| woken.saturating_duration_since(began))
    }

    /// Answers those whose fate is known; says who is the first of the others, and since when.
    fn settle(&self, log: &dyn ClickLog) -> Option<(Ticket, Instant)> {
        loop {
            let (ticket, began) = self.waiting.borrow().front().map(|first| (first.ticket, first.began))?;
            let Some(fate) = log.fate_now(ticket) else { return Some((ticket, began)) };
            self.settle_first(fate);
        }
    }

    /// Whether no answer waits for the disk.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.borrow().is_empty()
    }

    fn settle_first(&self, fate: Fate) {
        let first = self.waiting.borrow_mut().pop_front();
        match first.map(|first| first.who) {
            Some(Who::Task(waker)) => waker.wake(),
            Some(Who::Client(client, hit)) => client.answer(&hit.settled(fate)),
            None => {}
        }
    }

    fn give_up_on(&self, ticket: Ticket) {
        self.late.set(self.late.get().max(ticket.0.saturating_add(1)));
        let first = self.waiting.borrow_mut().pop_front();
        match first.map(|first| first.who) {
            Some(Who::Task(waker)) => waker.wake(),
            Some(Who::Client(client, hit)) => client.answer(&hit.late(ticket)),
            None => {}
        }
    }
}

/// Watches over the answers of a worker. Never ends; goes with its runtime.
pub(crate) struct Watch {
    worker: Rc<Worker>,
    /// The fate of the first that waits.
    first: Option<(Ticket, FateFuture)>,
    cap: Pin<Box<Sleep>>,
    /// When `cap` rings.
    until: Instant,
}

impl Watch {
    /// Inside the worker's runtime.
    pub(crate) fn over(worker: Rc<Worker>) -> Self {
        Self { worker, first: None, cap: Box::pin(tokio::time::sleep(Duration::ZERO)), until: Instant::now() }
    }

    fn fate_of(&mut self, ticket: Ticket, context: &mut Context<'_>) -> Poll<Fate> {
        if self.first.as_ref().is_none_or(|(of, _)| *of != ticket) {
            self.first = Some((ticket, self.worker.shared.log.fate(ticket)));
        }
        let Some((_, fate)) = &mut self.first else { return Poll::Pending };
        fate.as_mut().poll(context)
    }

    fn cap_of(&mut self, began: Instant, context: &mut Context<'_>) -> Poll<()> {
        let until = began + self.worker.shared.durable_wait;
        if until != self.until {
            self.until = until;
            self.cap.as_mut().reset(until.into());
        }
        self.cap.as_mut().poll(context)
    }
}

impl Future for Watch {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let worker = Rc::clone(&self.worker);
        let (commits, log) = (&worker.commits, &*worker.shared.log);
        let known = commits.watch.borrow().as_ref().is_some_and(|waker| waker.will_wake(context.waker()));
        if !known {
            commits.watch.replace(Some(context.waker().clone()));
        }
        let now = Instant::now();
        commits.woken.set(Some(now));
        if commits.look(log, now) {
            // Polled again once the sockets have been asked, and what they had has been read.
            let _ = pin!(tokio::task::yield_now()).poll(context);
        }
        while let Some((ticket, began)) = commits.settle(log) {
            if let Poll::Ready(fate) = self.fate_of(ticket, context) {
                self.first = None;
                commits.settle_first(fate);
            } else if self.cap_of(began, context).is_ready() {
                commits.give_up_on(ticket);
            } else {
                return Poll::Pending;
            }
        }
        self.first = None;
        worker.meters.say();
        Poll::Pending
    }
}
