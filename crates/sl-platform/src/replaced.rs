//! Overflow links that were ended at the platform: the matcher sees it, the keeper of the same process makes others.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use sl_core::ids::{PoolLinkId, SmartLinkId};

/// Smart Links whose overflow link leads nowhere. Clones share it. Nothing is written down: after a start the matcher
/// sees it again.
#[derive(Debug, Clone, Default)]
pub struct EndedOverflows(Arc<Mutex<BTreeMap<SmartLinkId, PoolLinkId>>>);

impl EndedOverflows {
    /// The overflow link of a Smart Link was ended.
    pub(crate) fn tell(&self, link: SmartLinkId, ended: PoolLinkId) {
        self.0.lock().insert(link, ended);
    }

    /// All that wait for another one.
    pub(crate) fn all(&self) -> Vec<(SmartLinkId, PoolLinkId)> {
        self.0.lock().iter().map(|(link, ended)| (*link, *ended)).collect()
    }

    /// It has another one, or needs none.
    pub(crate) fn settle(&self, link: SmartLinkId) {
        self.0.lock().remove(&link);
    }
}
