//! Links that a page should have and lacks (contract E.1, E.2): whether they were deleted is asked link by link, in the order in
//! which visitors would get them.
//!
//! A page that lacks nothing costs no request. One that does costs one, about a link that is missing. Where that one is unknown a link
//! is asked about that is there, and only then the others are, a few in each turn. Who is missing says the pool, which is
//! asked about a page when its rows have changed, and once an hour.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use sl_core::{
    deleted::{Answer, Inquiry, Shown},
    ids::PoolLinkId,
    time::Timestamp,
};

use super::{
    account::{AT_ONCE, AccountMatcher},
    look::LookError,
    retire::FRESH,
    watch::Page,
};
use crate::{error::PlatformError, pacer::Priority, waits::Waits};

/// First and longest wait of a page whose questions were not answered, and the longest one of an outage.
const WAIT: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(3600));
const OUTAGE: Duration = Duration::from_secs(60);
/// A page that lacked nothing is compared with the pool again after that, however little has changed on it.
const AGAIN: Duration = Duration::from_secs(3600);
/// Deleted links that wait for others of their page before they leave the stock: one line in the log tells of all.
const TOGETHER: usize = 20;

/// Where links are missing: on a page, or between it and the page before, which they may have moved to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    On,
    Before,
}

/// What a page lacks in one of both places, as it was last read.
pub(super) struct Lack {
    /// By number.
    pub(super) suspects: Vec<PoolLinkId>,
    /// A link that it shows.
    pub(super) witness: Option<PoolLinkId>,
    /// Tells its rows from others.
    pub(super) rows: u64,
}

/// What is to be asked.
#[derive(Debug)]
pub(super) struct Missing {
    asking: BTreeMap<(Page, Part), Asking>,
    waits: Waits<Page>,
    /// Rows of pages that lack nothing, or nothing that is worth a question, and since when.
    whole: HashMap<Page, (u64, Timestamp)>,
}

#[derive(Debug)]
struct Asking {
    inquiry: Inquiry,
    /// The rows by which links are missing.
    rows: u64,
    /// Certain, and not yet dealt with.
    deleted: Vec<PoolLinkId>,
}

impl Default for Missing {
    fn default() -> Self {
        Self { asking: BTreeMap::new(), waits: Waits::new(WAIT), whole: HashMap::new() }
    }
}

// === impl Missing ===

impl Missing {
    /// The clock was set back: nobody waits for a time of before.
    pub(super) fn forget_times(&mut self) {
        self.waits.forget_times();
        self.whole.clear();
    }

    /// Forgets what is too old to be of use.
    pub(super) fn clear_old(&mut self, now: Timestamp) {
        self.whole.retain(|_, (_, at)| !now.is_past(*at, AGAIN));
    }

    /// Whether a page with these rows lacked nothing that is worth a question, not long ago.
    pub(super) fn is_whole(&self, page: Page, rows: u64, now: Timestamp) -> bool {
        self.whole.get(&page).is_some_and(|(known, at)| *known == rows && !now.is_past(*at, AGAIN))
    }

    /// Takes over what a page lacks in place of what it lacked before.
    pub(super) fn note(&mut self, page: Page, part: Part, lack: Lack) {
        let Lack { mut suspects, witness, rows } = lack;
        let before = self.asking.remove(&(page, part));
        let deleted = before.as_ref().map_or(Vec::new(), |before| before.deleted.clone());
        suspects.retain(|id| !deleted.contains(id));
        if suspects.is_empty() && deleted.is_empty() {
            return;
        }
        let inquiry = match before {
            Some(before) => before.inquiry.renewed(suspects, witness),
            None => Inquiry::new(suspects, witness),
        };
        self.asking.insert((page, part), Asking { inquiry, rows, deleted });
    }

    /// It lacks nothing that is worth a question.
    pub(super) fn is_now_whole(&mut self, page: Page, rows: u64, now: Timestamp) {
        self.whole.insert(page, (rows, now));
    }

    /// Whether there are questions about a page.
    pub(super) fn has(&self, page: Page) -> bool {
        [Part::On, Part::Before].iter().any(|part| self.asking.contains_key(&(page, *part)))
    }
}

// === impl AccountMatcher ===

