//! Ticks: how a hold ends when nothing else happens (decisions 51).

use std::{collections::HashMap, time::Duration};

use sl_core::{
    event::{Event, EventBody},
    ids::{AccountId, TeamId},
    time::Timestamp,
};
use sl_journal::ClickLog;

/// The same account is not woken again sooner: a tick needs a moment to come round.
const AGAIN: Duration = Duration::from_secs(5);

/// Which accounts to wake by a tick, and when.
#[derive(Debug, Default)]
pub(crate) struct Ticks {
    due: Vec<(TeamId, AccountId, Timestamp)>,
    sent: HashMap<AccountId, Timestamp>,
}

impl Ticks {
    /// Replaces what is due: for each account with something waiting, the time of the earliest.
    pub(crate) fn set(&mut self, due: Vec<(TeamId, AccountId, Timestamp)>) {
        self.due = due;
    }

    /// Appends what is due. A tick the journal refuses is tried again later: it carries nothing that could be lost.
    pub(crate) fn send(&mut self, log: &dyn ClickLog, now: Timestamp, lagging: &[(TeamId, AccountId)]) {
        self.sent.retain(|_, at| now >= *at && now.since(*at) < AGAIN);
        let due = self.due.iter().filter(|(_, _, at)| *at <= now).map(|(team, account, _)| (team, account));
        let lagging = lagging.iter().map(|(team, account)| (team, account));
        for (team, account) in due.chain(lagging) {
            if self.sent.contains_key(account) {
                continue;
            }
            let tick = Event { team: *team, account: account.clone(), at: now, body: EventBody::Tick };
            // Its fate is not waited for: when it is lost, it is due again in a few seconds.
            if let Ok(_ticket) = log.append(tick) {
                self.sent.insert(account.clone(), now);
            }
        }
    }
}
