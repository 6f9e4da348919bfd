//! What people read: rollups for sums, raw rows for lists.

use async_trait::async_trait;
use sl_core::{
    click::ClickRow,
    conversion::{Conversion, ConversionKind, FanProfile},
    ids::{AccountId, ClickId, ConversionId, DeadLetterId, FanId, SmartLinkId, TeamId},
    step::{DeadLetter, Dimension, FanDay, FanUnderLink, LinkTotals, Rollup},
    time::Timestamp,
};

use crate::Result;

/// Half-open range of time; `None` is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Range {
    /// Included.
    pub from: Option<Timestamp>,
    /// Excluded.
    pub to: Option<Timestamp>,
}

impl Range {
    /// Whether `at` is inside.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| at >= from) && self.to.is_none_or(|to| at < to)
    }
}

/// Reading side of everything attribution writes.
#[async_trait]
pub trait Reports: Send + Sync + 'static {
    /// Lifetime totals, in the order asked for; zero for a link nothing happened to.
    async fn totals(&self, links: &[SmartLinkId]) -> Result<Vec<LinkTotals>>;

    /// Rollups of a link by hour, ascending, exact also where the range cuts an hour (decisions 57: that hour's raw rows
    /// are counted).
    async fn hours(&self, link: SmartLinkId, range: Range) -> Result<Vec<(Timestamp, Rollup)>>;

    /// Clicks of a link by the values of one dimension, the largest first, then by value. Days are whole, as in
    /// [`Reports::fan_days`]. Attribution caps the values of a day, so there are at most 1,001 per day of the range
    /// (decisions 52).
    async fn dimensions(
        &self,
        link: SmartLinkId,
        dimension: Dimension,
        range: Range,
    ) -> Result<Vec<DimensionSum>>;

    /// Money per fan and day of a link, by day. Days are whole: a day is in when its start is.
    async fn fan_days(&self, link: SmartLinkId, range: Range) -> Result<Vec<FanDay>>;

    /// Click rows of a link, newest first.
    async fn clicks(&self, link: SmartLinkId, filter: ClickFilter) -> Result<Vec<ClickRow>>;

    /// Conversions of a link, newest first.
    async fn conversions(&self, link: SmartLinkId, filter: ConversionFilter) -> Result<Vec<Conversion>>;

    /// Fans listed under a link, in no particular order.
    async fn fans(&self, link: SmartLinkId) -> Result<Vec<FanUnderLink>>;

    /// One click of a team.
    async fn click(&self, team: TeamId, id: ClickId) -> Result<Option<ClickRow>>;

    /// One conversion of a team.
    async fn conversion(&self, team: TeamId, id: ConversionId) -> Result<Option<Conversion>>;

    /// Conversions credited to a click, by time.
    async fn conversions_of_click(&self, team: TeamId, click: ClickId) -> Result<Vec<Conversion>>;

    /// What is known of a fan.
    async fn fan(&self, account: &AccountId, fan: &FanId) -> Result<Option<FanProfile>>;

    /// Dead letters of a team, newest first, behind the place of `after`: that one may have left the list, as all of a
    /// page do when they are retried.
    async fn dead_letters(
        &self,
        team: TeamId,
        limit: usize,
        after: Option<DeadLetterId>,
    ) -> Result<Vec<DeadLetter>>;

    /// One dead letter of a team.
    async fn dead_letter(&self, team: TeamId, id: DeadLetterId) -> Result<Option<DeadLetter>>;

    /// How many dead letters there are, of all teams.
    async fn dead_letter_count(&self) -> Result<u64>;
}

/// One value of a dimension over a range of days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DimensionSum {
    /// The value as in the click rows, or `(other)`.
    pub value: String,
    /// People's clicks: no bots, no duplicates.
    pub clicks: u64,
}

/// Which click rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClickFilter {
    /// When.
    pub range: Range,
    /// Whether rows of bots are wanted, too.
    pub bots: bool,
    /// Whether duplicates are wanted, too.
    pub duplicates: bool,
    /// Most rows to return.
    pub limit: usize,
    /// Leave out that many first.
    pub offset: usize,
}

impl ClickFilter {
    /// Every row of a range.
    #[must_use]
    pub const fn all(range: Range) -> Self {
        Self { range, bots: true, duplicates: true, limit: usize::MAX, offset: 0 }
    }
}

/// Which conversions. The flags speak of the click behind it; a conversion without a click passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversionFilter {
    /// When.
    pub range: Range,
    /// Also those of bot clicks.
    pub bots: bool,
    /// Also those of duplicate clicks.
    pub duplicates: bool,
    /// Only this type.
    pub kind: Option<ConversionKind>,
    /// Only this fan.
    pub fan: Option<FanId>,
    /// Most rows to return; `usize::MAX` for sums.
    pub limit: usize,
    /// Leave out that many first.
    pub offset: usize,
}

impl ConversionFilter {
    /// Every one of a range.
    #[must_use]
    pub const fn all(range: Range) -> Self {
        Self { range, bots: true, duplicates: true, kind: None, fan: None, limit: usize::MAX, offset: 0 }
    }
}
