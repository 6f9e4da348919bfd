//! The catalog in memory: it is small (100,000 links of 300 bytes are 30 MB), and everybody asks it all the time.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use sl_core::{
    catalog::{Account, ApiKey, Pixel, Postback, SmartLink, Team},
    ids::{AccountId, ApiKeyId, PixelId, PostbackId, SmartLinkId, TeamId},
};
use sl_store::{Result, catalog::Changes};

use super::table::Table;
use crate::db::{Db, each, scan};

/// A row with the revision of its last write.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Versioned<T> {
    pub(crate) revision: u64,
    pub(crate) row: T,
}

/// Every row of the catalog.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) teams: BTreeMap<TeamId, Team>,
    pub(crate) keys: BTreeMap<ApiKeyId, ApiKey>,
    hashes: HashMap<[u8; 32], ApiKeyId>,
    pub(crate) accounts: BTreeMap<AccountId, Versioned<Account>>,
    /// Shared with whoever follows the catalog. In the order in which they lie on disk: a million are read without a search.
    links: BTreeMap<SmartLinkId, Versioned<Arc<SmartLink>>>,
    pub(crate) pixels: BTreeMap<PixelId, Pixel>,
    pub(crate) postbacks: BTreeMap<PostbackId, Postback>,
    /// Revision → what was last written with it, since the store was opened.
    log: BTreeMap<u64, Changed>,
    /// The newest revision of before: who is behind it reads every row.
    opened_at: u64,
    pub(crate) revision: u64,
}

#[derive(Debug, Clone)]
enum Changed {
    Link(SmartLinkId),
    Account(AccountId),
}

// === impl Rows ===

impl Rows {
    pub(crate) fn load(db: &Db) -> Result<Self> {
        let snapshot = db.snapshot();
        let mut rows = Self::default();
        for team in scan::<Team>(&snapshot, &db.catalog, &Table::Team.all())? {
            rows.teams.insert(team.id, team);
        }
        for key in scan::<ApiKey>(&snapshot, &db.catalog, &Table::ApiKey.all())? {
            rows.set_key(key);
        }
        for account in scan::<Versioned<Account>>(&snapshot, &db.catalog, &Table::Account.all())? {
            rows.set_account(account);
        }
        let all = Table::Link.all();
        let links = each::<Versioned<SmartLink>>(&snapshot, &db.catalog, &all);
        let links = links.map(|link| link.map(|link| rows.link_row(link)));
        rows.links = links.collect::<Result<_>>()?;
        let newest = rows.links.values().map(|link| link.revision).max();
        rows.revision = rows.revision.max(newest.unwrap_or(0));
        rows.log.clear();
        rows.opened_at = rows.revision;
        for pixel in scan::<Pixel>(&snapshot, &db.catalog, &Table::Pixel.all())? {
            rows.pixels.insert(pixel.id, pixel);
        }
        for postback in scan::<Postback>(&snapshot, &db.catalog, &Table::Postback.all())? {
            rows.postbacks.insert(postback.id, postback);
        }
        Ok(rows)
    }

    pub(crate) fn set_key(&mut self, key: ApiKey) {
        let hash = key.hash;
        if let Some(old) = self.keys.insert(key.id, key.clone())
            && old.hash != hash
        {
            self.hashes.remove(&old.hash);
        }
        self.hashes.insert(hash, key.id);
    }

    pub(crate) fn key_by_hash(&self, hash: &[u8; 32]) -> Option<ApiKey> {
        self.hashes.get(hash).and_then(|id| self.keys.get(id)).cloned()
    }

    pub(crate) fn set_account(&mut self, account: Versioned<Account>) {
        let (id, revision) = (account.row.id.clone(), account.revision);
        let old = self.accounts.insert(id.clone(), account);
        self.log_change(old.map(|old| old.revision), revision, Changed::Account(id));
    }

    pub(crate) fn link(&self, id: SmartLinkId) -> Option<&SmartLink> {
        self.links.get(&id).map(|link| &*link.row)
    }

    /// Of every team, deleted ones too.
    pub(crate) fn every_link(&self) -> impl Iterator<Item = &SmartLink> {
        self.links.values().map(|link| &*link.row)
    }

    pub(crate) fn set_link(&mut self, link: Versioned<SmartLink>) {
        let (id, link) = self.link_row(link);
        let new = link.revision;
        let old = self.links.insert(id, link);
        self.log_change(old.map(|old| old.revision), new, Changed::Link(id));
    }

    fn link_row(&self, link: Versioned<SmartLink>) -> (SmartLinkId, Versioned<Arc<SmartLink>>) {
        let Versioned { revision, mut row } = link;
        // Links of an account share the text of its id.
        if let Some((account, _)) = self.accounts.get_key_value(&row.account) {
            row.account = account.clone();
        }
        (row.id, Versioned { revision, row: Arc::new(row) })
    }

    fn log_change(&mut self, old: Option<u64>, new: u64, changed: Changed) {
        if let Some(old) = old {
            self.log.remove(&old);
        }
        self.log.insert(new, changed);
        self.revision = self.revision.max(new);
    }

    pub(crate) fn live_links(&self, team: TeamId) -> Vec<SmartLink> {
        let live = self.every_link().filter(|link| link.team == team && link.deleted_at.is_none());
        let mut links: Vec<SmartLink> = live.cloned().collect();
        links.sort_unstable_by_key(|link| std::cmp::Reverse((link.created_at, link.id)));
        links
    }

    pub(crate) fn changes_since(&self, revision: u64) -> Changes {
        let mut changes = Changes { revision: self.revision, ..Changes::default() };
        if revision < self.opened_at {
            let new = |row: u64| row > revision;
            let links = self.links.values().filter(|link| new(link.revision));
            changes.links = links.map(|link| Arc::clone(&link.row)).collect();
            let accounts = self.accounts.values().filter(|account| new(account.revision));
            changes.accounts = accounts.map(|account| account.row.clone()).collect();
            return changes;
        }
        for changed in self.log.range(revision.saturating_add(1)..).map(|(_, changed)| changed) {
            match changed {
                Changed::Link(id) => {
                    changes.links.extend(self.links.get(id).map(|link| Arc::clone(&link.row)));
                }
                Changed::Account(id) => {
                    changes.accounts.extend(self.accounts.get(id).map(|account| account.row.clone()));
                }
            }
        }
        changes
    }
}
