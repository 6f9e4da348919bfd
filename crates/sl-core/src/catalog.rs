//! What people configure: teams, keys, accounts, Smart Links, pixels, postbacks.

mod pixels;
mod postbacks;

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    ids::{AccountId, ApiKeyId, LinkKind, PixelId, PoolLinkId, SmartLinkId, TeamId},
    pool::StockKey,
    time::Timestamp,
};

pub use crate::platforms::PlatformKind;
pub use pixels::{EventMap, ExternalIdSource, Pixel, ValueBasis};
pub use postbacks::{AnswerTexts, HeaderTemplate, Postback, PostbackMethod, PostbackScope};

/// Owner of everything else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Team {
    /// The first is 1.
    pub id: TeamId,
    /// Name that people gave it.
    pub name: String,
    /// Short name.
    pub slug: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A key of our own API: only the hash of the secret is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Public number.
    pub id: ApiKeyId,
    /// The team whose data it opens.
    pub team: TeamId,
    /// Name that people gave it; `whoami` shows it.
    pub name: String,
    /// SHA-256 of the whole secret `slk_…`.
    pub hash: [u8; 32],
    /// Keys of contract F, such as `smart-links.view` (decisions 13).
    pub permissions: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Last request with it, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// Set when it no longer opens anything.
    pub revoked_at: Option<Timestamp>,
}

/// A connected creator account (contract A.12, E.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// `acct_…`.
    pub id: AccountId,
    /// Owner.
    pub team: TeamId,
    /// The creator's name, as people see it.
    pub display_name: String,
    /// The creator's user id at the platform.
    pub onlyfans_id: Option<u64>,
    /// Handle: the profile is `https://onlyfans.com/{username}`.
    pub username: Option<String>,
    /// Login mail, shown by `/api/accounts` only.
    pub email: Option<String>,
    /// Display name at the platform.
    pub name: Option<String>,
    /// Picture.
    pub avatar: Option<String>,
    /// Upstream's word.
    pub is_authenticated: bool,
    /// Upstream's word (contract A.12).
    pub authentication_progress: String,
    /// Free trials can be made: a paid page that allows them; `None` until `/me` was read.
    pub can_create_trial: Option<bool>,
    /// The newest `accounts.*` event or check that said whether links can be made now, by its own time.
    pub usable: Usable,
    /// Last change of this row.
    pub updated_at: Timestamp,
}

/// Whether links of an account can be created now, and since when we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usable {
    /// True while refilling makes sense.
    pub yes: bool,
    /// The time of the event that said so: older ones are ignored (contract D.3.6).
    pub as_of: Timestamp,
}

/// A Smart Link (contract A.5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmartLink {
    /// Upper-case ULID.
    pub id: SmartLinkId,
    /// Owner.
    pub team: TeamId,
    /// Creator account.
    pub account: AccountId,
    /// 1 to 255 characters.
    pub name: String,
    /// Kind of pool link it hands out.
    pub kind: LinkKind,
    /// One of the platform's eight durations, for free trials.
    pub trial_days: Option<u16>,
    /// Attribution window of its own; the configured one when absent. At most 30 d.
    pub window: Option<Duration>,
    /// List that every new subscriber is added to (contract B.6).
    pub user_list_id: Option<String>,
    /// Visitors go to the profile, nothing is allocated.
    pub paused: bool,
    /// Gone from lists; the edge answers 410.
    pub deleted_at: Option<Timestamp>,
    /// The shared link of the ladder, once the keeper has made it.
    pub overflow: Option<OverflowLink>,
    /// Pixels attached to it, ascending.
    pub pixels: Vec<PixelId>,
    /// Tags, in the order they were added.
    pub tags: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

impl SmartLink {
    /// The stock it draws from (decisions 33).
    #[must_use]
    pub fn stock(&self) -> StockKey {
        StockKey { account: self.account.clone(), kind: self.kind, trial_days: self.trial_days }
    }
}

/// The shared link of a Smart Link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverflowLink {
    /// The link's number at the platform.
    pub id: PoolLinkId,
    /// The address at the platform.
    pub url: String,
}

/// What the edge must know of a Smart Link to answer from memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeLink {
    /// The link.
    pub id: SmartLinkId,
    /// Owner.
    pub team: TeamId,
    /// Stock to draw from.
    pub stock: StockKey,
    /// Attribution window in force.
    pub window: Duration,
    /// Answer 410.
    pub deleted: bool,
    /// Answer the profile.
    pub paused: bool,
    /// The shared link, when there is one.
    pub overflow: Option<OverflowLink>,
    /// `https://onlyfans.com/{username}`; links of one creator share it.
    pub profile_url: Arc<str>,
}
