//! What people configure.

use std::{collections::BTreeSet, sync::Arc};

use sl_core::{
    catalog::{OverflowLink, Team},
    step::AccountSignal,
};

use super::{
    Backend,
    sample::{self, HOUR, STRANGER, TEAM, account, account_row, after, link_id, smart_link},
};
use crate::StoreError;

fn team(id: sl_core::ids::TeamId) -> Team {
    Team { id, name: format!("Team {id}"), slug: format!("team-{id}"), created_at: HOUR }
}

/// Every row is there after a restart, by team and in order.
pub async fn rows_survive_a_restart(backend: &dyn Backend) {
    let store = backend.open().await;
    let catalog = &store.catalog;
    for id in [STRANGER, TEAM] {
        catalog.put_team(team(id)).await.unwrap();
    }
    for (number, owner) in [(2, TEAM), (1, TEAM), (3, STRANGER)] {
        catalog.put_key(sample::api_key(number, owner)).await.unwrap();
        catalog.put_link(smart_link(number.into(), owner)).await.unwrap();
        catalog.put_pixel(sample::pixel(number.into(), owner)).await.unwrap();
        catalog.put_account(account_row(&format!("acct_{number}"), owner)).await.unwrap();
    }
    catalog.touch_key(sl_core::ids::ApiKeyId(1), after(60)).await.unwrap();
    let revision = *catalog.revisions().borrow();
    drop(store);
    backend.restart().await;
    let catalog = backend.open().await.catalog;
    assert_eq!(catalog.teams().await.unwrap(), [team(TEAM), team(STRANGER)]);
    let mut touched = sample::api_key(1, TEAM);
    touched.last_used_at = Some(after(60));
    assert_eq!(catalog.keys(TEAM).await.unwrap(), [touched.clone(), sample::api_key(2, TEAM)]);
    assert_eq!(catalog.key_by_hash([1; 32]).await.unwrap(), Some(touched));
    assert_eq!(catalog.key_by_hash([9; 32]).await.unwrap(), None);
    assert_eq!(
        catalog.links(TEAM).await.unwrap(),
        [smart_link(2, TEAM), smart_link(1, TEAM)],
        "newest first"
    );
    assert_eq!(catalog.links(STRANGER).await.unwrap(), [smart_link(3, STRANGER)]);
    assert_eq!(catalog.pixels(TEAM).await.unwrap(), [sample::pixel(1, TEAM), sample::pixel(2, TEAM)]);
    let accounts = catalog.accounts(TEAM).await.unwrap();
    assert_eq!(accounts, [account_row("acct_1", TEAM), account_row("acct_2", TEAM)]);
    assert_eq!(*catalog.revisions().borrow(), revision);
}

/// Numbers are given once, also over a restart and to callers at the same moment.
pub async fn numbers_are_given_once(backend: &dyn Backend) {
    let store = backend.open().await;
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let catalog = store.catalog.clone();
        callers.spawn(async move { catalog.next_pixel_id().await.unwrap() });
    }
    let mut given: BTreeSet<_> = callers.join_all().await.into_iter().collect();
    assert_eq!(given.len(), 16);
    assert_eq!(store.catalog.next_key_id().await.unwrap().0, 1);
    assert_eq!(store.catalog.next_postback_id().await.unwrap().0, 1);
    drop(store);
    backend.restart().await;
    let catalog = backend.open().await.catalog;
    assert!(given.insert(catalog.next_pixel_id().await.unwrap()));
    assert_eq!(catalog.next_postback_id().await.unwrap().0, 2);
}

/// Fields with a writer of their own are not overwritten by the row.
pub async fn fields_with_their_own_writer_are_kept(backend: &dyn Backend) {
    let catalog = backend.open().await.catalog;
    catalog.put_link(smart_link(1, TEAM)).await.unwrap();
    let overflow = OverflowLink { id: sample::pool_id(5), url: "https://creator.example/c5".to_owned() };
    catalog.set_overflow(link_id(1), overflow.clone()).await.unwrap();
    catalog.put_link(smart_link(1, TEAM)).await.unwrap();
    assert_eq!(catalog.link(link_id(1)).await.unwrap().unwrap().overflow, Some(overflow.clone()));
    assert_eq!(catalog.set_overflow(link_id(2), overflow).await, Err(StoreError::NotFound));

    catalog.put_account(account_row("acct_sample", TEAM)).await.unwrap();
    let signal = |usable, seconds| AccountSignal { account: account(), usable, as_of: after(seconds) };
    assert!(catalog.signal(signal(false, 10)).await.unwrap());
    assert!(!catalog.signal(signal(true, 9)).await.unwrap(), "older signals are ignored");
    catalog.put_account(account_row("acct_sample", TEAM)).await.unwrap();
    assert!(!catalog.account(&account()).await.unwrap().unwrap().usable.yes);
    let unknown = AccountSignal { account: "acct_none".into(), usable: true, as_of: after(99) };
    assert!(!catalog.signal(unknown).await.unwrap());
}

