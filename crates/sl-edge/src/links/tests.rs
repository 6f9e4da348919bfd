use sl_core::{ids::LinkKind, pool::StockKey};

use super::*;

fn link(number: u8, profile: &str) -> EdgeLink {
    EdgeLink {
        id: SmartLinkId::from_bytes([number; 16]),
        team: TeamId(1),
        stock: StockKey { account: "acct_1".into(), kind: LinkKind::TrackingLink, trial_days: None },
        window: Duration::from_secs(21_600),
        deleted: false,
        paused: false,
        overflow: None,
        profile_url: profile.into(),
    }
}

#[test]
fn changes_add_and_replacing_forgets() {
    let table = LinkTable::new(Stock::default());
    assert!(!table.0.now.load().loaded);
    assert_eq!(table.replace(vec![link(1, "https://onlyfans.com/a")]), vec![]);
    assert_eq!(table.apply(vec![link(2, "https://onlyfans.com/b")]), vec![]);
    assert_eq!(table.len(), 2);
    table.replace(vec![link(2, "https://onlyfans.com/b")]);
    assert_eq!(table.len(), 1);
}

#[test]
fn a_change_leaves_the_parts_of_other_links_alone() {
    let table = LinkTable::new(Stock::default());
    table.replace((0..=255).map(|number| link(number, "https://onlyfans.com/a")));
    let before = table.0.now.load_full();
    table.apply(vec![link(7, "https://onlyfans.com/b")]);
    let after = table.0.now.load_full();
    let same = before.parts.iter().zip(&after.parts).filter(|(before, after)| Arc::ptr_eq(before, after));
    assert_eq!(same.count(), PARTS - 1);
    assert_eq!(
        after.get(SmartLinkId::from_bytes([7; 16])).unwrap().place(Rung::Profile),
        "https://onlyfans.com/b"
    );
    assert_eq!(table.len(), 256);
}

#[test]
fn a_thread_that_answers_frees_no_old_catalog() {
    let table = LinkTable::new(Stock::default());
    table.replace(vec![link(1, "https://onlyfans.com/a")]);
    let mut reader = table.cache();
    let old = Arc::downgrade(reader.load());
    table.replace(vec![link(2, "https://onlyfans.com/b")]);
    table.let_go_of_old();
    assert_eq!(old.strong_count(), 2, "it is read");
    assert!(reader.load().get(SmartLinkId::from_bytes([2; 16])).is_some());
    assert_eq!(old.strong_count(), 1, "the last reader leaves it to others");
    table.let_go_of_old();
    assert_eq!(old.strong_count(), 0);
    drop(reader);
    let unread = Arc::downgrade(&table.0.now.load());
    table.replace(vec![]);
    assert_eq!(unread.strong_count(), 0, "who writes frees what nobody reads");
}

#[test]
fn a_link_without_a_usable_page_stays_as_it_was_and_is_named() {
    let table = LinkTable::new(Stock::default());
    table.replace(vec![link(1, "https://onlyfans.com/a")]);
    let bad = table.apply(vec![link(1, "javascript:alert(1)"), link(2, "")]);
    assert_eq!(bad.len(), 2);
    let snapshot = table.0.now.load();
    let kept = snapshot.get(SmartLinkId::from_bytes([1; 16])).unwrap();
    assert_eq!(kept.place(Rung::Profile), "https://onlyfans.com/a");
    assert!(snapshot.get(SmartLinkId::from_bytes([2; 16])).is_none());
}

#[test]
fn what_it_answers_for_can_be_taken_to_another_table() {
    let table = LinkTable::new(Stock::default());
    let over = OverflowLink { id: "c9".parse().unwrap(), url: "https://onlyfans.com/a/c9".to_owned() };
    let given = vec![
        EdgeLink { overflow: Some(over), ..link(1, "https://onlyfans.com/a") },
        EdgeLink { paused: true, deleted: true, ..link(2, "https://onlyfans.com/b") },
    ];
    table.replace(given.clone());
    let mut links = table.links();
    links.sort_by_key(|link| link.id);
    assert_eq!(links, given);
}

#[test]
fn shared_links_and_stock_follow_a_creator_who_takes_another_handle() {
    let stock = Stock::default();
    let table = LinkTable::new(stock.clone());
    let over = OverflowLink { id: "c9".parse().unwrap(), url: "https://onlyfans.com/a/c9".to_owned() };
    for page in ["https://onlyfans.com/a", "https://onlyfans.com/b"] {
        table.apply(vec![EdgeLink { overflow: Some(over.clone()), ..link(1, page) }]);
        let snapshot = table.0.now.load();
        let prepared = snapshot.get(SmartLinkId::from_bytes([1; 16])).unwrap();
        assert_eq!(prepared.place(Rung::Overflow), format!("{page}/c9").as_str());
        assert_eq!(prepared.shelf.page().url.as_deref(), Some(page));
    }
}

#[test]
fn an_unusable_overflow_link_is_none() {
    let table = LinkTable::new(Stock::default());
    let id: PoolLinkId = "c9".parse().unwrap();
    let overflow = Some(OverflowLink { id, url: "https://x/\r\nSet-Cookie: a=b".to_owned() });
    table.replace(vec![EdgeLink { overflow, ..link(1, "https://onlyfans.com/a") }]);
    assert!(table.0.now.load().get(SmartLinkId::from_bytes([1; 16])).unwrap().overflow.is_none());
}
