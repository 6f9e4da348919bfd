//! What people configure: teams, keys, accounts, Smart Links, pixels, postbacks.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    conversion::ConversionKind,
    delivery::{DeliveryKind, EventName},
    ids::{AccountId, ApiKeyId, LinkKind, PixelId, PoolLinkId, PostbackId, SmartLinkId, TeamId},
    pool::StockKey,
    time::Timestamp,
};

/// Owner of everything else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Team {
    /// The first is 1.
    pub id: TeamId,
    /// As shown.
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
    /// Whose data it opens.
    pub team: TeamId,
    /// As shown by whoami.
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
    /// As shown.
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
    /// Its number at the platform.
    pub id: PoolLinkId,
    /// Where it leads.
    pub url: String,
}

/// What the edge must know of a Smart Link to answer from memory.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// `https://onlyfans.com/{username}`.
    pub profile_url: String,
}

/// The ad platforms of contract G.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlatformKind {
    /// Meta Conversions API.
    Meta,
    /// TikTok Events API.
    Tiktok,
    /// Snapchat Conversions API.
    Snapchat,
    /// CreatorTraffic.
    Creatortraffic,
}

impl PlatformKind {
    /// In the order of contract G.1.
    pub const ALL: [Self; 4] = [Self::Meta, Self::Tiktok, Self::Snapchat, Self::Creatortraffic];

    /// The wire word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Tiktok => "tiktok",
            Self::Snapchat => "snapchat",
            Self::Creatortraffic => "creatortraffic",
        }
    }

    /// Reads the wire word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// A connected pixel (contract A.8): a team object attached to one or more links.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pixel {
    /// Our number.
    pub id: PixelId,
    /// Owner.
    pub team: TeamId,
    /// Whose pixel.
    pub platform: PlatformKind,
    /// The platform's id; empty for CreatorTraffic.
    pub pixel_id: String,
    /// The token, sealed ([`crate::seal`]).
    pub sealed_token: Vec<u8>,
    /// As shown.
    pub label: Option<String>,
    /// Overrides the click URL.
    pub event_source_url: Option<String>,
    /// What is sent under which name.
    pub events: EventMap,
    /// Gross or net amounts (decisions 39).
    pub value_basis: ValueBasis,
    /// Platform's limited-use switch (decisions 39).
    pub limited_data_use: bool,
    /// Overrides the configured API version (decisions 39).
    pub api_version: Option<String>,
    /// What names the person to the platform.
    pub external_id_source: ExternalIdSource,
    /// When it was made.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

/// Which amount a platform is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueBasis {
    /// What the fan paid.
    #[default]
    Gross,
    /// After the platform's fee.
    Net,
}

/// Where a pixel's `external_id` comes from (ad-platforms 13.1). It must name a person: an id that visitors share makes one
/// person of them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExternalIdSource {
    /// What the buyer put on the address (contract G.3).
    #[default]
    Ecid,
    /// The visitor's first-party cookie.
    Visitor,
    /// The click.
    ClickId,
    /// None is sent.
    None,
}

impl ExternalIdSource {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ecid, Self::Visitor, Self::ClickId, Self::None];

    /// The wire word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ecid => "ecid",
            Self::Visitor => "visitor",
            Self::ClickId => "click_id",
            Self::None => "none",
        }
    }
}

/// The seven event fields of a pixel (contract A.8.1): a platform event name, or `None` for off.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the field names are the wire names of contract A.8.1")]
pub struct EventMap {
    pub event_click: Option<EventName>,
    pub event_new_subscriber: Option<EventName>,
    pub event_first_transaction: Option<EventName>,
    pub event_new_transaction: Option<EventName>,
    pub event_message_received_from_fan: Option<EventName>,
    pub event_fan_sent_1_message: Option<EventName>,
    pub event_fan_sent_3_messages: Option<EventName>,
}

// === impl EventMap ===

impl EventMap {
    /// What a new pixel sends unless told otherwise (contract G.2).
    #[must_use]
    pub fn usual(platform: PlatformKind) -> Self {
        let name = |name: &str| Some(EventName(name.to_owned()));
        // CreatorTraffic has no mapping: new subscribers only, and this says so in the same words.
        let [click, subscriber, purchase, third] = match platform {
            PlatformKind::Meta => ["ViewContent", "Subscribe", "Purchase", "Lead"].map(name),
            PlatformKind::Tiktok => [name("ViewContent"), name("Subscribe"), name("CompletePayment"), None],
            PlatformKind::Snapchat => ["VIEW_CONTENT", "SIGN_UP", "PURCHASE", "LEVEL_COMPLETE"].map(name),
            PlatformKind::Creatortraffic => [None, name("new_subscriber"), None, None],
        };
        Self {
            event_click: click,
            event_new_subscriber: subscriber,
            event_first_transaction: purchase.clone(),
            event_new_transaction: purchase,
            event_fan_sent_3_messages: third,
            ..Self::default()
        }
    }

    /// The name for what happened; `None` when it is switched off.
    #[must_use]
    pub fn name(&self, kind: DeliveryKind) -> Option<&str> {
        match kind {
            DeliveryKind::Click => &self.event_click,
            DeliveryKind::NewSubscriber => &self.event_new_subscriber,
            DeliveryKind::FirstTransaction => &self.event_first_transaction,
            DeliveryKind::NewTransaction => &self.event_new_transaction,
            DeliveryKind::MessageReceived => &self.event_message_received_from_fan,
            DeliveryKind::FanSent1Message => &self.event_fan_sent_1_message,
            DeliveryKind::FanSent3Messages => &self.event_fan_sent_3_messages,
        }
        .as_ref()
        .map(|EventName(name)| name.as_str())
    }
}

/// A buyer's own postback (contract A.9, C).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Postback {
    /// Our number.
    pub id: PostbackId,
    /// Owner.
    pub team: TeamId,
    /// Template.
    pub url: String,
    /// GET unless chosen otherwise.
    pub method: PostbackMethod,
    /// Template of the body, for POST.
    pub body: Option<String>,
    /// Names and value templates.
    pub headers: Vec<HeaderTemplate>,
    /// Which links it hears about.
    pub scope: PostbackScope,
    /// Which conversion types it hears about, in the order they were given.
    pub conversion_types: Vec<ConversionKind>,
    /// How a receiver that always answers 200 is understood.
    pub answers: AnswerTexts,
    /// When it was made.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

/// `http_method` (contract A.9.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum PostbackMethod {
    /// The default everywhere.
    #[default]
    Get,
    /// With a body.
    Post,
}

/// `smart_link_scope` with its ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PostbackScope {
    /// Every link of the team.
    Global,
    /// The named ones.
    Links(Vec<SmartLinkId>),
}

impl PostbackScope {
    /// Whether conversions of `link` are in scope.
    #[must_use]
    pub fn covers(&self, link: SmartLinkId) -> bool {
        match self {
            Self::Global => true,
            Self::Links(links) => links.contains(&link),
        }
    }
}

/// Words by which a successful status is told from a success (ad-platforms 6): some trackers say `ERROR` with 200. Whole
/// words, in any case.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AnswerTexts {
    /// One of these means delivered; when there are any and none is found, the answer says nothing.
    pub success: Vec<String>,
    /// Without any of those, one of these means refused.
    pub failure: Vec<String>,
}

/// A header with a templated value (contract A.9.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderTemplate {
    /// RFC 7230 token, at most 100 characters; not templated.
    pub name: String,
    /// May contain variables; at most 2,000 characters.
    pub value: String,
}
