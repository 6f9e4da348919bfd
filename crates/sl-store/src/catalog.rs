//! Teams, keys, accounts, Smart Links, pixels, postbacks.

use std::sync::Arc;

use async_trait::async_trait;
use sl_core::{
    catalog::{Account, ApiKey, OverflowLink, Pixel, Postback, SmartLink, Team},
    ids::{AccountId, ApiKeyId, PixelId, PostbackId, SmartLinkId, TeamId},
    step::AccountSignal,
    time::Timestamp,
};
use tokio::sync::watch;

use crate::Result;

/// What people configure. Writes are durable when the call returns; every write to a Smart Link or account raises the
/// revision. `put_*` writes the whole row (the caller read it before; rows have one writer role, the API, except
/// where a method of its own exists below).
#[async_trait]
pub trait Catalog: Send + Sync + 'static {
    /// Makes or updates a team.
    async fn put_team(&self, team: Team) -> Result<()>;
    /// All teams, ascending.
    async fn teams(&self) -> Result<Vec<Team>>;

    /// A new public number for a key.
    async fn next_key_id(&self) -> Result<ApiKeyId>;
    /// Makes or updates a key.
    async fn put_key(&self, key: ApiKey) -> Result<()>;
    /// The key whose secret has this SHA-256, revoked or not.
    async fn key_by_hash(&self, hash: [u8; 32]) -> Result<Option<ApiKey>>;
    /// All keys of a team, ascending.
    async fn keys(&self, team: TeamId) -> Result<Vec<ApiKey>>;

    /// Makes or updates an account. `usable` of an existing row is kept: see [`Catalog::signal`].
    async fn put_account(&self, account: Account) -> Result<()>;
    /// One account of any team.
    async fn account(&self, id: &AccountId) -> Result<Option<Account>>;
    /// All accounts of a team, by id.
    async fn accounts(&self, team: TeamId) -> Result<Vec<Account>>;
    /// Takes over `usable` if `as_of` is newer than what is known; `true` if it was.
    async fn signal(&self, signal: AccountSignal) -> Result<bool>;

    /// Makes or updates a link. `overflow` of an existing row is kept: see [`Catalog::set_overflow`].
    async fn put_link(&self, link: SmartLink) -> Result<()>;
    /// One link, deleted or not, of any team.
    async fn link(&self, id: SmartLinkId) -> Result<Option<SmartLink>>;
    /// Live links of a team, newest first.
    async fn links(&self, team: TeamId) -> Result<Vec<SmartLink>>;
    /// Sets the shared link of the ladder.
    async fn set_overflow(&self, id: SmartLinkId, overflow: OverflowLink) -> Result<()>;
    /// Links (of every team, deleted ones included) and accounts written after `revision`, with the revision reached.
    /// 0 gives everything. An account in the list means: its links must be looked at again.
    async fn changes_since(&self, revision: u64) -> Result<Changes>;
    /// The current revision, and every later one.
    fn revisions(&self) -> watch::Receiver<u64>;

    /// A new number for a pixel.
    async fn next_pixel_id(&self) -> Result<PixelId>;
    /// Makes or updates a pixel.
    async fn put_pixel(&self, pixel: Pixel) -> Result<()>;
    /// One pixel of any team.
    async fn pixel(&self, id: PixelId) -> Result<Option<Pixel>>;
    /// All pixels of a team, ascending.
    async fn pixels(&self, team: TeamId) -> Result<Vec<Pixel>>;
    /// Removes one, its token included; what waits for it is parked by the worker. Links that still name it name nothing. What
    /// [`Pixel::remains`] is kept.
    async fn delete_pixel(&self, id: PixelId) -> Result<()>;
    /// What remains of a deleted pixel of any team; of one that was deleted by an earlier version nothing does.
    async fn deleted_pixel(&self, id: PixelId) -> Result<Option<Pixel>>;

    /// A new number for a postback.
    async fn next_postback_id(&self) -> Result<PostbackId>;
    /// Makes or updates a postback.
    async fn put_postback(&self, postback: Postback) -> Result<()>;
    /// One postback of any team.
    async fn postback(&self, id: PostbackId) -> Result<Option<Postback>>;
    /// All postbacks of a team, ascending.
    async fn postbacks(&self, team: TeamId) -> Result<Vec<Postback>>;
    /// Removes one; what waits for it is parked by the worker.
    async fn delete_postback(&self, id: PostbackId) -> Result<()>;

    /// Notes that a key was used.
    async fn touch_key(&self, id: ApiKeyId, at: Timestamp) -> Result<()>;
}

/// What changed in the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Links, each once, with its current row. Shared: there may be a million.
    pub links: Vec<Arc<SmartLink>>,
    /// Accounts, each once, with its current row.
    pub accounts: Vec<Account>,
    /// Ask from here next time.
    pub revision: u64,
}
