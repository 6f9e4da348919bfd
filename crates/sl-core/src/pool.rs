//! Pool links: facts, each written by one role, and the state computed from them (decisions 50).

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    ids::{AccountId, ClickId, LinkKind, PoolLinkId, TeamId},
    time::Timestamp,
};

/// One stock of interchangeable links (decisions 33: per account, link type and number of trial days).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StockKey {
    /// Whose page.
    pub account: AccountId,
    /// Tracking or trial.
    pub kind: LinkKind,
    /// For trials.
    pub trial_days: Option<u16>,
}

impl StockKey {
    /// `tracking_link`, `free_trial_7d`: what tells the stocks of one account apart, as a label of metrics.
    #[must_use]
    pub fn type_label(&self) -> String {
        match self.trial_days {
            Some(days) => format!("{}_{days}d", self.kind.as_str()),
            None => self.kind.as_str().to_owned(),
        }
    }
}

impl fmt::Display for StockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.trial_days {
            Some(days) => write!(f, "{}/{}/{days}d", self.account, self.kind.as_str()),
            None => write!(f, "{}/{}", self.account, self.kind.as_str()),
        }
    }
}

impl fmt::Debug for StockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Where creators' pages are: `https://onlyfans.com/{username}`.
pub const PLATFORM_PAGE: &str = "https://onlyfans.com/";

/// Where a tracking link leads (contract E.1).
#[must_use]
pub fn tracking_address(username: &str, code: &str) -> String {
    format!("{PLATFORM_PAGE}{username}/c{code}")
}

/// Where a tracking link leads now that its creator's page is `page`, if it was made under another handle: creators rename
/// themselves, and the old page is then nobody's or somebody else's. `None` for every other address.
#[must_use]
pub fn moved_with(page: &str, url: &str) -> Option<String> {
    let handle = page.strip_prefix(PLATFORM_PAGE).filter(|handle| !handle.is_empty())?;
    let (before, code) = url.strip_prefix(PLATFORM_PAGE)?.split_once('/')?;
    let code = code.strip_prefix('c')?;
    let is_code = !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_digit());
    (is_code && !before.eq_ignore_ascii_case(handle)).then(|| tracking_address(handle, code))
}

/// A subscription link that can be handed out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolLink {
    /// The platform's number.
    pub id: PoolLinkId,
    /// Owner.
    pub team: TeamId,
    /// Stock it belongs to.
    pub stock: StockKey,
    /// Where the visitor is sent.
    pub url: String,
    /// Place in the order of creation within the stock, from 0 (decisions 48: links leave in this order).
    pub ordinal: u64,
    /// When the platform made it.
    pub created_at: Timestamp,
}

/// Facts about a pool link. Each is written by one role only.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PoolFacts {
    /// Edge: in a block that is out, with the end of the lease.
    pub leased_until: Option<Timestamp>,
    /// Edge: the lease ran out, or its process died, without the link being known to be unused.
    pub orphaned_at: Option<Timestamp>,
    /// Attribution: the visitor's click.
    pub given: Option<Given>,
    /// Matcher: somebody subscribed through it.
    pub used_at: Option<Timestamp>,
    /// Matcher: start of the last look at its counter that attribution has passed.
    pub last_look_at: Option<Timestamp>,
    /// Matcher: subscribers counted at that look.
    pub subscribers_seen: u32,
    /// Keeper: gone for good.
    pub retired_at: Option<Timestamp>,
    /// How often it was recycled.
    pub rounds: u32,
}

/// A pool link in a visitor's hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// The click that holds it.
    pub click: ClickId,
    /// When it was handed out.
    pub at: Timestamp,
    /// The latest hit of the visitor: quarantine follows it (decisions 25).
    pub last_hit_at: Timestamp,
    /// Attribution window of its Smart Link.
    pub window: Duration,
}

/// Where a pool link stands (decisions 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolState {
    /// Nobody ever held it.
    Fresh,
    /// In an edge's block.
    Leased,
    /// A visitor has it, and the window is open.
    Given,
    /// The window is over; nobody else may have it yet.
    Quarantined,
    /// Nobody subscribed through it; it may be handed out again.
    Recycled,
    /// Somebody subscribed through it.
    Used,
    /// Never handed out again.
    Retired,
}

impl PoolState {
    /// All states, for metrics and reports.
    pub const ALL: [Self; 7] = [
        Self::Fresh,
        Self::Leased,
        Self::Given,
        Self::Quarantined,
        Self::Recycled,
        Self::Used,
        Self::Retired,
    ];

    /// Label of metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Leased => "leased",
            Self::Given => "given",
            Self::Quarantined => "quarantined",
            Self::Recycled => "recycled",
            Self::Used => "used",
            Self::Retired => "retired",
        }
    }
}

impl PoolFacts {
    /// End of quarantine: the window from the latest hit (or from the loss of the lease), then `quarantine`.
    #[must_use]
    pub fn quarantine_ends(&self, default_window: Duration, quarantine: Duration) -> Option<Timestamp> {
        let given = self.given.map(|given| given.last_hit_at.plus(given.window));
        let orphaned = self.orphaned_at.map(|at| at.plus(default_window));
        given.max(orphaned).map(|open_until| open_until.plus(quarantine))
    }

