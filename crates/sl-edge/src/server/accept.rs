//! The accept loop of one thread.

use std::{
    cell::Cell,
    io,
    net::SocketAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{Builder, LocalOptions},
    task::spawn_local,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{connection::Connections, drain};
use crate::{
    click::{Shared, Watch, Worker},
    config::{EdgeConfig, EdgeError},
};

/// What one thread starts with.
pub(super) struct Lane {
    pub(super) listener: std::net::TcpListener,
    pub(super) number: usize,
    pub(super) config: EdgeConfig,
    pub(super) shared: Arc<Shared>,
    pub(super) seed: [u8; 32],
    /// Open connections of the whole process.
    pub(super) open: Arc<AtomicUsize>,
    pub(super) stop: CancellationToken,
    pub(super) drain_budget: Duration,
}

/// Tasks that run before the sockets are looked at again: what is there is answered before more is fetched.
const TASKS_PER_LOOK: u32 = 128;
/// Pause after a failed accept, without which a process out of file descriptors would spin.
const PAUSE: Duration = Duration::from_millis(20);
/// Pause before the log says so again; it is counted each time.
const AGAIN: Duration = Duration::from_secs(10);
/// Refused connections that are told so, per thread. Past it they are closed without a word.
const REFUSALS: usize = 256;

impl Lane {
    /// Serves until told to stop, then drains.
    pub(super) fn run(self) -> Result<(), EdgeError> {
        let runtime = Builder::new_current_thread()
            .event_interval(TASKS_PER_LOOK)
            .enable_all()
            .build_local(LocalOptions::default());
        runtime.map_err(EdgeError::Thread)?.block_on(self.serve())
    }

    async fn serve(self) -> Result<(), EdgeError> {
        let listener = TcpListener::from_std(self.listener).map_err(EdgeError::Thread)?;
        let worker = Rc::new(Worker::new(Arc::clone(&self.shared), self.seed, self.number));
        let mut watch = spawn_local(Watch::over(Rc::clone(&worker)));
        let lane = Accepting {
            connections: Rc::new(Connections::new(&self.config, Rc::clone(&worker))),
            tasks: TaskTracker::new(),
            refusals: TaskTracker::new(),
            open: self.open,
            most: self.config.max_connections,
            worker,
            warned: Cell::new(None),
        };
        let connections = Rc::clone(&lane.connections);
        let mut looking = spawn_local(async move { connections.requests.look_at_them().await });
        spawn_local(Rc::clone(&lane.connections.roster).look_after(self.config.header_timeout));
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                // Nobody would be answered any more.
                _ = &mut watch => return Err(EdgeError::Died),
                _ = &mut looking => return Err(EdgeError::Died),
                accepted = listener.accept() => accepted,
            };
            lane.take(accepted).await;
        }
        self.shared.draining.store(true, Ordering::SeqCst);
        lane.connections.roster.stop();
        // Whoever the kernel has let in already is answered too; closing the socket would reset them.
        lane.take_the_rest(&listener).await;
        drop(listener);
        drain::drain(&lane.tasks, &lane.worker.late, self.drain_budget).await;
        lane.worker.over.set(true);
        lane.worker.commits.forget();
        Ok(())
    }
}

struct Accepting {
    worker: Rc<Worker>,
    connections: Rc<Connections>,
    tasks: TaskTracker,
    refusals: TaskTracker,
    open: Arc<AtomicUsize>,
    most: usize,
    /// When an error was said last.
    warned: Cell<Option<Instant>>,
}

impl Accepting {
    async fn take(&self, accepted: io::Result<(TcpStream, SocketAddr)>) {
        match accepted {
            Ok((stream, peer)) => self.start(stream, peer),
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                self.worker.meters.accept_errors.increment(1);
                let now = Instant::now();
                if self.warned.get().is_none_or(|at| now.duration_since(at) >= AGAIN) {
                    self.warned.set(Some(now));
                    tracing::warn!(%error, "can't accept connections");
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn take_the_rest(&self, listener: &TcpListener) {
        loop {
            let accepted = tokio::select! {
                biased;
                accepted = listener.accept() => accepted,
                () = tokio::task::yield_now() => return,
            };
            let Ok((stream, peer)) = accepted else { return };
            self.start(stream, peer);
        }
    }

    fn start(&self, stream: TcpStream, peer: SocketAddr) {
        // Answers are one small segment: waiting for more to send only adds delay.
        let _ = stream.set_nodelay(true);
        let Some(place) = Place::take(&self.open, self.most) else {
            self.worker.meters.refused.increment(1);
            if self.refusals.len() < REFUSALS {
                spawn_local(self.refusals.track_future(super::connection::refuse(stream)));
            }
            return;
        };
        let connections = Rc::clone(&self.connections);
        spawn_local(self.tasks.track_future(async move {
            connections.serve(stream, peer.ip()).await;
            drop(place);
        }));
    }
}

/// The client went away between the kernel's accept and ours.
fn is_the_clients(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

/// One of `edge.max_connections`.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(open: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        if open.fetch_add(1, Ordering::Relaxed) < most {
            return Some(Self(Arc::clone(open)));
        }
        open.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
