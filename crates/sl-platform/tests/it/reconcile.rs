//! Accounts, money and lists that no webhook brings.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use sl_core::{
    catalog::SmartLink,
    conversion::Transaction,
    event::{EventBody, Position},
    money::Cents,
    step::{ListAdd, Step},
    time::Clock,
};
use sl_platform::{Reconcile, ReconcileHandle, ReconcileSettings};
use tokio::task::JoinHandle;

use crate::{
    upstream::until,
    world::{START, TEAM, World, smart_link},
};

fn start(world: &World) -> (JoinHandle<()>, ReconcileHandle) {
    start_with(world, |_| {})
}

fn start_with(
    world: &World,
    change: impl FnOnce(&mut ReconcileSettings),
) -> (JoinHandle<()>, ReconcileHandle) {
    let mut settings = ReconcileSettings {
        every: Duration::from_secs(3600),
        first_after: Duration::from_millis(50),
        lists_every: Duration::from_millis(20),
        absent_after: Duration::from_millis(50),
        ..ReconcileSettings::default()
    };
    change(&mut settings);
    let (log, clock): (Arc<_>, Arc<dyn Clock>) = (Arc::new(world.tape.clone()), world.clock.clone());
    let role = Reconcile::new(settings, world.client(), world.store.clone(), log, clock);
    let handle = role.handle();
    (tokio::spawn(role.run(world.stop.clone())), handle)
}

