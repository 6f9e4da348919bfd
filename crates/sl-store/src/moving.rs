//! A whole store read out row by row, and rows written into another: how an embedded store becomes a cluster's.
//!
//! The seams of the service ask for what a role needs; here it is everything there is, kind by kind, as absolute values.
//! What a store can make again from these rows (indexes, counts) is in none of them.

use async_trait::async_trait;
use sl_core::{
    applied::Applied,
    breaker::Resting,
    catalog::{Account, ApiKey, Pixel, Postback, SmartLink, Team},
    click::ClickRow,
    conversion::{Conversion, FanProfile},
    delivery::{Attempt, Delivery, Destination, RenderedRequest},
    event::Position,
    ids::{AccountId, FanId, PoolLinkId, SmartLinkId},
    pool::{Given, StockKey},
    replay::Trail,
    step::{
        DeadLetter, DimensionKey, DimensionRollup, FanDay, FanUnderLink, LinkTotals, ListAdd, Rollup,
        RollupKey, StateBytes, StateKey, Unmatched,
    },
};

use crate::{Result, pool::PoolEntry};

/// Kinds of rows, in the order in which they are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is the rows of that name in `Rows`")]
pub enum Kind {
    Teams,
    Keys,
    Accounts,
    Links,
    Pixels,
    Postbacks,
    PoolLinks,
    Holders,
    Stocks,
    Clicks,
    Conversions,
    Fans,
    Profiles,
    Hours,
    Dimensions,
    FanDays,
    Totals,
    DeadLetters,
    Unmatched,
    ListAdds,
    Deliveries,
    Rests,
    Trails,
    Memory,
}

impl Kind {
    /// In the order in which they are moved: what others refer to comes first.
    pub const ALL: [Self; 24] = [
        Self::Teams,
        Self::Keys,
        Self::Accounts,
        Self::Links,
        Self::Pixels,
        Self::Postbacks,
        Self::PoolLinks,
        Self::Holders,
        Self::Stocks,
        Self::Clicks,
        Self::Conversions,
        Self::Fans,
        Self::Profiles,
        Self::Hours,
        Self::Dimensions,
        Self::FanDays,
        Self::Totals,
        Self::DeadLetters,
        Self::Unmatched,
        Self::ListAdds,
        Self::Deliveries,
        Self::Rests,
        Self::Trails,
        Self::Memory,
    ];

    /// For people, and as the name under which progress is kept: never changed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Teams => "teams",
            Self::Keys => "api keys",
            Self::Accounts => "accounts",
            Self::Links => "smart links",
            Self::Pixels => "pixels",
            Self::Postbacks => "postbacks",
            Self::PoolLinks => "pool links",
            Self::Holders => "holders of pool links",
            Self::Stocks => "stocks",
            Self::Clicks => "clicks",
            Self::Conversions => "conversions",
            Self::Fans => "fans under links",
            Self::Profiles => "profiles of fans",
            Self::Hours => "hourly sums",
            Self::Dimensions => "sums by dimension",
            Self::FanDays => "daily sums of fans",
            Self::Totals => "totals of links",
            Self::DeadLetters => "dead letters",
            Self::Unmatched => "subscribers to be found",
            Self::ListAdds => "fans to be listed",
            Self::Deliveries => "deliveries",
            Self::Rests => "resting destinations",
            Self::Trails => "replays",
            Self::Memory => "pieces of memory",
        }
    }
}

/// A piece of attribution's memory, and the partition it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Stream partition.
    pub partition: u32,
    /// Name of the piece.
    pub key: StateKey,
    /// Bytes of the piece.
    pub value: StateBytes,
}

/// Who holds a pool link, whether the link itself is known or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Account of the link.
    pub account: AccountId,
    /// The link.
    pub link: PoolLinkId,
    /// Who holds it and since when.
    pub given: Given,
    /// How many visitors have had it, this one included.
    pub handouts: u32,
}

/// A stock of pool links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stock {
    /// Account, kind and trial days.
    pub key: StockKey,
    /// How many ordinals were given.
    pub links: u64,
    /// No link with a lower ordinal is fresh.
    pub fresh_from: u64,
}

/// A delivery with all that was ever written about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WholeDelivery {
    /// What is told to whom, and how far that has come.
    pub delivery: Delivery,
    /// A worker or a replay has written its progress; otherwise that is the job's own.
    pub is_touched: bool,
    /// Its last attempts, 50 at most, oldest first.
    pub attempts: Vec<Attempt>,
    /// The request as it is sent on every attempt.
    pub body: Option<RenderedRequest>,
}

