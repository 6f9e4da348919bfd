//! Clicks and repeats, and whether links were handed out as promised (promise 3).

use std::{collections::HashMap, time::Duration};

use super::{
    super::{Hit, figures::Rungs},
    Reckoning, Rung, ecid,
};

/// Broken promises that are spelt out: more of them say nothing new.
const SPELT_OUT: usize = 20;

impl Reckoning<'_> {
    /// Clicks and repeats, and whether links were handed out as promised.
    pub(super) fn clicks(&mut self, visitor_window: Duration) {
        // The click that a device's further hits on a target repeat.
        let mut clicks: HashMap<(u64, usize, Option<&str>), &Hit> = HashMap::new();
        // Who was sent to an address of its own last.
        let mut holders: HashMap<&str, &Hit> = HashMap::new();
        for hit in self.hits.clone() {
            let key = (hit.device, hit.target, ecid(hit));
            let click = clicks.get(&key).filter(|click| hit.at.since(click.at) < visitor_window).copied();
            let rung = self.rung(hit.target, &hit.location);
            let Some(link) = self.links.get_mut(hit.target) else { continue };
            if let Some(click) = click {
                link.clicks.repeat += 1;
                let moved = click.location != hit.location;
                if moved && (rung == Rung::Own || self.rung(click.target, &click.location) == Rung::Own) {
                    self.broken(format!(
                        "a repeat was sent to {}, its click to {}",
                        hit.location, click.location
                    ));
                }
                continue;
            }
            link.clicks.person += 1;
            link.events.click += 1;
            clicks.insert(key, hit);
            let before = match rung {
                Rung::Own => holders.insert(&hit.location, hit),
                Rung::Overflow | Rung::Profile => None,
            };
            let rungs: &mut Rungs = &mut self.figures.rungs;
            match rung {
                Rung::Overflow => rungs.overflow += 1,
                Rung::Profile => rungs.profile += 1,
                Rung::Own if before.is_some() => rungs.recycled += 1,
                Rung::Own => rungs.fresh += 1,
            }
            if let Some(before) = before
                && hit.at.since(before.at) < self.window(before.target)
            {
                self.broken(format!("{} was handed to a second visitor inside the window", hit.location));
            }
        }
    }

    fn broken(&mut self, what: String) {
        if self.figures.broken.len() < SPELT_OUT {
            self.figures.broken.push(what);
        }
    }
}
