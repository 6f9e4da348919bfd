//! For whom no links are made now, and why: whoever a refusal concerns waits, and nobody else.

use std::time::Duration;

use sl_core::{
    catalog::Account,
    forecast::time_to_empty,
    ids::{AccountId, LinkKind},
    time::Timestamp,
};

use super::{Keeper, WAIT, makings::Failed, refill::Place};

/// For whom no links are made for a while.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Waiting {
    /// The account can't have any now, or the platform makes none.
    Account(AccountId),
    /// The platform refuses what was asked for this place; it makes links for others.
    Place(Place),
}

// === impl Waiting ===

impl Waiting {
    /// Both that may keep a link from being made.
    pub(super) fn both(account: &Account, place: &Place) -> [Self; 2] {
        [Self::Account(account.id.clone()), Self::Place(place.clone())]
    }
}

impl Keeper {
    /// Whether links can be made for a place now; the reason when people should see one.
    pub(super) fn may_make(
        &self,
        account: &Account,
        place: &Place,
        kind: LinkKind,
    ) -> std::result::Result<(), Option<String>> {
        if !account.usable.yes {
            return Err(Some(format!(
                "account {} is logged out at the platform; log it in there, refill then goes on by itself",
                account.id
            )));
        }
        let now = self.clock.now();
        if Waiting::both(account, place).iter().any(|waiting| self.waits.has(waiting, now)) {
            return Err(None);
        }
        allows(account, kind)
    }

    /// A call failed that was made at `asked_at`: the wait is twice as long as the last one, and as the call took. One account that
    /// lets every call time out would otherwise take all the time from the rest.
    pub(super) fn begin_wait(&mut self, waiting: Waiting, asked_at: Timestamp) -> Duration {
        let now = self.clock.now();
        self.waits.begin(waiting, now, now.since(asked_at), WAIT.1)
    }

    /// Whom the failure concerns waits; twice as long each time.
    pub(super) fn put_off(&mut self, account: &Account, place: &Place, failed: &Failed) {
        let [whole, single] = Waiting::both(account, place);
        let Failed { error, asked_at } = failed;
        let waiting = if error.is_about_what_was_asked() { single } else { whole };
        let span = self.begin_wait(waiting, *asked_at);
        if let Place::Stock(stock) = place {
            self.snapshot.failed(stock, error.to_string());
        }
        let left = match place {
            Place::Stock(stock) => self.snapshot.status(stock).time_to_empty,
            Place::Overflow(_) => None,
        };
        let left = left.and_then(|left| time_to_empty(left.as_secs(), 3600.0)).unwrap_or_default();
        tracing::warn!(account = %account.id, ?place, %error, again_in = ?span, stock_left = ?left, "links could not be made");
    }
}

/// What the account's page allows.
fn allows(account: &Account, kind: LinkKind) -> std::result::Result<(), Option<String>> {
    match kind {
        LinkKind::FreeTrial if account.can_create_trial == Some(false) => Err(Some(format!(
            "the page of account {} allows no free trials; use a tracking link",
            account.id
        ))),
        LinkKind::TrackingLink if account.username.is_none() => Err(Some(format!(
            "the handle of account {} is not known yet; it is read from the platform with the list of accounts",
            account.id
        ))),
        _ => Ok(()),
    }
}