    /// State of a link of `kind` at `now`. `default_window` bounds what an orphan's unknown visitor may still do.
    #[must_use]
    pub fn state(
        &self,
        kind: LinkKind,
        now: Timestamp,
        default_window: Duration,
        quarantine: Duration,
    ) -> PoolState {
        if self.retired_at.is_some() {
            return PoolState::Retired;
        }
        if self.used_at.is_some() {
            return PoolState::Used;
        }
        if self.leased_until.is_some_and(|until| now < until) {
            return PoolState::Leased;
        }
        let Some(free_at) = self.quarantine_ends(default_window, quarantine) else {
            // A lease that ran out without being settled may have been handed out: never fresh again (decisions 50).
            return if self.leased_until.is_some() { PoolState::Quarantined } else { PoolState::Fresh };
        };
        if now < free_at {
            let open = self.given.is_some_and(|given| now < given.last_hit_at.plus(given.window));
            return if open { PoolState::Given } else { PoolState::Quarantined };
        }
        match kind {
            // Trial links are single use.
            LinkKind::FreeTrial => PoolState::Retired,
            // Only a look that began after the quarantine proves that nobody subscribed (decisions 50).
            LinkKind::TrackingLink if self.last_look_at.is_some_and(|look| look >= free_at) => {
                PoolState::Recycled
            }
            LinkKind::TrackingLink => PoolState::Quarantined,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(6 * 3600);
    const QUARANTINE: Duration = Duration::from_secs(24 * 3600);

    fn state(facts: &PoolFacts, kind: LinkKind, hour: i64) -> PoolState {
        facts.state(kind, Timestamp(hour * 3_600_000), WINDOW, QUARANTINE)
    }

    fn given(hour: i64) -> PoolFacts {
        let at = Timestamp(hour * 3_600_000);
        let click = ClickId::from_bytes([7; 16]);
        PoolFacts {
            given: Some(Given { click, at, last_hit_at: at, window: WINDOW }),
            ..PoolFacts::default()
        }
    }

    #[test]
    fn a_given_link_passes_window_quarantine_and_a_late_look_before_it_is_recycled() {
        let mut facts = given(10);
        assert_eq!(state(&facts, LinkKind::TrackingLink, 15), PoolState::Given);
        assert_eq!(state(&facts, LinkKind::TrackingLink, 16), PoolState::Quarantined);
        assert_eq!(state(&facts, LinkKind::TrackingLink, 40), PoolState::Quarantined);
        facts.last_look_at = Some(Timestamp(39 * 3_600_000));
        assert_eq!(
            state(&facts, LinkKind::TrackingLink, 41),
            PoolState::Quarantined,
            "the look was too early"
        );
        facts.last_look_at = Some(Timestamp(40 * 3_600_000));
        assert_eq!(state(&facts, LinkKind::TrackingLink, 41), PoolState::Recycled);
        facts.used_at = Some(Timestamp(41 * 3_600_000));
        assert_eq!(state(&facts, LinkKind::TrackingLink, 42), PoolState::Used);
    }

    #[test]
    fn only_a_tracking_link_of_an_earlier_handle_leads_elsewhere_now() {
        let moved = |page, url| moved_with(page, url);
        let page = "https://onlyfans.com/vega";
        assert_eq!(
            moved(page, "https://onlyfans.com/nova.example/c12").as_deref(),
            Some("https://onlyfans.com/vega/c12")
        );
        assert_eq!(
            moved(page, "https://onlyfans.com/c9/c12").as_deref(),
            Some("https://onlyfans.com/vega/c12")
        );
        for as_it_is in [
            "https://onlyfans.com/vega/c12",
            "https://onlyfans.com/Vega/c12",
            "https://onlyfans.com/action/trial/abc12",
            "https://onlyfans.com/action/trial/c12",
            "https://onlyfans.com/nova/c12?x=y",
            "https://onlyfans.com/nova/c",
            "https://onlyfans.com/nova",
            "https://elsewhere.example/nova/c12",
        ] {
            assert_eq!(moved(page, as_it_is), None, "{as_it_is}");
        }
        // Nobody knows the handle, or it is no page of the platform.
        assert_eq!(moved(PLATFORM_PAGE, "https://onlyfans.com/nova/c12"), None);
        assert_eq!(moved("https://elsewhere.example/vega", "https://onlyfans.com/nova/c12"), None);
    }

    #[test]
    fn stocks_of_one_account_have_labels_of_their_own() {
        let label = |kind, trial_days| StockKey { account: "acct_1".into(), kind, trial_days }.type_label();
        assert_eq!(label(LinkKind::TrackingLink, None), "tracking_link");
        assert_ne!(label(LinkKind::FreeTrial, Some(7)), label(LinkKind::FreeTrial, Some(30)));
    }

    #[test]
    fn a_trial_link_is_single_use() {
        assert_eq!(state(&given(10), LinkKind::FreeTrial, 41), PoolState::Retired);
    }

    #[test]
    fn a_lease_that_ran_out_is_never_fresh_again() {
        let facts = PoolFacts { leased_until: Some(Timestamp(5 * 3_600_000)), ..PoolFacts::default() };
        assert_eq!(state(&PoolFacts::default(), LinkKind::TrackingLink, 4), PoolState::Fresh);
        assert_eq!(state(&facts, LinkKind::TrackingLink, 4), PoolState::Leased);
        assert_eq!(state(&facts, LinkKind::TrackingLink, 5), PoolState::Quarantined);
    }
}
