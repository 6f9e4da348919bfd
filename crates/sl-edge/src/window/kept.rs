//! What an ordered stop keeps of the window, so that the next start need not read hours of the journal.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sl_core::{click::VisitorId, visitor::Visit};

use super::{Remembered, Window};

/// A click of the window, and everything its visitor is known by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The click.
    pub visit: Visit,
    /// Fingerprints beside the one it came with: of other networks, of another day.
    pub also: Vec<VisitorId>,
}

impl Window {
    /// Says every click that is remembered, the oldest first; not those that the journal lost. `false`, and nothing is said, while
    /// there is one of which the journal has said neither: it may be lost, and must not be remembered then.
    pub fn kept(&self, mut each: impl FnMut(Kept)) -> bool {
        let mut keys = Vec::with_capacity(self.keys());
        for shard in &self.0.shards {
            shard.lock().each(|visitor, click| {
                if !click.is_lost() {
                    keys.push((Arc::clone(click), visitor));
                }
            });
        }
        if keys.iter().any(|(click, _)| !click.is_stored()) {
            return false;
        }
        keys.sort_unstable_by_key(|(click, _)| click.click);
        for same in keys.chunk_by(|left, right| left.0.click == right.0.click) {
            kept(same).into_iter().for_each(&mut each);
        }
        true
    }
}

/// The keys of one click.
fn kept(keys: &[(Arc<Remembered>, VisitorId)]) -> Option<Kept> {
    let (click, _) = keys.first()?;
    let also = keys.iter().map(|(_, visitor)| *visitor);
    let also = also.filter(|visitor| *visitor != click.daily && Some(*visitor) != click.given).collect();
    Some(Kept { visit: visit(click), also })
}

fn visit(click: &Remembered) -> Visit {
    let own = click.own.as_ref().and_then(|own| own.to_str().ok());
    Visit {
        click: click.click,
        target: click.target,
        at: click.at,
        daily: click.daily,
        given: click.given,
        rung: click.rung,
        pool_link: click.pool_link,
        sent_to: own.map(Box::from),
    }
}
