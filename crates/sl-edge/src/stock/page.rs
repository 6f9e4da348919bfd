//! The creator's page, whose handle is part of tracking links: when it changes, links that are at hand lead to the new one.

use std::{borrow::Cow, collections::VecDeque, sync::Arc};

use sl_core::{ids::PoolLinkId, pool::moved_with};

use super::{
    Shelf,
    state::{OnHand, Ready, State},
};
use crate::links::locations;

/// A link with whether it was recycled and where it led when it was made.
pub(super) type Made<'a> = (PoolLinkId, bool, &'a str);

/// Links as they lead now, and those whose address can't stand in a header.
pub(super) fn ready<'a>(
    made: impl Iterator<Item = Made<'a>> + Clone,
    page: Option<&str>,
) -> (VecDeque<Ready>, Vec<PoolLinkId>) {
    let address = |url| match page.and_then(|page| moved_with(page, url)) {
        Some(moved) => Cow::Owned(moved),
        None => Cow::Borrowed(url),
    };
    let addresses: Vec<Cow<'_, str>> = made.clone().map(|(.., url)| address(url)).collect();
    let (mut links, mut refused) = (VecDeque::with_capacity(addresses.len()), Vec::new());
    for ((id, recycled, _), location) in made.zip(locations(addresses.iter().map(AsRef::as_ref))) {
        match location {
            Some(location) => links.push_back(Ready { id, recycled, location }),
            None => refused.push(id),
        }
    }
    (links, refused)
}

impl Shelf {
    /// Where the creator's page is from now on.
    pub(crate) fn page_is(&self, page: &Arc<str>) {
        let mut state = self.state.lock();
        if state.page.as_ref() == Some(page) {
            return;
        }
        state.page = Some(Arc::clone(page));
        let State { blocks, kept, opening, .. } = &mut *state;
        for part in blocks.iter_mut().chain(kept).chain(opening) {
            part.move_to(page);
        }
        state.changes += 1;
    }

    /// As it was told last.
    pub(crate) fn page(&self) -> Option<Arc<str>> {
        self.state.lock().page.clone()
    }
}

impl State {
    /// A part that was made ready for `page`, for the one of now.
    pub(super) fn up_to_date(&self, mut part: OnHand, page: Option<&Arc<str>>) -> OnHand {
        if let Some(now) = self.page.as_ref().filter(|now| Some(*now) != page) {
            part.move_to(now);
        }
        part
    }
}

impl OnHand {
    fn move_to(&mut self, page: &str) {
        let made =
            self.links.iter().filter_map(|link| Some((link.id, link.recycled, link.location.to_str().ok()?)));
        let (links, refused) = ready(made, Some(page));
        // A handle that can't stand in a header has no page either.
        if refused.is_empty() && links.len() == self.links.len() {
            self.links = links;
        }
    }
}
