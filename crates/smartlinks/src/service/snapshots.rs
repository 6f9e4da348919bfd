//! What an edge of a cluster starts from while the servers are away (decisions 53), beside journal and secrets in its directory:
//! `data_dir/edge/catalog`, the Smart Links it answers for, and `data_dir/edge/links`, leased pool links that nobody has.
//! Neither has a secret in it.
//!
//! A file is replaced as a whole and synced, so it is the old one or the new one: eight bytes that name format and version,
//! the CRC-32 of the rest, the rest in postcard. What is damaged, of another version or of another cluster counts as absent.

use std::{
    fs::{self, DirBuilder},
    io::{self, ErrorKind},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sl_core::{catalog::EdgeLink, event::JournalId, ids::PoolLinkId, pack, pool::StockKey, time::Timestamp};
use sl_edge::Aside;

use crate::{clock, files};

/// The last digits are the version: raised when one of the shapes below changes.
const MAGIC: [u8; 8] = *b"slsnap01";

/// The two files of one edge: its Smart Links and its leased pool links.
#[derive(Debug, Clone)]
pub(crate) struct Snapshots {
    dir: PathBuf,
    keyspace: String,
    journal: JournalId,
}

/// The Smart Links.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Catalog {
    keyspace: String,
    /// When the Smart Links were as written here.
    pub(crate) at: Timestamp,
    pub(crate) links: Vec<EdgeLink>,
}

/// The pool links.
#[derive(Debug, Serialize, Deserialize)]
struct Links {
    keyspace: String,
    /// The journal of the process that leased them.
    journal: JournalId,
    /// Which start of the machine [`Kept::use_until`] counts from.
    boot: String,
    blocks: Vec<Kept>,
}

/// Some links of one lease.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    fence: u64,
    stock: StockKey,
    /// Running time of the machine: no clock that somebody sets says whether a lease still holds.
    use_until: Duration,
    links: Vec<(PoolLinkId, bool, String)>,
}

// === impl Snapshots ===

impl Snapshots {
    /// The files in `data_dir/edge`, of the edge with this journal.
    pub(crate) fn new(data_dir: &Path, keyspace: &str, journal: JournalId) -> Self {
        Self { dir: data_dir.join("edge"), keyspace: keyspace.to_owned(), journal }
    }

    /// Replaces the Smart Links. Blocks.
    ///
    /// # Errors
    /// The disk's; the old file is then still there.
    pub(crate) fn write_catalog(&self, links: Vec<EdgeLink>, at: Timestamp) -> io::Result<()> {
        self.write("catalog", &Catalog { keyspace: self.keyspace.clone(), at, links })
    }

    /// The Smart Links, if there are any. Blocks.
    pub(crate) fn read_catalog(&self) -> Option<Catalog> {
        self.read::<Catalog>("catalog").filter(|catalog| catalog.keyspace == self.keyspace)
    }

    /// Replaces the pool links. Blocks.
    ///
    /// # Errors
    /// The disk's; what the file says is then unknown.
    pub(crate) fn write_links(&self, aside: Vec<Aside>) -> io::Result<()> {
        let (now, running) = (Instant::now(), clock::running());
        let kept = |aside: Aside| Kept {
            fence: aside.fence,
            stock: aside.stock,
            use_until: running + aside.use_until.saturating_duration_since(now),
            links: aside.links,
        };
        // Without a name for this start of the machine nothing that is written could be used.
        let (boot, aside) = clock::boot().map_or_else(Default::default, |boot| (boot, aside));
        let (keyspace, journal) = (self.keyspace.clone(), self.journal);
        self.write("links", &Links { keyspace, journal, boot, blocks: aside.into_iter().map(kept).collect() })
    }

    /// Pool links whose leases still hold. After a new start of the machine nothing says how long it was off: none then.
    /// Blocks.
    pub(crate) fn read_links(&self) -> Vec<Aside> {
        let Some(file) = self.read::<Links>("links") else { return Vec::new() };
        if file.keyspace != self.keyspace || file.journal != self.journal || clock::boot() != Some(file.boot)
        {
            tracing::info!("leased pool links of an earlier start can't be used: they pass quarantine");
            return Vec::new();
        }
        let (now, running) = (Instant::now(), clock::running());
        let aside = |kept: Kept| {
            let left = kept.use_until.checked_sub(running).filter(|left| !left.is_zero())?;
            Some(Aside { fence: kept.fence, stock: kept.stock, use_until: now + left, links: kept.links })
        };
        file.blocks.into_iter().filter_map(aside).collect()
    }

