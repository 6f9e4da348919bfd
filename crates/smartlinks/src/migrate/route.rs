//! What belongs where: memory to the partition of its account, tokens under the cluster's key.

use std::collections::HashMap;

use sl_core::{
    attribution::{self, Key, Owner},
    ids::{AccountId, SmartLinkId},
    seal::{PIXEL_TOKEN, SealKeys},
};
use sl_store::{
    StoreError,
    moving::{Kind, Piece, Rows},
};

use super::source::Opened;
use crate::{config::Config, failure::Failure, secrets};

/// Knows whose everything is.
pub(super) struct Router {
    partitions: u32,
    digests: HashMap<[u8; 8], AccountId>,
    links: HashMap<SmartLinkId, AccountId>,
    /// Keys that open the embedded store's tokens.
    pub(super) old: SealKeys,
    /// Keys that every machine of the cluster has, for sealing them anew.
    pub(super) new: SealKeys,
}

impl Router {
    /// Learns the accounts of everything.
    pub(super) async fn new(config: &Config, source: &Opened, partitions: u32) -> Result<Self, Failure> {
        let catalog = source.store.catalog.changes_since(0).await.map_err(Failure::run)?;
        let links: HashMap<_, _> = catalog.links.iter().map(|link| (link.id, link.account.clone())).collect();
        let mut accounts: Vec<_> = catalog.accounts.into_iter().map(|account| account.id).collect();
        accounts.extend(links.values().cloned());
        let stocks = source.rows.page(Kind::Stocks, None, usize::MAX).await.map_err(Failure::run)?;
        if let Rows::Stocks(stocks) = stocks.rows {
            accounts.extend(stocks.into_iter().map(|stock| stock.key.account));
        }
        let digests = accounts.into_iter().map(|account| (account.digest(), account)).collect();
        let (old, new) = secrets::seals(&config.data_dir, &config.secrets)?;
        Ok(Self { partitions, digests, links, old, new })
    }

    /// Rows as the cluster has them.
    ///
    /// # Errors
    /// `Damaged` when a piece of memory is nobody's.
    pub(super) fn route(&self, rows: Rows) -> Result<Rows, StoreError> {
        match rows {
            Rows::Memory(pieces) => {
                let mut routed = Vec::with_capacity(pieces.len());
                for piece in pieces {
                    self.piece(piece, &mut routed)?;
                }
                Ok(Rows::Memory(routed))
            }
            Rows::Pixels(mut pixels) => {
                for pixel in &mut pixels {
                    // What opens with neither stays as it is: it opened nowhere before, either.
                    if self.new.open(PIXEL_TOKEN, &pixel.sealed_token).is_err()
                        && let Ok(token) = self.old.open(PIXEL_TOKEN, &pixel.sealed_token)
                    {
                        pixel.sealed_token = self.new.seal(PIXEL_TOKEN, &token, rand::random());
                    }
                }
                Ok(Rows::Pixels(pixels))
            }
            rows => Ok(rows),
        }
    }

    fn piece(&self, piece: Piece, routed: &mut Vec<Piece>) -> Result<(), StoreError> {
        let bad = |error: attribution::BadRecord| StoreError::Damaged(error.to_string());
        let account = match attribution::owner(&piece.key).map_err(bad)? {
            Owner::Everybody => {
                let of = |account: &AccountId| self.partition(account);
                for (partition, value) in attribution::share_out(&piece.value, of).map_err(bad)? {
                    routed.push(Piece { partition, key: Key::Due.to_state_key(), value });
                }
                return Ok(());
            }
            Owner::Account(account) => Some(account),
            Owner::Digest(digest) => self.digests.get(&digest).cloned(),
            Owner::Link(link) => self.links.get(&link).cloned(),
        };
        let account = account.ok_or_else(|| {
            let owner = attribution::owner(&piece.key);
            StoreError::Damaged(format!("a piece of memory belongs to nobody in the catalog: {owner:?}"))
        })?;
        routed.push(Piece { partition: self.partition(&account), ..piece });
        Ok(())
    }

    /// Stream partitions of the cluster.
    pub(super) fn partitions(&self) -> u32 {
        self.partitions
    }

    fn partition(&self, account: &AccountId) -> u32 {
        sl_kafka::partition::of_account(account, self.partitions)
    }
}
