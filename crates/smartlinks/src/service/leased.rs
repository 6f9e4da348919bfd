//! A role that one process of a cluster has at a time: runs while the lease is held, and takes over from a process that
//! is gone within seconds. Two that overlap for a moment (a machine that stood still) do harm to nobody: the keeper then
//! makes a few links more, the matcher reports the same subscriber twice.

use std::{future::Future, sync::Arc, time::Duration};

use futures_util::future::{BoxFuture, FutureExt as _};
use sl_core::lease::Candidate;
use sl_store::{Leases, Result};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::base::Base;

/// How long a holder may be silent.
const SPAN: Duration = Duration::from_secs(5);

/// Whose turn it is: this process's, unless it is one of a cluster.
#[derive(Clone)]
pub(crate) struct Turn(Option<(Arc<dyn Leases>, String)>);

impl Turn {
    pub(crate) fn of(base: &Base) -> Self {
        Self(base.cluster().map(|cluster| (Arc::clone(&base.store.leases), cluster.me.clone())))
    }

    /// Runs a role here; in a cluster, while this process has its lease.
    pub(crate) fn once<F: Future<Output = ()> + Send + 'static>(
        self,
        name: &'static str,
        stop: CancellationToken,
        role: impl Fn(CancellationToken) -> F + Send + Sync + 'static,
    ) -> BoxFuture<'static, ()> {
        match self.0 {
            None => role(stop).boxed(),
            Some((leases, me)) => run(name, leases, me, stop, role).boxed(),
        }
    }
}

/// Runs `role` whenever the lease is held, until `stop`; each run with a token that ends with the lease.
async fn run<F: Future<Output = ()> + Send>(
    name: &'static str,
    leases: Arc<dyn Leases>,
    me: String,
    stop: CancellationToken,
    role: impl Fn(CancellationToken) -> F + Sync,
) {
    let mut candidate = Candidate::new(me, SPAN);
    while !stop.is_cancelled() {
        look(name, &*leases, &mut candidate).await;
        if candidate.holds(Instant::now().into_std()) {
            tracing::info!(role = name, "this process has the role now");
            let end = stop.child_token();
            let work = async {
                role(end.clone()).await;
                end.cancel();
            };
            tokio::join!(work, keep(name, &*leases, &mut candidate, &end));
        } else {
            tokio::select! {
                () = tokio::time::sleep(candidate.pause()) => {}
                () = stop.cancelled() => {}
            }
        }
    }
    give_back(name, &*leases, &candidate).await;
}

/// Does something that only one process may do at a time, once it is this one's turn, however long it takes.
pub(crate) async fn in_turn<T>(
    name: &'static str,
    leases: &dyn Leases,
    me: &str,
    work: impl Future<Output = T>,
) -> T {
    let mut candidate = Candidate::new(me, SPAN);
    loop {
        look(name, leases, &mut candidate).await;
        if candidate.holds(Instant::now().into_std()) {
            break;
        }
        tokio::time::sleep(candidate.pause()).await;
    }
    let end = CancellationToken::new();
    let work = async {
        let done = work.await;
        end.cancel();
        done
    };
    // A sign of life that is under way is finished: what it has written is what is given back.
    let (done, ()) = tokio::join!(work, keep(name, leases, &mut candidate, &end));
    give_back(name, leases, &candidate).await;
    done
}

async fn give_back(name: &str, leases: &dyn Leases, candidate: &Candidate) {
    if let Some(swap) = candidate.give_back()
        && let Err(error) = leases.swap_lease(name, &swap).await
    {
        tracing::warn!(role = name, %error, "the lease can't be given back; others wait until it is over");
    }
}

/// Gives signs of life until the lease is lost or `end`.
async fn keep(name: &str, leases: &dyn Leases, candidate: &mut Candidate, end: &CancellationToken) {
    while candidate.holds(Instant::now().into_std()) {
        tokio::select! {
            () = tokio::time::sleep(candidate.pause()) => look(name, leases, candidate).await,
            () = end.cancelled() => return,
        }
    }
    tracing::warn!(role = name, "the lease is lost; another process has the role or will have it");
    end.cancel();
}

/// One look, with a sign of life or an attempt to take over. What fails is tried again: the span goes on running.
async fn look(name: &str, leases: &dyn Leases, candidate: &mut Candidate) {
    let attempt = async {
        let began = Instant::now().into_std();
        let stored = leases.lease(name).await?;
        if let Some(swap) = candidate.next(stored, began) {
            let taken = leases.swap_lease(name, &swap).await?;
            candidate.settled(swap, taken, began);
        }
        Ok::<_, sl_store::StoreError>(())
    };
    let patience = SPAN / 2;
    let outcome: Result<()> = match tokio::time::timeout(patience, attempt).await {
        Ok(outcome) => outcome,
        Err(_) => Err(sl_store::StoreError::Unavailable(format!("no answer within {patience:?}"))),
    };
    if let Err(error) = outcome {
        tracing::warn!(role = name, %error, "the lease can't be read or prolonged; trying again");
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;
    use sl_core::lease::{Lease, Swap};
    use sl_fjall::FjallOptions;
    use tokio::sync::watch;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_in_turn_overlaps_with_no_others_however_long_it_takes() {
        let dir = tempfile::tempdir().unwrap();
        let leases = sl_fjall::open(dir.path(), FjallOptions::default()).unwrap().store().leases;
        let row = Arc::new(Mutex::new(0));
        let works = ["one", "other"].map(|me| {
            let (leases, row) = (Arc::clone(&leases), Arc::clone(&row));
            tokio::spawn(async move {
                let work = async {
                    let read = *row.lock();
                    tokio::time::sleep(3 * SPAN).await;
                    *row.lock() = read + 1;
                };
                in_turn("first start", &*leases, me, work).await;
            })
        });
        for work in works {
            work.await.unwrap();
        }
        assert_eq!(*row.lock(), 2);
    }

    /// Swaps are written at once and answered later; how many.
    struct Slow(Arc<dyn Leases>, watch::Sender<u32>);

    #[async_trait::async_trait]
    impl Leases for Slow {
        async fn lease(&self, name: &str) -> Result<Option<Lease>> {
            self.0.lease(name).await
        }

        async fn swap_lease(&self, name: &str, swap: &Swap) -> Result<bool> {
            let taken = self.0.swap_lease(name, swap).await;
            self.1.send_modify(|swaps| *swaps += 1);
            tokio::time::sleep(Duration::from_millis(100)).await;
            taken
        }
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_is_done_during_a_sign_of_life_gives_the_lease_back() {
        let dir = tempfile::tempdir().unwrap();
        let leases = sl_fjall::open(dir.path(), FjallOptions::default()).unwrap().store().leases;
        let (written, mut swaps) = watch::channel(0);
        let slow = Slow(Arc::clone(&leases), written);
        // The second swap is the first sign of life; it is written, and not answered yet.
        in_turn("first start", &slow, "one", async { swaps.wait_for(|swaps| *swaps == 2).await.map(drop) })
            .await
            .unwrap();
        let now = Instant::now();
        in_turn("first start", &*leases, "other", async {}).await;
        assert!(now.elapsed() < Duration::from_secs(1), "the other waited: {:?}", now.elapsed());
    }
}