    fn write<T: Serialize>(&self, name: &str, value: &T) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&[0; 4]);
        pack::append(value, &mut bytes).map_err(io::Error::other)?;
        let sum = crc32fast::hash(bytes.get(HEAD..).unwrap_or_default());
        if let Some(place) = bytes.get_mut(MAGIC.len()..HEAD) {
            place.copy_from_slice(&sum.to_le_bytes());
        }
        files::replace(&self.dir.join(name), &bytes)
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let path = self.dir.join(name);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::error!("{path:?} can't be read: {error}; the edge starts without it");
                return None;
            }
        };
        let value = decode(&bytes);
        if value.is_none() {
            tracing::error!("{path:?} is damaged or of another version; the edge starts without it");
        }
        value
    }
}

/// Bytes before the rest.
const HEAD: usize = MAGIC.len() + 4;

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (head, body) = bytes.split_at_checked(HEAD)?;
    let sum = head.strip_prefix(&MAGIC)?;
    (sum == crc32fast::hash(body).to_le_bytes()).then(|| postcard::from_bytes(body).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use sl_core::ids::{LinkKind, SmartLinkId, TeamId};

    use super::*;

    fn stock() -> StockKey {
        StockKey { account: "acct_1".into(), kind: LinkKind::TrackingLink, trial_days: None }
    }

    fn link() -> EdgeLink {
        EdgeLink {
            id: SmartLinkId::from_bytes([7; 16]),
            team: TeamId(1),
            stock: stock(),
            window: Duration::from_secs(21_600),
            deleted: false,
            paused: true,
            overflow: None,
            profile_url: "https://onlyfans.com/nova".into(),
        }
    }

    fn aside(use_until: Instant) -> Aside {
        let links = vec![("c9".parse().unwrap(), true, "https://onlyfans.com/nova/c9".to_owned())];
        Aside { fence: 5, stock: stock(), use_until, links }
    }

    #[test]
    fn what_is_written_is_read_by_the_same_edge_of_the_same_cluster() {
        let dir = tempfile::tempdir().unwrap();
        let own = Snapshots::new(dir.path(), "smartlinks", JournalId(1));
        assert!(own.read_catalog().is_none() && own.read_links().is_empty(), "a first start");
        own.write_catalog(vec![link()], Timestamp(9)).unwrap();
        own.write_links(vec![aside(Instant::now() + Duration::from_secs(600))]).unwrap();
        let catalog = own.read_catalog().unwrap();
        assert_eq!((catalog.at, catalog.links), (Timestamp(9), vec![link()]));
        let kept = own.read_links();
        assert_eq!((kept.len(), kept[0].fence, &kept[0].links), (1, 5, &aside(Instant::now()).links));
        let left = kept[0].use_until - Instant::now();
        assert!(left > Duration::from_secs(400) && left <= Duration::from_secs(601), "{left:?}");

        let elsewhere = Snapshots::new(dir.path(), "other", JournalId(1));
        assert!(elsewhere.read_catalog().is_none() && elsewhere.read_links().is_empty());
        let another = Snapshots::new(dir.path(), "smartlinks", JournalId(2));
        assert!(another.read_links().is_empty(), "its leases are another journal's");
    }

    #[test]
    fn a_lease_that_is_over_gives_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let own = Snapshots::new(dir.path(), "smartlinks", JournalId(1));
        own.write_links(vec![aside(Instant::now())]).unwrap();
        assert!(own.read_links().is_empty());
    }

    #[test]
    fn any_damage_means_none() {
        let dir = tempfile::tempdir().unwrap();
        let own = Snapshots::new(dir.path(), "smartlinks", JournalId(1));
        own.write_catalog(vec![link()], Timestamp(9)).unwrap();
        let whole = fs::read(dir.path().join("edge/catalog")).unwrap();
        assert!(decode::<Catalog>(&whole).is_some());
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            assert!(decode::<Catalog>(&bytes).is_none(), "a flipped bit at {at}");
            assert!(decode::<Catalog>(&whole[..at]).is_none(), "torn at {at}");
        }
    }
}