/// A reader that asks for changes since its last revision misses nothing, and is told when to ask.
pub async fn changes_are_told_by_revision(backend: &dyn Backend) {
    let store = backend.open().await;
    let catalog = &store.catalog;
    let mut revisions = catalog.revisions();
    catalog.put_account(account_row("acct_sample", TEAM)).await.unwrap();
    catalog.put_link(smart_link(1, TEAM)).await.unwrap();
    catalog.put_link(smart_link(2, STRANGER)).await.unwrap();
    assert!(revisions.has_changed().unwrap());
    let all = catalog.changes_since(0).await.unwrap();
    assert_eq!((all.links.len(), all.accounts.len()), (2, 1));
    assert_eq!(*revisions.borrow_and_update(), all.revision);
    let mut gone = smart_link(1, TEAM);
    gone.deleted_at = Some(after(60));
    catalog.put_link(gone.clone()).await.unwrap();
    let changes = catalog.changes_since(all.revision).await.unwrap();
    assert_eq!(
        (&changes.links[..], &changes.accounts[..]),
        (&[Arc::new(gone)][..], &[][..]),
        "deleted ones too"
    );
    assert_eq!(catalog.links(TEAM).await.unwrap(), []);
    assert!(catalog.link(link_id(1)).await.unwrap().is_some());
    let signal = AccountSignal { account: account(), usable: false, as_of: after(61) };
    catalog.signal(signal).await.unwrap();
    let after_signal = catalog.changes_since(changes.revision).await.unwrap();
    assert_eq!((after_signal.links.len(), after_signal.accounts.len()), (0, 1));
    assert_eq!(*revisions.borrow_and_update(), after_signal.revision);
    assert_eq!(catalog.changes_since(after_signal.revision).await.unwrap().links, []);

    // A reader that outlives the store's process goes on where it was.
    drop(revisions);
    drop(store);
    backend.restart().await;
    let catalog = backend.open().await.catalog;
    let again = catalog.changes_since(all.revision).await.unwrap();
    assert_eq!(
        (again.links.len(), again.accounts.len()),
        (1, 1),
        "neither the stranger's link nor anything older"
    );
    assert_eq!(again.revision, after_signal.revision);
    catalog.put_link(smart_link(3, TEAM)).await.unwrap();
    let newer = catalog.changes_since(again.revision).await.unwrap();
    assert_eq!((newer.links.len(), newer.accounts.len()), (1, 0));
    assert_eq!(catalog.changes_since(0).await.unwrap().links.len(), 3);
}

/// What one process changes another one is told of in less than two seconds, without asking.
pub async fn a_change_reaches_other_processes(backend: &dyn Backend) {
    let (here, there) = (backend.open().await, backend.open().await);
    let mut revisions = there.catalog.revisions();
    let known = *revisions.borrow_and_update();
    here.catalog.put_link(smart_link(1, TEAM)).await.unwrap();
    let told = tokio::time::timeout(std::time::Duration::from_secs(2), revisions.changed()).await;
    assert!(matches!(told, Ok(Ok(()))), "told in time");
    let changes = there.catalog.changes_since(known).await.unwrap();
    assert_eq!(changes.links, [Arc::new(smart_link(1, TEAM))]);
    assert_eq!(changes.revision, *revisions.borrow());
}

/// A deleted postback is gone, and its number is not given again.
pub async fn a_deleted_postback_is_gone(backend: &dyn Backend) {
    let catalog = backend.open().await.catalog;
    let id = catalog.next_postback_id().await.unwrap();
    let postback = sl_core::catalog::Postback {
        id,
        team: TEAM,
        url: "https://buyer.example/?c={click_id}".to_owned(),
        method: sl_core::catalog::PostbackMethod::Get,
        body: None,
        headers: Vec::new(),
        scope: sl_core::catalog::PostbackScope::Global,
        conversion_types: Vec::new(),
        answers: sl_core::catalog::AnswerTexts::default(),
        in_order: false,
        pace: None,
        created_at: HOUR,
        updated_at: HOUR,
    };
    catalog.put_postback(postback.clone()).await.unwrap();
    assert_eq!(catalog.postbacks(TEAM).await.unwrap(), [postback]);
    assert_eq!(catalog.postbacks(STRANGER).await.unwrap(), []);
    catalog.delete_postback(id).await.unwrap();
    assert_eq!(catalog.postback(id).await.unwrap(), None);
    assert!(catalog.next_postback_id().await.unwrap() > id);
}

/// A deleted pixel is gone with its token, over a restart too, and its number is not given again. No other is touched. Its
/// names can still be asked for.
pub async fn a_deleted_pixel_is_gone(backend: &dyn Backend) {
    let store = backend.open().await;
    let catalog = &store.catalog;
    let (id, kept) = (catalog.next_pixel_id().await.unwrap(), catalog.next_pixel_id().await.unwrap());
    for number in [id, kept] {
        catalog.put_pixel(sample::pixel(number.0, TEAM)).await.unwrap();
    }
    catalog.delete_pixel(id).await.unwrap();
    assert!(catalog.delete_pixel(id).await.is_ok(), "nothing is left to do");
    drop(store);
    backend.restart().await;
    let catalog = backend.open().await.catalog;
    assert_eq!(catalog.pixel(id).await.unwrap(), None);
    assert_eq!(catalog.pixels(TEAM).await.unwrap(), [sample::pixel(kept.0, TEAM)]);
    let remains = catalog.deleted_pixel(id).await.unwrap().unwrap();
    assert_eq!(remains, sample::pixel(id.0, TEAM).remains());
    assert!(remains.sealed_token.is_empty() && remains.is_deleted);
    assert_eq!(catalog.deleted_pixel(kept).await.unwrap(), None);
    let next = catalog.next_pixel_id().await.unwrap();
    assert!(next > kept);
    assert_eq!(catalog.deleted_pixel(next).await.unwrap(), None);
}
