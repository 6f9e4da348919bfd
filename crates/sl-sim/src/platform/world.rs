//! Accounts, links, fans and money, without any HTTP. Times are arguments and whole seconds, as the platform's are.
//!
//! * [`links`]: making, finding and visiting links · [`fans`]: subscribing
//! * [`money`]: spending, renewals, reversals, messages

mod fans;
mod links;
mod money;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sl_core::{ids::LinkKind, money::Cents, time::Timestamp};

use super::{config::AccountSetup, hooks::Login};

pub(super) use fans::{Happened, Joined, Person};
pub(super) use links::Place;
pub(super) use links::TrialWish;
pub(super) use money::{Spend, is_back};

/// Why something can't be done; a sentence for people, with the HTTP status it is told with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) why: String,
}

impl Refusal {
    pub(super) fn new(status: u16, why: impl Into<String>) -> Self {
        Self { status, why: why.into() }
    }
}

/// Everything the platform knows.
#[derive(Debug)]
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) accounts: BTreeMap<String, Account>,
    pub(super) started_at: Timestamp,
    /// Ids are the platform's, not the account's.
    last_link: u64,
    last_event: u64,
    last_transaction: u64,
    last_message: u64,
    last_list: u64,
}

/// One creator's page.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) setup: AccountSetup,
    pub(super) tracking: Vec<Link>,
    pub(super) trials: Vec<Link>,
    /// Place of a link in its list, by number.
    pub(super) places: HashMap<(LinkKind, u64), usize>,
    /// Number of a trial link, by the code of its address.
    pub(super) trial_codes: HashMap<String, u64>,
    pub(super) fans: BTreeMap<u64, Fan>,
    pub(super) transactions: Vec<Transaction>,
    pub(super) transaction_places: HashMap<String, usize>,
    pub(super) lists: Vec<UserList>,
    pub(super) messages: u64,
    pub(super) login: Login,
}

/// A tracking or trial link.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) kind: LinkKind,
    /// The platform's id.
    pub(super) number: u64,
    /// `campaignCode` of a tracking link, the last part of a trial link's address.
    pub(super) code: String,
    pub(super) name: String,
    pub(super) tags: Vec<String>,
    pub(super) created_at: Timestamp,
    /// `endDate` of a tracking link.
    pub(super) ended_at: Option<Timestamp>,
    pub(super) is_deleted: bool,
    /// Deleted, and not even a list that is asked for deleted links shows it.
    pub(super) is_gone: bool,
    /// It is there, and lists lack it.
    pub(super) is_hidden: bool,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) visits: u64,
    /// Trials: free days, and how many may claim them (0: any number).
    pub(super) days: u16,
    pub(super) limit: u32,
    pub(super) subscribers: Vec<Subscription>,
    /// Money of the link's subscribers since, as upstream shows it.
    pub(super) revenue: Cents,
    pub(super) chargebacks: Cents,
    pub(super) spent: BTreeMap<u64, Cents>,
}

/// Somebody subscribed through a link.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subscription {
    pub(super) fan: u64,
    pub(super) at: Timestamp,
    pub(super) expires_at: Timestamp,
    pub(super) price: Cents,
}

/// A fan of one creator.
#[derive(Debug, Clone)]
pub(super) struct Fan {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) username: String,
    pub(super) subscriptions: Vec<Subscription>,
    /// The link of the first subscription.
    pub(super) through: Option<(LinkKind, u64)>,
}

/// Money.
#[derive(Debug, Clone)]
pub(super) struct Transaction {
    pub(super) id: String,
    /// The webhook's word (contract D.3.2).
    pub(super) kind: String,
    pub(super) fan: u64,
    pub(super) gross: Cents,
    pub(super) net: Cents,
    pub(super) status: String,
    pub(super) at: Timestamp,
}

/// A list of fans (contract E.4).
#[derive(Debug, Clone)]
pub(super) struct UserList {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) fans: BTreeSet<u64>,
}

// === impl World ===

impl World {
    pub(super) fn new(seed: u64, accounts: &[AccountSetup], now: Timestamp) -> Self {
        let accounts = accounts.iter().map(|setup| (setup.id.clone(), Account::new(setup.clone())));
        Self {
            seed,
            accounts: accounts.collect(),
            started_at: now,
            // Ids look like the platform's: long, and never the same for two things.
            last_link: 1_200_000,
            last_event: 9_900_000_000,
            last_transaction: 55_820_000,
            last_message: 7_700_000_000,
            last_list: 1_100_000_000,
        }
    }

    pub(super) fn account(&mut self, id: &str) -> Result<&mut Account, Refusal> {
        // A third-party client knows the marker (contract E.6).
        self.accounts.get_mut(id).ok_or_else(|| Refusal::new(404, "account_not_found: no such account"))
    }

    pub(super) fn account_of(&self, username: &str) -> Option<String> {
        let found = self.accounts.values().find(|account| account.setup.username == username);
        found.map(|account| account.setup.id.clone())
    }

    pub(super) fn make_list(&mut self, account: &str, name: &str) -> Result<UserList, Refusal> {
        self.last_list += 1;
        let list = UserList { id: self.last_list, name: name.to_owned(), fans: BTreeSet::new() };
        self.account(account)?.lists.push(list.clone());
        Ok(list)
    }
}

impl Account {
    fn new(setup: AccountSetup) -> Self {
        let login = if setup.is_authenticated { Login::LoggedIn } else { Login::LoggedOut };
        Self {
            setup,
            tracking: Vec::new(),
            trials: Vec::new(),
            places: HashMap::new(),
            trial_codes: HashMap::new(),
            fans: BTreeMap::new(),
            transactions: Vec::new(),
            transaction_places: HashMap::new(),
            lists: Vec::new(),
            messages: 0,
            login,
        }
    }

    /// Free trials need a paid page (contract A.6.1).
    pub(super) fn can_create_trial(&self) -> bool {
        self.setup.price.0 > 0
    }

    pub(super) fn links(&self, kind: LinkKind) -> &[Link] {
        match kind {
            LinkKind::TrackingLink => &self.tracking,
            LinkKind::FreeTrial => &self.trials,
        }
    }

    pub(super) fn link(&self, kind: LinkKind, number: u64) -> Option<&Link> {
        let place = *self.places.get(&(kind, number))?;
        self.links(kind).get(place)
    }

    pub(super) fn link_mut(&mut self, kind: LinkKind, number: u64) -> Option<&mut Link> {
        let place = *self.places.get(&(kind, number))?;
        match kind {
            LinkKind::TrackingLink => self.tracking.get_mut(place),
            LinkKind::FreeTrial => self.trials.get_mut(place),
        }
    }
}

/// Whole seconds, as everything the platform says.
pub(super) fn whole(at: Timestamp) -> Timestamp {
    Timestamp::from_seconds(at.seconds())
}
