//! Seams that are not built yet: every call says so.

#![expect(unused_variables, reason = "stands in until each seam has its own file")]

use async_trait::async_trait;
use sl_core::{
    catalog::{Account, ApiKey, OverflowLink, Pixel, Postback, SmartLink, Team},
    delivery::{Attempt, Delivery, Destination, Progress, RenderedRequest},
    ids::{AccountId, ApiKeyId, ClickId, DeliveryId, FanId, PixelId, PostbackId, SmartLinkId, TeamId},
    pool::PoolLink,
    step::{AccountSignal, ListAdd, Unmatched},
    time::Timestamp,
};
use sl_store::{
    Catalog, Outbox, Pool, Result, StoreError, Upkeep,
    catalog::Changes,
    outbox::{Counts, DeliveryFilter, Renewal},
    pool::{Block, LeaseRequest, Level, Look, NewPoolLink, PoolEntry, PoolLinkRef, PoolRules},
    upkeep::{Forgotten, Horizons},
};
use tokio::sync::watch;

/// Stands in for catalog, pool, outbox and upkeep.
pub(crate) struct Pending;

fn pending<T>() -> Result<T> {
    Err(StoreError::Unavailable("not built yet".to_owned()))
}

#[async_trait]
impl Catalog for Pending {
    async fn put_team(&self, team: Team) -> Result<()> {
        pending()
    }
    async fn teams(&self) -> Result<Vec<Team>> {
        pending()
    }
    async fn next_key_id(&self) -> Result<ApiKeyId> {
        pending()
    }
    async fn put_key(&self, key: ApiKey) -> Result<()> {
        pending()
    }
    async fn key_by_hash(&self, hash: [u8; 32]) -> Result<Option<ApiKey>> {
        pending()
    }
    async fn keys(&self, team: TeamId) -> Result<Vec<ApiKey>> {
        pending()
    }
    async fn put_account(&self, account: Account) -> Result<()> {
        pending()
    }
    async fn account(&self, id: &AccountId) -> Result<Option<Account>> {
        pending()
    }
    async fn accounts(&self, team: TeamId) -> Result<Vec<Account>> {
        pending()
    }
    async fn signal(&self, signal: AccountSignal) -> Result<bool> {
        pending()
    }
    async fn put_link(&self, link: SmartLink) -> Result<()> {
        pending()
    }
    async fn link(&self, id: SmartLinkId) -> Result<Option<SmartLink>> {
        pending()
    }
    async fn links(&self, team: TeamId) -> Result<Vec<SmartLink>> {
        pending()
    }
    async fn set_overflow(&self, id: SmartLinkId, overflow: OverflowLink) -> Result<()> {
        pending()
    }
    async fn changes_since(&self, revision: u64) -> Result<Changes> {
        pending()
    }
    fn revisions(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }
    async fn next_pixel_id(&self) -> Result<PixelId> {
        pending()
    }
    async fn put_pixel(&self, pixel: Pixel) -> Result<()> {
        pending()
    }
    async fn pixel(&self, id: PixelId) -> Result<Option<Pixel>> {
        pending()
    }
    async fn pixels(&self, team: TeamId) -> Result<Vec<Pixel>> {
        pending()
    }
    async fn next_postback_id(&self) -> Result<PostbackId> {
        pending()
    }
    async fn put_postback(&self, postback: Postback) -> Result<()> {
        pending()
    }
    async fn postback(&self, id: PostbackId) -> Result<Option<Postback>> {
        pending()
    }
    async fn postbacks(&self, team: TeamId) -> Result<Vec<Postback>> {
        pending()
    }
    async fn delete_postback(&self, id: PostbackId) -> Result<()> {
        pending()
    }
    async fn touch_key(&self, id: ApiKeyId, at: Timestamp) -> Result<()> {
        pending()
    }
}

#[async_trait]
impl Pool for Pending {
    async fn add(&self, links: Vec<NewPoolLink>) -> Result<usize> {
        pending()
    }
    async fn retire(&self, links: Vec<PoolLinkRef>, at: Timestamp) -> Result<()> {
        pending()
    }
    async fn levels(&self, now: Timestamp, rules: PoolRules) -> Result<Vec<Level>> {
        pending()
    }
    async fn lease(&self, request: LeaseRequest) -> Result<Block> {
        pending()
    }
    fn stocked(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }
    async fn renew(&self, fence: u64, until: Timestamp) -> Result<bool> {
        pending()
    }
    async fn give_back(&self, fence: u64, unused: Vec<PoolLinkRef>) -> Result<()> {
        pending()
    }
    async fn blocks(&self) -> Result<Vec<Block>> {
        pending()
    }
    async fn orphan(&self, fence: u64, at: Timestamp) -> Result<()> {
        pending()
    }
    async fn held(&self, account: &AccountId) -> Result<Vec<PoolLink>> {
        pending()
    }
    async fn live(&self, account: &AccountId) -> Result<Vec<PoolEntry>> {
        pending()
    }
    async fn get(&self, link: PoolLinkRef) -> Result<Option<PoolEntry>> {
        pending()
    }
    async fn looked(&self, looks: Vec<Look>) -> Result<()> {
        pending()
    }
    async fn unmatched(&self) -> Result<Vec<Unmatched>> {
        pending()
    }
    async fn give_up(&self, account: &AccountId, fan: &FanId) -> Result<()> {
        pending()
    }
    async fn list_adds(&self, limit: usize) -> Result<Vec<ListAdd>> {
        pending()
    }
    async fn list_added(&self, done: Vec<ListAdd>) -> Result<()> {
        pending()
    }
}

#[async_trait]
impl Outbox for Pending {
    async fn due_destinations(&self, now: Timestamp) -> Result<Vec<(Destination, Timestamp)>> {
        pending()
    }
    async fn due(&self, destination: Destination, now: Timestamp, limit: usize) -> Result<Vec<Delivery>> {
        pending()
    }
    async fn next_due(&self) -> Result<Option<Timestamp>> {
        pending()
    }
    async fn store_body(&self, id: DeliveryId, request: RenderedRequest) -> Result<RenderedRequest> {
        pending()
    }
    async fn body(&self, id: DeliveryId) -> Result<Option<RenderedRequest>> {
        pending()
    }
    async fn advance(
        &self,
        id: DeliveryId,
        from: &Progress,
        attempt: Option<Attempt>,
        to: Progress,
    ) -> Result<bool> {
        pending()
    }
    async fn renew(&self, renewals: Vec<Renewal>) -> Result<usize> {
        pending()
    }
    async fn first_of_fan(
        &self,
        destination: Destination,
        account: &AccountId,
        fan: &FanId,
    ) -> Result<Option<(DeliveryId, Timestamp)>> {
        pending()
    }
    async fn delivery(&self, team: TeamId, id: DeliveryId) -> Result<Option<Delivery>> {
        pending()
    }
    async fn attempts(&self, id: DeliveryId) -> Result<Vec<Attempt>> {
        pending()
    }
    async fn list(&self, team: TeamId, filter: DeliveryFilter) -> Result<Vec<Delivery>> {
        pending()
    }
    async fn of_click(&self, team: TeamId, click: ClickId) -> Result<Vec<Delivery>> {
        pending()
    }
    async fn counts(&self, now: Timestamp) -> Result<Counts> {
        pending()
    }
    async fn latest(&self, destination: Destination) -> Result<Option<(Delivery, RenderedRequest)>> {
        pending()
    }
}

#[async_trait]
impl Upkeep for Pending {
    async fn forget(&self, horizons: Horizons, limit: usize) -> Result<Forgotten> {
        pending()
    }
}
