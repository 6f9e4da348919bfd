//! Gaps in webhooks (decisions 54): after one the transactions are read at once instead of within the hour. A start of the
//! service is a gap too, and reads them anyway.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use sl_core::{ids::AccountId, rhythm::Rhythm};
use tokio::{sync::Notify, time::Instant};

/// Between two looks for accounts that fell silent.
const LOOK: Duration = Duration::from_secs(30);

/// Accounts whose rhythm is known at most; one account is some 100 bytes.
const ACCOUNTS: usize = 10_000;

/// What is known of webhooks. Clones share it.
#[derive(Clone)]
pub(super) struct Gaps {
    state: Arc<Mutex<State>>,
    /// Told of every gap.
    missed: Arc<Notify>,
}

struct State {
    begun: Instant,
    rhythms: HashMap<AccountId, Rhythm>,
    /// The intake could not keep one, and has kept none since.
    refuses: bool,
}

// === impl State ===

impl State {
    fn new() -> Self {
        Self { begun: Instant::now(), rhythms: HashMap::new(), refuses: false }
    }
}

// === impl Gaps ===

impl Gaps {
    pub(super) fn new(missed: Arc<Notify>) -> Self {
        Self { state: Arc::new(Mutex::new(State::new())), missed }
    }

    /// Forgets everything: meanwhile others may have been told of webhooks. Nobody is shown as silent whom nobody watches.
    pub(super) fn forget(&self) {
        let mut state = self.state.lock();
        state.rhythms.keys().for_each(|account| show(account, false));
        *state = State::new();
    }

    /// One was kept.
    pub(super) fn came(&self, account: &AccountId) {
        let mut state = self.state.lock();
        let now = state.begun.elapsed();
        let refused = std::mem::take(&mut state.refuses);
        // Of a whole team, or one too many.
        let is_left_out = account.as_str().is_empty() || state.rhythms.len() >= ACCOUNTS;
        let silent = match state.rhythms.get_mut(account) {
            Some(rhythm) => rhythm.came(now),
            None if is_left_out => false,
            None => {
                show(account, false);
                state.rhythms.entry(account.clone()).or_default().came(now)
            }
        };
        if silent {
            show(account, false);
        }
        if refused || silent {
            self.missed.notify_one();
        }
    }

    /// One could not be kept. Upstream tries again a few times and then never.
    pub(super) fn refused(&self) {
        self.state.lock().refuses = true;
    }

    /// Looks for accounts that fell silent, for ever.
    pub(super) async fn watch(&self) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(LOOK).await;
            let mut state = self.state.lock();
            let now = state.begun.elapsed();
            let mut silent = Vec::new();
            for (account, rhythm) in &mut state.rhythms {
                if rhythm.fell_silent(now) {
                    // Under the lock: else one that comes now would be told first, and stay shown as silent.
                    show(account, true);
                    silent.push(account.clone());
                }
            }
            drop(state);
            for account in &silent {
                tracing::warn!(%account, "its webhooks have stopped coming; is the endpoint paused at the platform? transactions are read now");
            }
            if !silent.is_empty() {
                self.missed.notify_one();
            }
        }
    }
}

/// Says at `/metrics` whether an account's webhooks have stopped coming.
fn show(account: &AccountId, is_silent: bool) {
    metrics::gauge!("smartlinks_webhooks_silent", "account" => account.to_string())
        .set(f64::from(u8::from(is_silent)));
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    async fn told(missed: &Notify) -> bool {
        tokio::time::timeout(Duration::ZERO, missed.notified()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_that_falls_silent_and_one_that_is_back_are_gaps() {
        let missed = Arc::new(Notify::new());
        let gaps = Gaps::new(Arc::clone(&missed));
        let watched = gaps.clone();
        let watch = tokio::spawn(async move { watched.watch().await });
        let account: AccountId = "acct_1".into();
        for _ in 0..20 {
            gaps.came(&account);
            tokio::time::sleep(Duration::from_secs(120)).await;
        }
        assert!(!told(&missed).await);
        tokio::time::sleep(Duration::from_secs(20 * 60)).await;
        assert!(told(&missed).await, "silent");
        tokio::time::sleep(Duration::from_secs(20 * 60)).await;
        assert!(!told(&missed).await, "still silent");
        gaps.came(&account);
        assert!(told(&missed).await, "and back");
        watch.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn whose_webhooks_have_stopped_is_shown_until_they_come_again_or_nobody_watches() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let _guard = metrics::set_default_local_recorder(&recorder);
        let shown = |silent: &str| {
            let line = format!("smartlinks_webhooks_silent{{account=\"acct_1\"}} {silent}\n");
            recorder.handle().render().contains(&line)
        };
        let gaps = Gaps::new(Arc::default());
        let watched = gaps.clone();
        let watch = tokio::spawn(async move { watched.watch().await });
        let account: AccountId = "acct_1".into();
        for _ in 0..2 {
            for _ in 0..20 {
                gaps.came(&account);
                assert!(shown("0"));
                tokio::time::sleep(Duration::from_secs(120)).await;
            }
            tokio::time::sleep(Duration::from_secs(20 * 60)).await;
            assert!(shown("1"));
        }
        gaps.forget();
        assert!(shown("0"));
        watch.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn an_intake_that_keeps_webhooks_again_is_a_gap() {
        let missed = Arc::new(Notify::new());
        let gaps = Gaps::new(Arc::clone(&missed));
        gaps.came(&"acct_1".into());
        gaps.refused();
        assert!(!told(&missed).await, "nothing could be written down now");
        gaps.came(&"acct_1".into());
        assert!(told(&missed).await);
        gaps.came(&"acct_1".into());
        assert!(!told(&missed).await);
    }

    #[tokio::test(start_paused = true)]
    async fn webhooks_that_others_were_told_of_are_no_gap() {
        let missed = Arc::new(Notify::new());
        let gaps = Gaps::new(Arc::clone(&missed));
        for _ in 0..20 {
            gaps.came(&"acct_1".into());
            tokio::time::sleep(Duration::from_secs(120)).await;
        }
        gaps.refused();
        tokio::time::sleep(Duration::from_secs(3600)).await;
        gaps.forget();
        let watched = gaps.clone();
        let watch = tokio::spawn(async move { watched.watch().await });
        tokio::time::sleep(Duration::from_secs(60)).await;
        gaps.came(&"acct_1".into());
        assert!(!told(&missed).await);
        watch.abort();
    }
}
