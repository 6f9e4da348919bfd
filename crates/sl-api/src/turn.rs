//! Calls that change something go one at a time, those of other processes included: rows are read, changed and written whole.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use sl_core::lease::{Candidate, Lease, Swap};
use sl_store::{Leases, Result, StoreError};

/// The lease of whoever changes something.
const NAME: &str = "management calls";
/// How long a process may be silent before its turn is over: it has died in the middle of a call.
const SPAN: Duration = Duration::from_secs(10);
/// Between two looks while it is another's turn.
const LOOK: Duration = Duration::from_millis(20);
/// Longest wait: a call is over in milliseconds, unless it goes through much, or the store is slow.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often giving the lease back is tried.
const GIVE_BACK: u32 = 5;

/// Runs `call` while no other process changes anything. `me` is this start of this process.
///
/// # Errors
/// The store's, before the call has begun.
pub(crate) async fn alone<T>(leases: &dyn Leases, me: &str, call: impl Future<Output = T>) -> Result<T> {
    let mut candidate = Candidate::new(me, SPAN);
    let begun = Instant::now();
    loop {
        let looked = look(leases, &mut candidate).await;
        let why = match looked {
            Ok(true) => break,
            Ok(false) => format!("another process has been changing something for {PATIENCE:?}"),
            Err(error) if error.is_temporary() => error.to_string(),
            Err(error) => return Err(error),
        };
        if begun.elapsed() > PATIENCE {
            // Perhaps it was taken without an answer.
            give_back(leases, me).await;
            return Err(StoreError::Unavailable(why));
        }
        tokio::time::sleep(LOOK).await;
    }
    let done = tokio::select! {
        done = call => done,
        never = keep(leases, &mut candidate) => match never {},
    };
    give_back(leases, me).await;
    Ok(done)
}

/// Lets others have their turn; a sign of life that was under way may come in between.
async fn give_back(leases: &dyn Leases, me: &str) {
    for _ in 0..GIVE_BACK {
        let given_back = async {
            let Some(held) = leases.lease(NAME).await?.filter(|lease| lease.owner == me) else {
                return Ok(true);
            };
            let to = Lease { owner: String::new(), ..held.clone() };
            leases.swap_lease(NAME, &Swap { from: Some(held), to }).await
        };
        match given_back.await {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "the turn can't be given back; trying again"),
        }
    }
    tracing::warn!("the turn was not given back; other processes wait until it is over");
}

/// Takes the lease or prolongs it; whether it is held.
async fn look(leases: &dyn Leases, candidate: &mut Candidate) -> Result<bool> {
    let began = Instant::now();
    if let Some(swap) = candidate.next(leases.lease(NAME).await?, began) {
        let taken = leases.swap_lease(NAME, &swap).await?;
        candidate.settled(swap, taken, began);
    }
    Ok(candidate.holds(Instant::now()))
}

/// Gives signs of life for ever.
async fn keep(leases: &dyn Leases, candidate: &mut Candidate) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(candidate.pause()).await;
        if let Err(error) = look(leases, candidate).await {
            tracing::warn!(%error, "the turn can't be prolonged; trying again");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;
    use sl_fjall::FjallOptions;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn calls_of_two_processes_never_overlap() {
        let dir = tempfile::tempdir().unwrap();
        let leases = sl_fjall::open(dir.path(), FjallOptions::default()).unwrap().store().leases;
        let row = Arc::new(Mutex::new(0));
        let calls = (0..20).map(|number| {
            let (leases, row) = (Arc::clone(&leases), Arc::clone(&row));
            tokio::spawn(async move {
                // Read, changed and written whole, with time between.
                let call = async {
                    let read = *row.lock();
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    *row.lock() = read + 1;
                };
                alone(&*leases, &format!("process {number}"), call).await.unwrap();
            })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.unwrap();
        }
        assert_eq!(*row.lock(), 20);
        assert_eq!(leases.lease(NAME).await.unwrap().unwrap().owner, "", "given back");
    }
}
