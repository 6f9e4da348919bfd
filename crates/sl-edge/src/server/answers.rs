//! Answers as they go over the wire. Memory and date are of all connections of a thread: one of them at a time.

use std::cell::RefCell;

use super::date::Date;
use crate::click::{Reply, Worker};

/// What answers are written with.
#[derive(Default)]
pub(super) struct Answers {
    written: RefCell<Vec<u8>>,
    date: RefCell<Date>,
}

impl Answers {
    /// An answer as bytes. `last` closes the connection.
    pub(super) fn with_bytes<R>(
        &self,
        reply: &Reply,
        worker: &Worker,
        last: bool,
        with: impl FnOnce(&[u8]) -> R,
    ) -> R {
        let mut bytes = self.written.borrow_mut();
        bytes.clear();
        reply.write(&mut bytes, self.date.borrow_mut().at(worker.now()), last);
        with(&bytes)
    }
}
