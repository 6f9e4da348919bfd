//! What the platform says of an account's login stops and resumes what is made for it (contract D.3.6).

use serde_json::{Value, json};
use sl_core::time::{Clock, Timestamp};

use crate::{
    stocked::{STOCK, Stocked},
    world::WallClock,
};

/// An event of the account, of a login that was tried at `started`.
fn tell(stocked: &Stocked, event: &str, started: Timestamp) {
    let started = started.iso().replace("+00:00", ".000000Z");
    let payload = json!({ "latestAuthAttempt": { "started_at": started } });
    let body = json!({ "event": event, "account_id": "acct_1", "payload": payload });
    let answer = stocked.service.signed_webhook("hook-1", &body);
    assert_eq!(answer.status, 200, "{}", answer.body);
}

fn until_authenticated(stocked: &Stocked, is: bool) {
    stocked.service.until(&stocked.key, "/api/accounts", |shown| shown[0]["is_authenticated"] == is);
}

#[test]
fn an_account_that_is_logged_out_gets_no_links_until_a_newer_event_says_that_it_is_back() {
    let stocked = Stocked::start();
    let (before, now) = (stocked.made(), WallClock.now());
    // A reading of the accounts would find the same out later: here it is the event alone.
    stocked.platform.act("fail", &json!({ "status": 503, "only": "accounts" }));
    let at = |seconds: i64| Timestamp(now.0 + 1000 * seconds);

    tell(&stocked, "accounts.authentication_failed", at(2));
    until_authenticated(&stocked, false);
    let refused = stocked.create();
    assert!(refused.status == 422 && refused.body.contains("not connected now"), "{}", refused.body);
    // Stock goes, none comes.
    for visitor in 1..=10 {
        assert_eq!(stocked.service.visit(&stocked.link, visitor).unwrap().status, 302);
    }
    let is_logged_out =
        |row: &Value| row["last_error"].as_str().is_some_and(|why| why.contains("acct_1 is logged out"));
    stocked.until_pool(is_logged_out);
    assert_eq!(stocked.made(), before);

    // Late on its way: the login that failed was tried after this one.
    tell(&stocked, "accounts.reconnected", at(1));
    stocked.service.settle(&stocked.key);
    until_authenticated(&stocked, false);
    assert_eq!(stocked.create().status, 422);
    assert_eq!(stocked.made(), before);

    tell(&stocked, "accounts.reconnected", at(3));
    until_authenticated(&stocked, true);
    assert_eq!(stocked.create().status, 200);
    let stock = |row: &Value| row["leased"].as_u64().unwrap() + row["fresh"].as_u64().unwrap();
    stocked.until_pool(|row| stock(row) >= u64::from(STOCK));
}
