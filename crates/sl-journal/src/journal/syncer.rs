//! The thread that syncs behind the writer (`edge.durability = "buffered"`): answers wait for the write alone, never for
//! the disk.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender, TryRecvError},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::shared::Shared;
use crate::disk::DiskFile;

/// Syncs one file at a time; the writer is told through the queue that it waits at.
pub(super) struct Syncer {
    /// What it is at.
    flight: Option<Flight>,
    /// `None` only while it is dropped.
    files: Option<Sender<Arc<dyn DiskFile>>>,
    done: Receiver<io::Result<Duration>>,
    thread: Option<JoinHandle<()>>,
}

/// What a sync covers of the current segment.
pub(super) struct Flight {
    /// Everything before this offset of the file.
    pub(super) offset: u64,
    /// Every record below this sequence.
    pub(super) end: u64,
    /// So many of the bytes that are kept until they are synced.
    pub(super) bytes: usize,
}

/// A sync that has ended, and how long it took.
pub(super) type Landed = (Flight, io::Result<Duration>);

impl Syncer {
    pub(super) fn spawn(shared: &Arc<Shared>) -> io::Result<Self> {
        let (files, asked) = mpsc::channel::<Arc<dyn DiskFile>>();
        let (answers, done) = mpsc::channel();
        let shared = Arc::clone(shared);
        let thread = thread::Builder::new().name("journal-syncer".to_owned()).spawn(move || {
            for file in asked {
                let begun = Instant::now();
                let synced = file.sync().map(|()| begun.elapsed());
                if answers.send(synced).is_err() {
                    return;
                }
                shared.queue.nudge();
            }
        })?;
        Ok(Self { flight: None, files: Some(files), done, thread: Some(thread) })
    }

    pub(super) fn is_busy(&self) -> bool {
        self.flight.is_some()
    }

    /// Syncs what the file holds by now; it must not be busy.
    pub(super) fn begin(&mut self, file: Arc<dyn DiskFile>, flight: Flight) {
        self.flight = Some(flight);
        if let Some(files) = &self.files {
            // Without the thread the answer is an error.
            let _ = files.send(file);
        }
    }

    /// The end of the sync under way, if it has ended.
    pub(super) fn now(&mut self) -> Option<Landed> {
        let flight = self.flight.take()?;
        match self.done.try_recv() {
            Ok(synced) => Some((flight, synced)),
            Err(TryRecvError::Empty) => {
                self.flight = Some(flight);
                None
            }
            Err(TryRecvError::Disconnected) => Some((flight, Err(ended()))),
        }
    }

    /// Waits for the end of the sync under way, if there is one.
    pub(super) fn wait(&mut self) -> Option<Landed> {
        let flight = self.flight.take()?;
        Some((flight, self.done.recv().unwrap_or_else(|_| Err(ended()))))
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.files = None;
        if let Some(thread) = self.thread.take() {
            // A panic has been reported and its sync counted as failed.
            let _ = thread.join();
        }
    }
}

fn ended() -> io::Error {
    io::Error::other("the thread that syncs has ended")
}
