//! What can't be read now: each list of subscribers and each page of links waits by itself, and the rest is looked at without it.

use std::{collections::HashMap, time::Duration};

use sl_core::{ids::PoolLinkId, time::Timestamp};

use super::{account::AccountMatcher, look::LookError, watch::Page};
use crate::{error::PlatformError, platform, platform::LinkSeen, waits::Waits};

/// First and longest wait of a link whose subscribers could not be read; a page is not read sooner again than the first.
const LINK: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(3600));
/// First and longest wait of a page that could not be read. A hundred links wait with it, and to try costs one request.
const PAGE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(600));
/// Longest wait of either where the platform failed: when it is back, everything is read within a minute.
const OUTAGE: Duration = Duration::from_secs(60);

/// Who waits.
#[derive(Debug)]
pub(super) struct Aside {
    /// Links whose subscribers could not be read.
    pub(super) links: Waits<PoolLinkId>,
    /// Pages that could not be read.
    pub(super) pages: Waits<Page>,
    /// The last page that failed, while none was read since.
    failed: Option<Page>,
    /// Rows without an id, by page, as people were told.
    nameless: HashMap<Page, usize>,
}

impl Default for Aside {
    fn default() -> Self {
        Self { links: Waits::new(LINK), pages: Waits::new(PAGE), failed: None, nameless: HashMap::new() }
    }
}

// === impl Aside ===

impl Aside {
    /// The clock was set back: nobody waits for a time of before.
    pub(super) fn forget_times(&mut self) {
        self.links.forget_times();
        self.pages.forget_times();
    }
}

impl AccountMatcher {
    /// The subscribers of one link can't be read: it is tried again by itself, and keeps no other link waiting.
    pub(super) fn set_aside(&mut self, link: PoolLinkId, error: &PlatformError, asked_at: Timestamp) {
        let (aside, now) = (&mut self.watch.aside.links, self.clock.now());
        let is_new = aside.until(&link).is_none();
        let again_in = aside.begin(link, now, now.since(asked_at), most(error, LINK));
        let account = &self.account;
        if is_new {
            tracing::warn!(%account, %link, %error, ?again_in, "the subscribers of a link could not be read; the rest goes on");
        } else {
            tracing::debug!(%account, %link, %error, ?again_in, "the subscribers of a link still can't be read");
        }
    }

    /// A page can't be read: it is tried again by itself, and keeps no other page waiting.
    ///
    /// # Errors
    /// What keeps every page from being read, and what two pages say in a row: it is none of theirs. The second waits all the
    /// same, so that each turn tries another one.
    pub(super) fn page_failed(
        &mut self,
        page: Page,
        error: PlatformError,
        asked_at: Timestamp,
    ) -> Result<(), LookError> {
        if !error.may_be_about_one_list() {
            return Err(error.into());
        }
        let (aside, now) = (&mut self.watch.aside, self.clock.now());
        let is_new = aside.pages.until(&page).is_none();
        let again_in = aside.pages.begin(page, now, now.since(asked_at), most(&error, PAGE));
        if aside.failed.replace(page).is_some_and(|other| other != page) {
            return Err(error.into());
        }
        let (account, (kind, number)) = (&self.account, page);
        if is_new {
            tracing::warn!(%account, ?kind, page = number, %error, ?again_in, "a page of the links could not be read; the rest goes on");
        } else {
            tracing::debug!(%account, ?kind, page = number, %error, ?again_in, "a page of the links still can't be read");
        }
        Ok(())
    }

    /// A page was read. A link that it shows without an id is missed until it has one.
    pub(super) fn page_read(&mut self, page: Page, read: &platform::Page<LinkSeen>) {
        let aside = &mut self.watch.aside;
        aside.failed = None;
        aside.pages.end(&page);
        let before = match read.unreadable {
            0 => aside.nameless.remove(&page).unwrap_or(0),
            count => aside.nameless.insert(page, count).unwrap_or(0),
        };
        if read.unreadable > before {
            let (account, (kind, number)) = (&self.account, page);
            tracing::warn!(%account, ?kind, page = number, rows = read.unreadable, "the platform lists links without an id; the rest goes on");
        }
    }
}

/// An outage concerns everybody: nobody waits for an hour because of it.
fn most(error: &PlatformError, (_, longest): (Duration, Duration)) -> Duration {
    if error.is_unsure() { longest.min(OUTAGE) } else { longest }
}
