//! What the roles ask of a creator platform, in our nouns.

use async_trait::async_trait;
use sl_core::{
    conversion::{FanProfile, Transaction},
    ended::LinkEnd,
    ids::{AccountId, FanId, LinkKind, PoolLinkId},
    money::Cents,
    pool::tracking_address,
    time::Timestamp,
};

use crate::{error::Result, pacer::Priority};

/// Most rows of one page of a link list (contract E.1).
pub const PAGE: u32 = 100;

/// A creator platform. Every call is one request (and its retries) and says how urgent it is.
#[async_trait]
pub trait CreatorPlatform: Send + Sync + 'static {
    /// Accounts of the key (contract E.3).
    async fn accounts(&self, priority: Priority) -> Result<AccountList>;

    /// The live profile of an account (contract E.3).
    async fn me(&self, account: &AccountId, priority: Priority) -> Result<ProfileSeen>;

    /// Makes a link (contract E.1, E.2). Never tried twice by itself: an error for which
    /// [`PlatformError::is_unsure`](crate::PlatformError::is_unsure) holds may have made one.
    async fn create(&self, account: &AccountId, wish: &LinkWish, priority: Priority) -> Result<LinkSeen>;

    /// A page of the link list. Of tracking links deleted ones are included, so that places in the ascending order never change; a
    /// trial link may leave its list, and those behind it then move up.
    async fn links(&self, account: &AccountId, ask: LinkPage, priority: Priority) -> Result<Page<LinkSeen>>;

    /// Whether the platform knows a link ("Get one" of contract E.1, E.2): `false` for 404, which it may also answer where it does not
    /// know the account (contract E.6). Tried once: what went unanswered can be asked again later.
    async fn has_link(&self, account: &AccountId, link: PoolLinkId, priority: Priority) -> Result<bool>;

    /// A page of the subscribers of a link (contract E.5).
    async fn subscribers(
        &self,
        account: &AccountId,
        link: PoolLinkId,
        offset: u32,
        priority: Priority,
    ) -> Result<Page<SubscriberRow>>;

    /// Adds fans to a list (contract E.4), skipping those the platform refuses; answers how many were refused.
    async fn add_to_list(
        &self,
        account: &AccountId,
        list: &str,
        fans: &[FanId],
        priority: Priority,
    ) -> Result<usize>;

    /// A page of transactions since a time (contract E.5); `marker` is that of the page before.
    async fn transactions(
        &self,
        account: &AccountId,
        since: Timestamp,
        marker: Option<&str>,
        priority: Priority,
    ) -> Result<TransactionPage>;
}

/// A link to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkWish {
    /// Tracking or trial.
    pub kind: LinkKind,
    /// For trials: one of the eight durations of contract E.2.
    pub trial_days: Option<u16>,
    /// One visitor only: a trial link is made with `offerLimit: 1` (contract E.2).
    pub single_use: bool,
    /// Unique, at most 64 characters: how a link is found again whose making went unanswered.
    pub name: String,
}

/// Which page of the link list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkPage {
    /// Which of the two lists.
    pub kind: LinkKind,
    /// Places to skip.
    pub offset: u32,
    /// Newest first instead of oldest first.
    pub newest_first: bool,
}

/// A link as the platform shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkSeen {
    /// Its number.
    pub id: PoolLinkId,
    /// Its name, when shown.
    pub name: Option<String>,
    /// Where it leads, when shown.
    pub url: Option<String>,
    /// For tracking links: `https://onlyfans.com/{username}/c{code}`.
    pub code: Option<u64>,
    /// For trials.
    pub trial_days: Option<u16>,
    /// Subscribers counted.
    pub subscribers: u32,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// Whether and when it ends.
    pub end: LinkEnd,
}

// === impl LinkSeen ===

impl LinkSeen {
    /// Where it leads; the creation of a tracking link answers only the code (contract E.1).
    #[must_use]
    pub fn address(&self, username: Option<&str>) -> Option<String> {
        self.url.clone().or_else(|| Some(tracking_address(username?, &self.code?.to_string())))
    }
}

/// Rows and whether there are more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// In the platform's order.
    pub rows: Vec<T>,
    /// Rows without an id. Places are counted with them: the next offset is behind all rows.
    pub unreadable: usize,
    /// Ask again with a higher offset.
    pub has_more: bool,
}

/// A fan in the subscriber list of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriberRow {
    /// Who.
    pub fan: FanId,
    /// As far as shown.
    pub profile: FanProfile,
    /// `subscribedOnData.subscribeAt` (decisions 22).
    pub subscribed_at: Option<Timestamp>,
    /// `subscribedOnData.price`.
    pub price: Option<Cents>,
}

/// The accounts of the key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountList {
    /// In the platform's order.
    pub rows: Vec<AccountSeen>,
    /// Rows whose id could not be read: any account may be one of them.
    pub unreadable: usize,
}

/// An account of the key (contract A.12).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSeen {
    /// `acct_…`.
    pub id: AccountId,
    /// As shown.
    pub display_name: String,
    /// The creator's user id.
    pub onlyfans_id: Option<u64>,
    /// Handle.
    pub username: Option<String>,
    /// Login mail.
    pub email: Option<String>,
    /// Name of the profile.
    pub name: Option<String>,
    /// Picture.
    pub avatar: Option<String>,
    /// Logged in; `None` when that is not said.
    pub is_authenticated: Option<bool>,
    /// Upstream's word.
    pub authentication_progress: String,
}

/// The live profile of an account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProfileSeen {
    /// Handle.
    pub username: Option<String>,
    /// The creator's user id.
    pub onlyfans_id: Option<u64>,
    /// Name of the profile.
    pub name: Option<String>,
    /// Picture.
    pub avatar: Option<String>,
    /// `canCreateTrial`.
    pub can_create_trial: Option<bool>,
}

/// Transactions and the marker of the next page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionPage {
    /// In the platform's order, in our words, `reconciled` set.
    pub rows: Vec<Transaction>,
    /// Rows that can't be credited: unreadable, not in US dollars, of an absurd amount.
    pub unreadable: usize,
    /// `None` on the last page.
    pub next: Option<String>,
}
