//! The creator's page, whose handle is part of tracking links: when it changes, links that are at hand lead to the new one.
//!
//! There may be a hundred thousand of them, and visitors take them meanwhile. So a change only says so, and a link made before it is
//! made anew when it leaves.

use std::{borrow::Cow, collections::VecDeque, sync::Arc};

use http::HeaderValue;
use sl_core::{ids::PoolLinkId, pool::moved_with};

use super::{Shelf, state::Ready};
use crate::links::{location, locations};

/// A creator's page.
#[derive(Clone, Default)]
pub(crate) struct Page {
    /// Where it is, as far as that is known.
    pub(crate) url: Option<Arc<str>>,
    /// How often it has been another.
    pub(super) turn: u64,
}

/// A link with whether it was recycled and where it led when it was made.
pub(super) type Made<'a> = (PoolLinkId, bool, &'a str);

// === impl Page ===

impl Page {
    /// Links as they lead now, and those whose address can't stand in a header.
    pub(super) fn ready<'a>(
        &self,
        made: impl Iterator<Item = Made<'a>> + Clone,
    ) -> (VecDeque<Ready>, Vec<PoolLinkId>) {
        let address = |url| match self.url.as_deref().and_then(|page| moved_with(page, url)) {
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

    /// Has links that were made at another turn lead to the page of now. A handle that can't stand in a header has none.
    #[cold]
    pub(super) fn lead_there<'a>(&self, links: impl IntoIterator<Item = &'a mut Ready>) {
        let moved = |url: &HeaderValue| location(&moved_with(self.url.as_deref()?, url.to_str().ok()?)?);
        for link in links {
            if let Some(moved) = moved(&link.location) {
                link.location = moved;
            }
        }
    }
}

// === impl Shelf ===

impl Shelf {
    /// Where the creator's page is from now on.
    pub(crate) fn page_is(&self, page: &Arc<str>) {
        let mut state = self.state.lock();
        if state.page.url.as_ref() != Some(page) {
            state.page = Page { url: Some(Arc::clone(page)), turn: state.page.turn + 1 };
            // What is written down of it is old.
            state.changes += 1;
        }
    }

    /// As it was told last.
    pub(crate) fn page(&self) -> Page {
        self.state.lock().page.clone()
    }
}
