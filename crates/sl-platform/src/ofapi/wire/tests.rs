//! Bodies as contract E writes them.

use serde_json::json;

use super::*;

#[test]
fn a_created_tracking_link_comes_in_an_array_or_alone_and_its_address_is_made_from_its_code() {
    let row = json!({"id": "91", "campaignCode": 12, "campaignName": "a", "countSubscribers": 0,
        "createdAt": "2026-03-04T12:00:00+00:00", "endDate": null});
    for data in [json!([row]), row.clone()] {
        let link = created(&json!({"data": data}), LinkKind::TrackingLink).unwrap();
        assert_eq!((link.id.number, link.code, link.url.as_deref()), (91, Some(12), None));
        assert_eq!(link.address(Some("nova")).as_deref(), Some("https://onlyfans.com/nova/c12"));
        assert_eq!(link.address(None), None);
    }
    assert!(created(&json!({"data": []}), LinkKind::TrackingLink).is_err());
}

#[test]
fn a_trial_link_counts_claims_or_subscribers_whichever_is_more() {
    let row = json!({"id": 7, "trialLinkName": "t", "url": "https://onlyfans.com/action/trial/x",
        "subscribeDays": 30, "subscribeCounts": 1, "claimCounts": 2, "createdAt": "2026-03-04T12:00:00+00:00"});
    let page = links(&json!({"data": {"list": [row], "hasMore": true}}), LinkKind::FreeTrial).unwrap();
    let link = page.rows.first().unwrap();
    assert_eq!((link.subscribers, link.trial_days, page.has_more), (2, Some(30), true));
}

#[test]
fn a_link_ends_when_the_list_says_so_and_not_by_what_can_not_be_read() {
    let end = |kind, row: serde_json::Value| {
        links(&json!({"data": {"list": [row]}}), kind).unwrap().rows.first().unwrap().end
    };
    let at = |at| LinkEnd { at: Some(Timestamp(at)), is_finished: false };
    let tracking =
        |end_date: serde_json::Value| end(LinkKind::TrackingLink, json!({"id": 1, "endDate": end_date}));
    assert_eq!(tracking(json!("2026-03-04T20:11:09+00:00")), at(1_772_655_069_000));
    assert_eq!(tracking(json!("2026-03-04")), at(1_772_668_799_999), "its last day counts");
    for unread in [json!(null), json!(""), json!("soon"), json!(true), json!(0)] {
        assert_eq!(tracking(unread), LinkEnd::default());
    }
    let began = json!({"id": 1, "createdAt": "2026-03-01T00:00:00+00:00", "endDate": "0001-01-01T00:00:00Z"});
    assert_eq!(end(LinkKind::TrackingLink, began), LinkEnd::default(), "it would have ended before it began");
    let trial = |finished: serde_json::Value, expired: serde_json::Value| {
        end(LinkKind::FreeTrial, json!({"id": 1, "isFinished": finished, "expiredAt": expired}))
    };
    assert_eq!(trial(json!(true), json!(null)), LinkEnd { at: None, is_finished: true });
    assert_eq!(trial(json!(false), json!("2026-03-04T20:11:09+00:00")), at(1_772_655_069_000));
    assert_eq!(trial(json!("no"), json!(null)), LinkEnd::default());
}

#[test]
fn a_page_without_has_more_is_told_by_its_next_page_and_one_without_any_id_is_refused() {
    let rest = |next| json!({"data": {"list": []}, "_pagination": {"next_page": next}});
    assert!(links(&rest(json!("https://x/2")), LinkKind::TrackingLink).unwrap().has_more);
    assert!(!links(&rest(json!(null)), LinkKind::TrackingLink).unwrap().has_more);
    assert!(links(&json!({"data": {"list": [{"name": "x"}]}}), LinkKind::TrackingLink).is_err());
    assert!(links(&json!({"error": "x"}), LinkKind::TrackingLink).is_err());
}

#[test]
fn a_row_without_an_id_is_counted_and_keeps_no_other_from_being_read() {
    let list =
        json!({"data": {"list": [{"id": 5}, {"name": "x"}, {"id": "none"}, {"id": "7"}], "hasMore": false}});
    let page = links(&list, LinkKind::TrackingLink).unwrap();
    let numbers: Vec<_> = page.rows.iter().map(|row| row.id.number).collect();
    assert_eq!((numbers, page.unreadable), (vec![5, 7], 2));
    let list = json!({"data": {"list": [{"id": 5}, {"username": "x"}], "hasMore": false}});
    let page = subscribers(&list).unwrap();
    assert_eq!((page.rows.len(), page.unreadable), (1, 1));
}

