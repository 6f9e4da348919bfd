//! Fills the window from the journal's last hours, before the edge listens.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicBool},
};

use sl_core::{
    click::{Class, Click, Repeat, Rung},
    ids::ClickId,
    time::Timestamp,
    visitor::Target,
};

use super::{Remembered, Window};

/// A rebuild under way: give it the journal's clicks and repeats in order, then drop it.
pub struct Rebuild<'a> {
    window: &'a Window,
    now: Timestamp,
    clicks: HashMap<ClickId, Arc<Remembered>>,
}

impl Window {
    /// Starts a rebuild. Records older than the window at `now` are passed over.
    #[must_use]
    pub fn rebuild(&self, now: Timestamp) -> Rebuild<'_> {
        Rebuild { window: self, now, clicks: HashMap::new() }
    }
}

impl Rebuild<'_> {
    /// A click of the journal. `url` is where its pool link leads; without it a click with a link of its own can't be
    /// repeated, and the visitor's next tap is a new click. `true` when it was remembered.
    pub fn click(&mut self, click: &Click, url: Option<&str>) -> bool {
        let old = self.now.since(click.at) >= self.window.span();
        if old || click.class != Class::Person {
            return false;
        }
        let own = match click.rung {
            Rung::Fresh | Rung::Recycled => match url.and_then(crate::links::location) {
                Some(location) => Some(location),
                None => return false,
            },
            Rung::Overflow | Rung::Profile => None,
        };
        let target = Target::new(click.link, click.params.ecid.as_deref());
        let entry = Arc::new(Remembered {
            click: click.id,
            at: click.at,
            target,
            daily: click.visitor.daily,
            given: click.visitor.given,
            rung: click.rung,
            pool_link: click.pool_link,
            own,
            stored: AtomicBool::new(true),
        });
        for visitor in [Some(entry.daily), entry.given].into_iter().flatten() {
            let key = self.window.key(visitor, target);
            self.window.shard(key).lock().put(key, visitor, &entry, &self.window.0, self.now);
        }
        self.clicks.insert(click.id, entry);
        true
    }

    /// A repeat of the journal: the visitor may be known by more than its click said.
    pub fn repeat(&mut self, repeat: &Repeat) {
        if let Some(entry) = self.clicks.get(&repeat.click) {
            self.window.put_if_absent(repeat.visitor.daily, entry, self.now);
        }
    }
}
