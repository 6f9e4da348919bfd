//! The owner's API key of the first start.

use sl_api::KeyError;
use sl_core::{apikey::KeySecret, time::Clock};
use sl_store::Store;

use super::leased;
use crate::config::Config;
use crate::out::tell;

/// The key until somebody takes it. A start that fails after it was made says it on the way out: the next start makes
/// none, and nobody would ever have seen it.
#[derive(Default)]
pub(super) struct FirstKey(Option<KeySecret>);

impl FirstKey {
    /// Makes team and owner key at the first start. `me` is one of several processes.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn make(
        config: &Config,
        store: &Store,
        me: Option<&str>,
        clock: &dyn Clock,
    ) -> Result<Self, KeyError> {
        let (team, random) = (&config.team, rand::fill::<u8>);
        let made = sl_api::ensure_team_and_owner_key(store, &team.name, &team.slug, clock, &random);
        let made = match me {
            None => made.await,
            // Two that start at once would each make a team.
            Some(me) => leased::in_turn("first start", &*store.leases, me, made).await,
        };
        made.map(Self)
    }

    /// Whoever takes it shows it.
    pub(super) fn take(mut self) -> Option<KeySecret> {
        self.0.take()
    }
}

impl Drop for FirstKey {
    fn drop(&mut self) {
        if let Some(secret) = &self.0 {
            show(secret);
        }
    }
}

/// Shows it to the person at the terminal.
pub(crate) fn show(secret: &KeySecret) {
    tell!("owner API key (shown once): {}", secret.expose());
}