/// Rows of one kind.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the types say it")]
pub enum Rows {
    Teams(Vec<Team>),
    /// API keys, revoked ones included.
    Keys(Vec<ApiKey>),
    Accounts(Vec<Account>),
    /// Smart Links, deleted ones included.
    Links(Vec<SmartLink>),
    /// Pixels, with their tokens sealed.
    Pixels(Vec<Pixel>),
    Postbacks(Vec<Postback>),
    /// Pool links without holder, lease and rounds: [`Rows::Holders`] tells of those.
    PoolLinks(Vec<PoolEntry>),
    Holders(Vec<Holder>),
    /// Stocks, which come behind their links.
    Stocks(Vec<Stock>),
    /// Click rows, with what later steps said of them.
    Clicks(Vec<ClickRow>),
    Conversions(Vec<Conversion>),
    Fans(Vec<FanUnderLink>),
    Profiles(Vec<(AccountId, FanId, FanProfile)>),
    Hours(Vec<(RollupKey, Rollup)>),
    Dimensions(Vec<(DimensionKey, DimensionRollup)>),
    FanDays(Vec<FanDay>),
    Totals(Vec<(SmartLinkId, LinkTotals)>),
    DeadLetters(Vec<DeadLetter>),
    Unmatched(Vec<Unmatched>),
    ListAdds(Vec<ListAdd>),
    Deliveries(Vec<WholeDelivery>),
    Rests(Vec<(Destination, Resting)>),
    Trails(Vec<Trail>),
    Memory(Vec<Piece>),
}

/// Does the same with the rows, whatever their kind.
macro_rules! each_kind {
    ($rows:expr, $of:ident => $with:expr) => {
        match $rows {
            Rows::Teams($of) => $with,
            Rows::Keys($of) => $with,
            Rows::Accounts($of) => $with,
            Rows::Links($of) => $with,
            Rows::Pixels($of) => $with,
            Rows::Postbacks($of) => $with,
            Rows::PoolLinks($of) => $with,
            Rows::Holders($of) => $with,
            Rows::Stocks($of) => $with,
            Rows::Clicks($of) => $with,
            Rows::Conversions($of) => $with,
            Rows::Fans($of) => $with,
            Rows::Profiles($of) => $with,
            Rows::Hours($of) => $with,
            Rows::Dimensions($of) => $with,
            Rows::FanDays($of) => $with,
            Rows::Totals($of) => $with,
            Rows::DeadLetters($of) => $with,
            Rows::Unmatched($of) => $with,
            Rows::ListAdds($of) => $with,
            Rows::Deliveries($of) => $with,
            Rows::Rests($of) => $with,
            Rows::Trails($of) => $with,
            Rows::Memory($of) => $with,
        }
    };
}

impl Rows {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        each_kind!(self, rows => rows.len())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Some rows, in the store's own order.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// May be none although more follow.
    pub rows: Rows,
    /// Ask behind this next time; `None` when there is no more.
    pub next: Option<Vec<u8>>,
}

/// Where a store stands as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreStanding {
    /// What attribution has applied of the stream.
    pub position: Position,
    /// What is applied of each journal (decisions 47).
    pub applied: Applied,
    /// Blocks of pool links that are out: none after an orderly stop.
    pub blocks: usize,
    /// How many dead letters there are.
    pub dead_letters: u64,
    /// The last numbers that were given.
    pub numbers: Numbers,
}

/// Numbers that must not be given again, also when what had them is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names say whose")]
pub struct Numbers {
    pub keys: u64,
    pub pixels: u64,
    pub postbacks: u64,
}

/// A store that is read out. Nobody writes to it meanwhile.
#[async_trait]
pub trait Source: Send + Sync {
    /// Where the store stands as a whole.
    async fn standing(&self) -> Result<StoreStanding>;

    /// About `limit` rows of a kind behind `after`, from the beginning without.
    async fn page(&self, kind: Kind, after: Option<Vec<u8>>, limit: usize) -> Result<Page>;
}

/// A store that is filled. Nobody else writes to it meanwhile.
#[async_trait]
pub trait Target: Send + Sync {
    /// Writes rows, as they lie where the service writes them; returns when all are acknowledged. The same rows may come
    /// again, from this process or the next.
    async fn put(&self, rows: Rows) -> Result<()>;

    /// What makes the store whole once all rows are there: numbers go on behind `standing.numbers`, and attribution of
    /// each of `partitions` begins before the first record of its stream, with these sequences applied.
    async fn finish(&self, standing: &StoreStanding, partitions: u32) -> Result<()>;
}