#[test]
fn a_subscriber_may_be_without_a_date() {
    let list = json!({"data": {"list": [
        {"id": 5, "username": "u5", "name": null, "subscribedOnData":
            {"subscribeAt": "2026-03-04T20:11:09+00:00", "price": "4.99"}},
        {"id": "6"}], "hasMore": false}});
    let rows = subscribers(&list).unwrap().rows;
    let shown: Vec<_> = rows.iter().map(|row| (row.fan.as_str(), row.subscribed_at, row.price)).collect();
    assert_eq!(shown, [("5", Some(Timestamp(1_772_655_069_000)), Some(Cents(499))), ("6", None, None)]);
}

#[test]
fn transactions_speak_the_words_of_the_webhook_and_what_cannot_be_read_is_counted() {
    let row = |kind: &str| {
        json!({"id": 1, "type": kind, "amount": 20, "net": 16.0, "status": "done",
            "createdAt": "2026-03-04T12:00:00+00:00", "user": {"id": 77, "name": "Sam"}})
    };
    let words = ["subscribes", "tips", "chat_messages", "stream", "novelty"];
    let mut list: Vec<_> = words.iter().map(|word| row(word)).collect();
    list.push(json!({"id": 2}));
    let body = json!({"data": {"list": list, "hasMore": true, "nextMarker": 33}});
    let page = transactions(&body).unwrap();
    let kinds: Vec<_> = page.rows.iter().map(|row| row.kind.as_str()).collect();
    assert_eq!(kinds, ["new_subscription", "tip", "message", "stream", "other"]);
    assert_eq!((page.unreadable, page.next.as_deref()), (1, Some("33")));
    let last = json!({"data": {"list": [], "hasMore": false, "nextMarker": 33}});
    assert_eq!(transactions(&last).unwrap().next, None);
}

#[test]
fn a_transaction_that_would_be_refused_as_a_webhook_is_left_out() {
    let good = json!({"id": 1, "type": "tips", "amount": 20, "net": 16, "currency": "USD", "status": "done",
        "createdAt": "2026-03-04T12:00:00+00:00", "user": {"id": 77}});
    for (key, value, is_taken) in [
        ("currency", json!("USD"), true),
        ("currency", json!(null), true),
        ("currency", json!("EUR"), false),
        ("amount", json!(10_000_000), true),
        ("amount", json!(10_000_000.01), false),
        ("net", json!("-10000001"), false),
        ("id", json!("x".repeat(256)), false),
        ("type", json!(""), false),
        ("status", json!(""), false),
        ("createdAt", json!("1969-12-31T23:59:59Z"), false),
    ] {
        let mut row = good.clone();
        row[key] = value.clone();
        let page = transactions(&json!({"data": {"list": [row], "hasMore": false}})).unwrap();
        assert_eq!(
            (page.rows.len(), page.unreadable),
            (usize::from(is_taken), usize::from(!is_taken)),
            "{key} {value}"
        );
    }
}

#[test]
fn accounts_are_a_bare_array_and_secrets_in_it_are_not_looked_at() {
    let body = json!([{"id": "acct_1", "display_name": "Nova", "onlyfans_id": 12, "onlyfans_username": null,
        "is_authenticated": true, "csrf": "s3cret", "onlyfans_user_data": {"id": 12, "username": "nova"}},
        {"display_name": "no id"}, {"id": "acct_2"}]);
    let list = accounts(&body).unwrap();
    assert_eq!((list.rows.len(), list.unreadable), (2, 1));
    let nova = list.rows.first().unwrap();
    assert_eq!((nova.username.as_deref(), nova.is_authenticated), (Some("nova"), Some(true)));
    assert_eq!(list.rows.last().unwrap().is_authenticated, None, "it is not said");
    assert!(!format!("{nova:?}").contains("s3cret"));
}

#[test]
fn refused_fans_of_a_list_are_counted() {
    assert_eq!(refused(&json!({"data": {"added": [1], "failed": {"2": "gone", "3": "gone"}}})), 2);
    assert_eq!(refused(&json!({"data": {"9": [1]}})), 0);
}
