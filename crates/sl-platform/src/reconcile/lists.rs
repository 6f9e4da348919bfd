//! New subscribers into the list of their Smart Link (contract B.6, E.4).

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use sl_core::{ids::AccountId, step::ListAdd};
use sl_store::Store;

use super::{Round, RoundError};
use crate::{PlatformError, pacer::Priority, platform::CreatorPlatform};

/// Fans added by one call.
const AT_ONCE: usize = 100;
/// Fans looked at in one round, beside those who could not be added in the last one.
const ROUND: usize = 1000;
/// Most fans looked at in one round: 100,000 × about 100 B = 10 MB.
const MOST: usize = 100_000;

/// Adds them.
pub(super) struct Lists {
    pub(super) platform: Arc<dyn CreatorPlatform>,
    pub(super) store: Store,
    /// Fans who could not be added in the last round. They come first in the next one, and keep nobody else waiting.
    pub(super) left: usize,
}

#[async_trait]
impl Round for Lists {
    const WHAT: &'static str = "lists";

    async fn round(&mut self) -> Result<bool, RoundError> {
        self.add().await?;
        Ok(false)
    }
}

// === impl Lists ===

impl Lists {
    /// One round. A fan or list that the platform refuses is given up with its words; everything else is tried again.
    async fn add(&mut self) -> Result<(), RoundError> {
        let mut groups: BTreeMap<(AccountId, String), Vec<ListAdd>> = BTreeMap::new();
        let adds = self.store.pool.list_adds((self.left + ROUND).min(MOST)).await?;
        self.left = adds.len();
        for add in adds {
            groups.entry((add.account.clone(), add.list.clone())).or_default().push(add);
        }
        let mut failed = None;
        for ((account, list), adds) in groups {
            for adds in adds.chunks(AT_ONCE) {
                let fans: Vec<_> = adds.iter().map(|add| add.fan.clone()).collect();
                match self.platform.add_to_list(&account, &list, &fans, Priority::Rest).await {
                    Ok(0) => {}
                    Ok(refused) => {
                        tracing::warn!(%account, list, refused, "fans are not on the list: the platform refuses them")
                    }
                    Err(error) if is_final(&error) => {
                        tracing::warn!(%account, list, %error, fans = adds.len(), "fans are not on the list; check user_list_id of the link");
                    }
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                }
                self.store.pool.list_added(adds.to_vec()).await?;
                self.left -= adds.len();
            }
        }
        failed.map_or(Ok(()), |error| Err(error.into()))
    }
}

/// Whether asking again would be no use. Exhausted credits and an account that is logged out (402, 403; contract I.42) pass.
fn is_final(error: &PlatformError) -> bool {
    matches!(error, PlatformError::Refused { status, .. } if !matches!(status, 402 | 403))
}
