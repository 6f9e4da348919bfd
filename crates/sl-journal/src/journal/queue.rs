//! What waits for the writer: frames, already numbered, in runs.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use sl_core::event::{JournalId, Position};

use crate::{
    LostReason,
    segment::{FrameSum, push_frame, stored_len},
};

/// Frames with consecutive sequences.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) epoch: u64,
    pub(super) first: u64,
    pub(super) count: u64,
    pub(super) bytes: Vec<u8>,
}

/// Whether a record may wait for company.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// The writer goes at once.
    Now,
    /// It waits until [`Queue::release`], or until [`ENOUGH`] records wait.
    Held,
}

/// Held records that are company enough, whatever their holder has in mind.
const ENOUGH: u64 = 512;

/// Bounded by bytes. Callers hold its lock for one copy of a record; the writer takes everything at once and leaves an
/// empty buffer behind.
pub(super) struct Queue {
    state: Mutex<State>,
    work: Condvar,
    journal: JournalId,
    limit: usize,
}

struct State {
    runs: VecDeque<Run>,
    bytes: usize,
    next: u64,
    epoch: u64,
    closed: bool,
    writer_sleeps: bool,
    /// The writer has something else to look at.
    nudged: bool,
    /// Records that wait for company; 0 once the writer may go.
    held: u64,
    /// A written run's buffer, to be filled again.
    spare: Vec<u8>,
}

/// What the writer finds.
pub(super) enum Taken {
    Runs(VecDeque<Run>),
    /// The deadline passed, or somebody nudged.
    Nothing,
    /// Closed, and nothing is left.
    Closed,
}

impl Queue {
    pub(super) fn new(journal: JournalId, epoch: u64, next: u64, limit: usize) -> Self {
        let state = State {
            runs: VecDeque::new(),
            bytes: 0,
            next,
            epoch,
            closed: false,
            writer_sleeps: false,
            nudged: false,
            held: 0,
            spare: Vec::new(),
        };
        Self { state: Mutex::new(state), work: Condvar::new(), journal, limit }
    }

    /// Numbers a record and queues it.
    pub(super) fn push(&self, payload: &[u8], sum: FrameSum, urgency: Urgency) -> Result<u64, LostReason> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(LostReason::Closed);
        }
        let stored = stored_len(payload.len());
        if state.bytes > 0 && state.bytes + stored > self.limit {
            return Err(LostReason::QueueFull);
        }
        let (sequence, epoch) = (state.next, state.epoch);
        state.next += 1;
        state.bytes += stored;
        // Nothing is held behind a record the writer may have.
        let held =
            urgency == Urgency::Held && (state.held > 0 || state.runs.is_empty()) && state.held < ENOUGH;
        state.held = if held { state.held + 1 } else { 0 };
        if state.runs.back().is_none_or(|run| run.epoch != epoch) {
            let bytes = std::mem::take(&mut state.spare);
            state.runs.push_back(Run { epoch, first: sequence, count: 0, bytes });
        }
        if let Some(run) = state.runs.back_mut() {
            run.count += 1;
            push_frame(&mut run.bytes, payload, sum, sequence, self.journal);
        }
        self.wake_writer(state);
        Ok(sequence)
    }

    /// Sends the records that were held on their way.
    pub(super) fn release(&self) {
        let mut state = self.state.lock();
        state.held = 0;
        self.wake_writer(state);
    }

    fn wake_writer(&self, mut state: parking_lot::MutexGuard<'_, State>) {
        if state.held > 0 || (state.runs.is_empty() && !state.closed) {
            return;
        }
        // A writer that is busy looks again by itself: no system call.
        let sleeps = std::mem::take(&mut state.writer_sleeps);
        drop(state);
        if sleeps {
            self.work.notify_one();
        }
    }

    /// Everything that waits; sleeps while that is nothing, at most until `deadline`.
    pub(super) fn take(&self, deadline: Option<Instant>) -> Taken {
        let mut state = self.state.lock();
        loop {
            if !state.runs.is_empty() && (state.held == 0 || state.closed) {
                (state.bytes, state.held, state.nudged) = (0, 0, false);
                return Taken::Runs(std::mem::take(&mut state.runs));
            }
            if state.closed && state.runs.is_empty() {
                return Taken::Closed;
            }
            if std::mem::take(&mut state.nudged) {
                return Taken::Nothing;
            }
            state.writer_sleeps = true;
            match deadline {
                None => self.work.wait(&mut state),
                Some(deadline) => {
                    if self.work.wait_until(&mut state, deadline).timed_out()
                        && (state.runs.is_empty() || state.held > 0)
                    {
                        state.writer_sleeps = false;
                        return Taken::Nothing;
                    }
                }
            }
        }
    }

    /// Makes the writer look around, records or not.
    pub(super) fn nudge(&self) {
        let mut state = self.state.lock();
        state.nudged = true;
        let sleeps = std::mem::take(&mut state.writer_sleeps);
        drop(state);
        if sleeps {
            self.work.notify_one();
        }
    }

    /// Takes a buffer back.
    pub(super) fn recycle(&self, mut bytes: Vec<u8>) {
        bytes.clear();
        let mut state = self.state.lock();
        if state.spare.capacity() < bytes.capacity() {
            state.spare = bytes;
        }
    }

    /// Starts a new epoch behind `position` (decisions 47). The run that says so may stay empty.
    pub(super) fn new_epoch(&self, position: Position) {
        let mut state = self.state.lock();
        state.epoch = state.epoch.max(position.epoch) + 1;
        state.next = state.next.max(position.offset);
        let (epoch, first) = (state.epoch, state.next);
        state.held = 0;
        state.runs.push_back(Run { epoch, first, count: 0, bytes: Vec::new() });
        self.wake_writer(state);
    }

    /// Where the next record will go.
    pub(super) fn head(&self) -> Position {
        let state = self.state.lock();
        Position { epoch: state.epoch, offset: state.next }
    }

    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        self.wake_writer(state);
    }
}

/// Now and `span`, for deadlines of waits; never a time that is stored.
pub(super) fn deadline(span: Duration) -> Instant {
    Instant::now() + span
}
