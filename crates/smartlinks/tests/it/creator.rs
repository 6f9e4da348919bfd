//! A data directory with one creator account, one Smart Link and a stock of pool links.

use std::path::Path;

use sl_core::{
    catalog::{Account, SmartLink, Team, Usable},
    ids::{LinkKind, PoolLinkId, SmartLinkId, TeamId},
    time::Timestamp,
};
use sl_fjall::FjallOptions;
use sl_store::{pool::NewPoolLink, suite::sample};

/// The Smart Link of all visits.
pub(crate) const LINK: SmartLinkId = SmartLinkId::from_bytes([7; 16]);
const TEAM: TeamId = TeamId(1);

/// Where the pool link of that number leads.
pub(crate) fn address(number: u64) -> String {
    format!("https://onlyfans.com/creator/c{number}")
}

/// Fills the store of a service that has not started yet.
pub(crate) fn prepare(dir: &Path, links: u64) {
    let handle = sl_fjall::open(dir.join("store"), FjallOptions::default()).unwrap();
    let store = handle.store();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let team =
            Team { id: TEAM, name: "Team".to_owned(), slug: "team".to_owned(), created_at: Timestamp(0) };
        store.catalog.put_team(team).await.unwrap();
        store.catalog.put_account(account()).await.unwrap();
        store.catalog.put_link(link()).await.unwrap();
        let links = (1..=links).map(|number| NewPoolLink {
            team: TEAM,
            stock: link().stock(),
            id: PoolLinkId { kind: LinkKind::TrackingLink, number },
            url: address(number),
            created_at: Timestamp(0),
        });
        assert_eq!(store.pool.add(links.collect()).await.unwrap() as u64, links_count(&store).await);
        drop(store);
        handle.close().await.unwrap();
    });
}

async fn links_count(store: &sl_store::Store) -> u64 {
    let rules = FjallOptions::default().rules;
    let levels = store.pool.levels(Timestamp(0), rules).await.unwrap();
    levels.iter().flat_map(|level| &level.counts).map(|(_, count)| count).sum()
}

fn account() -> Account {
    Account {
        display_name: "Creator".to_owned(),
        username: Some("creator".to_owned()),
        authentication_progress: "authenticated".to_owned(),
        usable: Usable { yes: true, as_of: Timestamp(0) },
        updated_at: Timestamp(0),
        ..sample::account_row("acct_1", TEAM)
    }
}

fn link() -> SmartLink {
    SmartLink {
        id: LINK,
        account: "acct_1".into(),
        name: "Ad".to_owned(),
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        ..sample::smart_link(1, TEAM)
    }
}