fn listed(id: &str, is_authenticated: bool) -> serde_json::Value {
    json!({"id": id, "display_name": "Nova", "onlyfans_id": 120_034_567, "onlyfans_username": null,
        "onlyfans_email": "nova@example.net", "is_authenticated": is_authenticated,
        "authentication_progress": "authenticated", "onlyfans_user_data": null})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_connected_later_is_found_without_a_word() {
    let world = World::start().await;
    let (role, _handle) = start_with(&world, |settings| settings.accounts_every = Duration::from_millis(20));
    until("a first reading", async || world.upstream.count("GET /api/accounts") > 0).await;
    world.upstream.change(|rows| rows.accounts = vec![listed("acct_9", true)]);
    until("the account", async || {
        world.store.catalog.account(&"acct_9".into()).await.unwrap().is_some_and(|account| account.usable.yes)
    })
    .await;
    world.stop.cancel();
    role.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_of_the_key_come_into_the_catalog_with_their_handle() {
    let world = World::start().await;
    world.upstream.change(|rows| {
        rows.accounts = vec![listed("acct_2", true), listed("acct_3", false)];
        rows.profile = json!({"id": 120_034_567, "username": "nova", "canCreateTrial": false});
    });
    world.clock.advance(Duration::from_secs(1));
    let (role, handle) = start(&world);
    let row = |id: &'static str| {
        let catalog = world.store.catalog.clone();
        async move { catalog.account(&id.into()).await.unwrap() }
    };
    until("both are known", async || row("acct_3").await.is_some()).await;
    until("no longer listed", async || !row("acct_1").await.unwrap().usable.yes).await;
    let nova = row("acct_2").await.unwrap();
    assert_eq!(
        (nova.team, nova.username.as_deref(), nova.can_create_trial),
        (TEAM, Some("nova"), Some(false))
    );
    assert!(nova.usable.yes && !row("acct_3").await.unwrap().usable.yes);
    // Logged in again, and told by nobody but the list.
    world.clock.advance(Duration::from_secs(1));
    let revision = *world.store.catalog.revisions().borrow();
    world.upstream.change(|rows| rows.accounts = vec![listed("acct_2", true), listed("acct_3", true)]);
    handle.accounts_changed();
    until("it is usable", async || row("acct_3").await.unwrap().usable.yes).await;
    assert!(*world.store.catalog.revisions().borrow() > revision);
    assert_eq!(
        row("acct_2").await.unwrap().updated_at,
        START.plus(Duration::from_secs(1)),
        "nothing about it is new"
    );
    world.stop.cancel();
    role.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_that_one_answer_lacks_go_on_until_a_second_one_lacks_them_too() {
    let world = World::start().await;
    world.clock.advance(Duration::from_secs(1));
    // An empty list, and nobody asks sooner than that.
    let (role, handle) = start_with(&world, |settings| settings.absent_after = Duration::from_secs(3600));
    let readings = async |count| {
        until("a reading", async || world.upstream.count("GET /api/accounts") >= count).await;
    };
    let is_usable = async || {
        let account = world.store.catalog.account(&"acct_1".into()).await.unwrap().unwrap();
        account.usable.yes
    };
    readings(1).await;
    handle.accounts_changed();
    readings(2).await;
    // The third begins when the second has ended.
    handle.accounts_changed();
    readings(3).await;
    assert!(is_usable().await, "the same answer at the same time says no more");
    world.stop.cancel();
    role.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_stays_away_is_known_to_be_gone_within_a_minute_and_not_an_hour() {
    let world = World::start().await;
    world.clock.advance(Duration::from_secs(1));
    let (role, _handle) = start(&world);
    until("it is gone", async || {
        !world.store.catalog.account(&"acct_1".into()).await.unwrap().unwrap().usable.yes
    })
    .await;
    assert_eq!(world.upstream.count("GET /api/accounts"), 2);
    world.stop.cancel();
    role.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_logs_in_again_is_back_within_a_minute_and_not_an_hour() {
    let world = World::start().await;
    world.upstream.change(|rows| rows.accounts = vec![listed("acct_1", false), listed("acct_2", true)]);
    world.clock.advance(Duration::from_secs(1));
    let (role, _handle) = start(&world);
    let is_usable = async || world.store.catalog.account(&"acct_1".into()).await.unwrap().unwrap().usable.yes;
    until("it is out", async || !is_usable().await).await;
    until("the list is read again", async || world.upstream.count("GET /api/accounts") > 3).await;
    assert_eq!(world.upstream.count("GET /api/acct_2/me"), 1, "who is in is not asked again each time");
    world.clock.advance(Duration::from_secs(1));
    world.upstream.change(|rows| rows.accounts = vec![listed("acct_1", true), listed("acct_2", true)]);
    until("it is back", is_usable).await;
    assert_eq!(world.upstream.count("GET /api/acct_1/me"), 1);
    world.stop.cancel();
    role.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_of_which_the_list_does_not_say_whether_it_is_in_stays_as_it_was() {
    let world = World::start().await;
    let unsaid = |id: &str| {
        let mut row = listed(id, true);
        row.as_object_mut().unwrap().remove("is_authenticated");
        row
    };
    world.upstream.change(|rows| rows.accounts = vec![unsaid("acct_1"), unsaid("acct_2")]);
    world.clock.advance(Duration::from_secs(1));
    let (role, _handle) = start(&world);
    until("several readings", async || world.upstream.count("GET /api/accounts") > 3).await;
    let account = async |id: &str| world.store.catalog.account(&id.into()).await.unwrap().unwrap();
    let known = account("acct_1").await;
    assert!(known.usable.yes && known.is_authenticated);
    assert!(!account("acct_2").await.usable.yes, "nobody has said so of a new one");
    world.stop.cancel();
    role.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_accounts_that_cannot_be_read_as_a_whole_says_of_none_that_it_is_gone() {
    let world = World::start().await;
    world.upstream.change(|rows| rows.accounts = vec![json!({"id": null}), listed("acct_2", true)]);
    world.clock.advance(Duration::from_secs(1));
    let (role, _handle) = start_with(&world, |settings| {
        (settings.accounts_every, settings.absent_after) = (Duration::from_millis(20), Duration::ZERO);
    });
    until("several readings", async || world.upstream.count("GET /api/accounts") > 3).await;
    let account = async |id: &str| world.store.catalog.account(&id.into()).await.unwrap().unwrap();
    assert!(account("acct_1").await.usable.yes && account("acct_2").await.usable.yes);
    world.stop.cancel();
    role.await.unwrap();
}

fn transaction(id: u64, status: &str) -> serde_json::Value {
    json!({"id": format!("tx-{id}"), "type": "tips", "amount": 20.0, "net": 16, "fee": 4, "currency": "USD",
        "status": status, "createdAt": START.iso(), "description": "Tip", "user": {"id": 77, "name": "Sam"}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_be_refused_as_a_webhook_is_not_credited_by_the_reconciliation() {
    let world = World::start().await;
    world.upstream.change(|rows| {
        rows.accounts = vec![listed("acct_1", true)];
        rows.transactions = (0..3).map(|id| transaction(id, "done")).collect();
        rows.transactions[0]["currency"] = json!("EUR");
        rows.transactions[1]["amount"] = json!(1e9);
    });
    let (role, handle) = start(&world);
    until("the last page is told", async || !money(&world).is_empty()).await;
    handle.webhooks_missed();
    until("another reading", async || world.upstream.count("transactions") == 4).await;
    let ids: Vec<_> = money(&world).into_iter().map(|row| row.id.as_str().to_owned()).collect();
    assert_eq!(ids, ["tx-2"]);
    world.stop.cancel();
    role.await.unwrap();
}

fn money(world: &World) -> Vec<Transaction> {
    let seen = |body| match body {
        EventBody::TransactionSeen(row) => Some(row),
        _ => None,
    };
    world.tape.bodies().into_iter().filter_map(seen).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_are_read_soon_after_the_start_over_all_pages_and_told_again_only_when_changed() {
    let world = World::start().await;
    world.upstream.change(|rows| {
        rows.accounts = vec![listed("acct_1", true)];
        rows.transactions = (0..5).map(|id| transaction(id, "loading")).collect();
    });
    let (role, handle) = start(&world);
    until("all are told", async || money(&world).len() == 5).await;
    let first = money(&world).remove(0);
    assert_eq!((first.id.as_str(), first.kind.as_str(), first.reconciled), ("tx-0", "tip", true));
    assert_eq!((first.gross, first.net), (Cents(2000), Cents(1600)));
    world.upstream.change(|rows| rows.transactions[3] = transaction(3, "undo"));
    let pages = world.upstream.count("transactions");
    handle.webhooks_missed();
    until("the changed one", async || money(&world).len() == 6).await;
    until("the rest", async || world.upstream.count("transactions") >= pages + 3).await;
    assert_eq!(money(&world).len(), 6);
    assert_eq!(money(&world)[5].status, "undo");
    world.stop.cancel();
    role.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_told_as_of_when_it_was_asked_for() {
    let world = World::start().await;
    let minute = Duration::from_secs(60);
    world.upstream.change(|rows| {
        rows.accounts = vec![listed("acct_1", true)];
        rows.transactions = (0..3).map(|id| transaction(id, "done")).collect();
        rows.reading = Some((Arc::clone(&world.clock), minute));
    });
    let (role, _handle) = start(&world);
    until("both pages are told", async || money(&world).len() == 3).await;
    assert_eq!(world.tape.times(), [START, START, START.plus(minute)]);
    world.stop.cancel();
    role.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_with_more_than_one_round_reads_goes_on_where_it_was_and_reads_no_page_twice() {
    let world = World::start().await;
    world.upstream.change(|rows| {
        rows.accounts = vec![listed("acct_1", true)];
        rows.transactions = (0..21).map(|id| transaction(id, "done")).collect();
    });
    // Eleven pages of two, three at once: four rounds.
    let (role, handle) = start_with(&world, |settings| settings.pages_at_once = 3);
    until("all are told", async || money(&world).len() == 21).await;
    until("and no more is asked", async || world.upstream.count("transactions") == 11).await;
    // The next reading is whole again, and knows what was told.
    handle.webhooks_missed();
    until("all pages again", async || world.upstream.count("transactions") == 22).await;
    assert_eq!(money(&world).len(), 21);
    world.stop.cancel();
    role.await.unwrap();
    assert_eq!(world.upstream.count("transactions"), 22);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_leads_to_itself_ends_the_reading() {
    let world = World::start().await;
    world.upstream.change(|rows| {
        rows.accounts = vec![listed("acct_1", true)];
        rows.transactions = (0..21).map(|id| transaction(id, "done")).collect();
        rows.stuck_at = Some(4);
    });
    let (role, handle) = start(&world);
    until("what there is to read is told", async || money(&world).len() == 6).await;
    // Were it still at that page, the next reading would not begin at the first one.
    handle.webhooks_missed();
    until("two readings of three pages", async || world.upstream.count("transactions") == 6).await;
    world.stop.cancel();
    role.await.unwrap();
    assert_eq!((world.upstream.count("transactions"), money(&world).len()), (6, 6));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fans_are_added_to_their_list_and_a_list_that_does_not_exist_is_given_up() {
    let world = World::start().await;
    world.upstream.change(|rows| rows.accounts = vec![listed("acct_1", true)]);
    let add = |list: &str, fan: &str| ListAdd {
        account: "acct_1".into(),
        list: list.into(),
        fan: fan.into(),
        created_at: START,
        link: None,
    };
    let list_adds = vec![add("9", "1"), add("9", "2"), add("bad", "3"), add("down", "4"), add("unpaid", "5")];
    let position = Position { epoch: 0, offset: 1 };
    world.store.ledger.apply(Step { position, list_adds, ..Step::default() }).await.unwrap();
    let (role, _) = start(&world);
    let called = |list| world.upstream.count(list);
    until("those that may be taken later are tried again", async || {
        called("user-lists/down") > 1 && called("user-lists/unpaid") > 1
    })
    .await;
    assert_eq!((called("user-lists/9/"), called("user-lists/bad")), (1, 1));
    let left = world.store.pool.list_adds(None, 9).await.unwrap();
    assert_eq!(left, [add("down", "4"), add("unpaid", "5")]);
    let lists = world.upstream.change(|rows| rows.lists.clone());
    assert_eq!(lists.get("9"), Some(&vec!["1".to_owned(), "2".to_owned()]));
    world.stop.cancel();
    role.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fans_of_a_list_that_was_wrong_are_added_once_it_is_corrected() {
    let world = World::start().await;
    world.upstream.change(|rows| rows.accounts = vec![listed("acct_1", true)]);
    let wrong = |number| SmartLink { user_list_id: Some("bad".to_owned()), ..smart_link(number) };
    for number in [1, 2] {
        world.store.catalog.put_link(wrong(number)).await.unwrap();
    }
    let add = |fan: &str, link, created_at| ListAdd {
        account: "acct_1".into(),
        list: "bad".into(),
        fan: fan.into(),
        created_at,
        link: Some(smart_link(link).id),
    };
    let long_ago = START.minus(Duration::from_secs(31 * 86_400));
    let list_adds = vec![add("1", 1, START), add("2", 2, START), add("3", 2, long_ago)];
    let position = Position { epoch: 0, offset: 1 };
    world.store.ledger.apply(Step { position, list_adds, ..Step::default() }).await.unwrap();
    let (role, _) = start(&world);
    let left = async || {
        let left = world.store.pool.list_adds(None, 9).await.unwrap();
        left.into_iter().map(|add| add.fan.as_str().to_owned()).collect::<Vec<_>>()
    };
    until("who has waited for a month is given up", async || left().await == ["1", "2"]).await;
    let right = SmartLink { user_list_id: Some("9".to_owned()), ..wrong(1) };
    world.store.catalog.put_link(right).await.unwrap();
    until("the fan of the corrected link is added", async || left().await == ["2"]).await;
    let lists = world.upstream.change(|rows| rows.lists.clone());
    assert_eq!(lists.into_iter().collect::<Vec<_>>(), [("9".to_owned(), vec!["1".to_owned()])]);
    world.stop.cancel();
    role.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_bad_list_or_fan_is_given_up_and_everything_else_is_tried_again() {
    let world = World::start().await;
    world.upstream.change(|rows| rows.accounts = vec![listed("acct_1", true)]);
    let add = |list: &str| ListAdd {
        account: "acct_1".into(),
        list: list.into(),
        fan: "1".into(),
        created_at: START,
        link: None,
    };
    let (passing, last) = (["302", "401", "403", "404", "408", "409"], ["400", "422"]);
    let list_adds = passing.iter().chain(&last).map(|list| add(list)).collect();
    let position = Position { epoch: 0, offset: 1 };
    world.store.ledger.apply(Step { position, list_adds, ..Step::default() }).await.unwrap();
    let (role, _) = start(&world);
    let called = |list: &str| world.upstream.count(&format!("user-lists/{list}/"));
    until("all but two are tried again", async || passing.iter().all(|list| called(list) > 1)).await;
    let left = world.store.pool.list_adds(None, 99).await.unwrap();
    let mut left: Vec<_> = left.into_iter().map(|add| add.list).collect();
    left.sort();
    assert_eq!(left, passing);
    assert_eq!(last.map(called), [1, 1]);
    world.stop.cancel();
    role.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fans_of_an_account_that_is_logged_out_wait_until_it_is_back() {
    let world = World::start().await;
    world.upstream.change(|rows| rows.accounts = vec![listed("acct_1", false), listed("acct_2", true)]);
    world.clock.advance(Duration::from_secs(1));
    let (role, handle) = start(&world);
    until("one is known to be logged out, the other to be there", async || {
        let catalog = &world.store.catalog;
        let out = !catalog.account(&"acct_1".into()).await.unwrap().unwrap().usable.yes;
        out && catalog.account(&"acct_2".into()).await.unwrap().is_some()
    })
    .await;
    let add = |account: &str| ListAdd {
        account: account.into(),
        list: "9".into(),
        fan: "1".into(),
        created_at: START,
        link: None,
    };
    let position = Position { epoch: 0, offset: 1 };
    // In the order of a round.
    let list_adds = vec![add("acct_1"), add("acct_2")];
    world.store.ledger.apply(Step { position, list_adds, ..Step::default() }).await.unwrap();
    until("the other's fan is added", async || world.upstream.count("acct_2/user-lists") > 0).await;
    assert_eq!(world.upstream.count("acct_1/user-lists"), 0, "nothing is asked of the platform");
    world.clock.advance(Duration::from_secs(1));
    world.upstream.change(|rows| rows.accounts = vec![listed("acct_1", true), listed("acct_2", true)]);
    handle.accounts_changed();
    until("the fan is added", async || world.upstream.count("acct_1/user-lists") > 0).await;
    world.stop.cancel();
    role.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fans_who_cannot_be_added_keep_nobody_else_waiting() {
    let world = World::start().await;
    world.upstream.change(|rows| rows.accounts = vec![listed("acct_1", true)]);
    let add = |list: &str, fan: usize, created_at| ListAdd {
        account: "acct_1".into(),
        list: list.into(),
        fan: fan.to_string().into(),
        created_at,
        link: None,
    };
    // More than are read at once come before the last one.
    let mut list_adds: Vec<_> = (0..1500).map(|fan| add("unpaid", fan, START)).collect();
    list_adds.push(add("9", 7, START.plus(Duration::from_secs(1))));
    let position = Position { epoch: 0, offset: 1 };
    world.store.ledger.apply(Step { position, list_adds, ..Step::default() }).await.unwrap();
    let (role, _) = start(&world);
    until("the last one is added", async || world.upstream.change(|rows| rows.lists.contains_key("9"))).await;
    until("which is noted", async || world.store.pool.list_adds(None, 9999).await.unwrap().len() == 1500)
        .await;
    let calls = world.upstream.count("user-lists/unpaid");
    until("the others are tried again", async || world.upstream.count("user-lists/unpaid") > calls).await;
    // Who comes while they wait is read behind them.
    let list_adds = vec![add("10", 8, START.plus(Duration::from_secs(2)))];
    let position = Position { epoch: 0, offset: 2 };
    world.store.ledger.apply(Step { position, list_adds, ..Step::default() }).await.unwrap();
    until("the new one is added", async || world.upstream.change(|rows| rows.lists.contains_key("10"))).await;
    world.stop.cancel();
    role.await.unwrap();
}