impl AccountMatcher {
    /// Asks about links that are missing, a few in each turn; `true` when some are left.
    pub(super) async fn ask_about_missing(&mut self) -> Result<bool, LookError> {
        for _ in 0..AT_ONCE {
            let now = self.clock.now();
            let Some((page, part)) = self.next_missing(now) else { return Ok(false) };
            if self.read_at.get(&page).is_none_or(|at| now.is_past(*at, FRESH)) {
                // Who is missing may be back; and an account whose list was just read is known.
                self.look(page, Priority::Sweep).await?;
            } else if !self.ask(page, part, now).await? {
                return Ok(false);
            }
        }
        Ok(self.next_missing(self.clock.now()).is_some())
    }

    fn next_missing(&self, now: Timestamp) -> Option<(Page, Part)> {
        let waits = |page: &Page| self.missing.waits.has(page, now) || self.watch.aside.pages.has(page, now);
        self.missing.asking.keys().find(|(page, _)| !waits(page)).copied()
    }

    /// One question, and what follows from its answer; `false` when there was none.
    async fn ask(&mut self, page: Page, part: Part, now: Timestamp) -> Result<bool, LookError> {
        let Some(asking) = self.missing.asking.get_mut(&(page, part)) else { return Ok(true) };
        let Some(id) = asking.inquiry.next() else {
            self.close(page, part, now).await?;
            return Ok(true);
        };
        self.asked += 1;
        let answer = match self.platform.has_link(&self.account, id, Priority::Sweep).await {
            Ok(true) => Answer::There,
            Ok(false) => Answer::Unknown,
            Err(error) => {
                self.put_off(page, id, &error, now);
                return Ok(false);
            }
        };
        let (shown, rows) = (asking.inquiry.answered(answer), asking.rows);
        if let Shown::Deleted(id) = shown {
            asking.deleted.push(id);
        }
        let is_enough = asking.inquiry.next().is_none() || asking.deleted.len() >= TOGETHER;
        self.note_shown(page, id, shown, rows, now);
        if is_enough {
            self.close(page, part, now).await?;
        }
        Ok(true)
    }

    /// What an answer says about a page and its next questions.
    fn note_shown(&mut self, page: Page, link: PoolLinkId, shown: Shown, rows: u64, now: Timestamp) {
        let (account, (kind, number), missing) = (&self.account, page, &mut self.missing);
        match shown {
            Shown::Nothing => {}
            Shown::Deleted(_) => missing.waits.end(&page),
            Shown::Partial => {
                tracing::debug!(%account, ?kind, page = number, %link, "a list lacks a link that is there");
                missing.waits.end(&page);
                missing.is_now_whole(page, rows, now);
            }
            Shown::Contradiction => {
                let again_in = missing.waits.begin(page, now, Duration::ZERO, WAIT.1);
                tracing::warn!(%account, ?kind, page = number, %link, ?again_in, "the platform lists a link and says that there is none such; nothing follows for those that the list lacks");
            }
        }
    }

    /// Deals with what is certain, and forgets questions that are all answered.
    async fn close(&mut self, page: Page, part: Part, now: Timestamp) -> Result<(), LookError> {
        let Some(asking) = self.missing.asking.get(&(page, part)) else { return Ok(()) };
        let deleted = asking.deleted.clone();
        if !deleted.is_empty() {
            self.take_deleted(page, &deleted, now).await?;
        }
        if let Some(asking) = self.missing.asking.get_mut(&(page, part)) {
            asking.deleted.clear();
            if asking.inquiry.next().is_none() {
                self.missing.asking.remove(&(page, part));
            }
        }
        Ok(())
    }

    /// No answer proves nothing: the same is asked again later.
    fn put_off(&mut self, page: Page, link: PoolLinkId, error: &PlatformError, asked_at: Timestamp) {
        let (waits, now) = (&mut self.missing.waits, self.clock.now());
        let is_new = waits.until(&page).is_none();
        let most = if error.is_temporary() { OUTAGE } else { WAIT.1 };
        let again_in = waits.begin(page, now, now.since(asked_at), most);
        let account = &self.account;
        if is_new {
            tracing::warn!(%account, %link, %error, ?again_in, "whether a link that its list lacks was deleted could not be asked; the rest goes on");
        } else {
            tracing::debug!(%account, %link, %error, ?again_in, "whether a link was deleted still can't be asked");
        }
    }
}
