//! The worked timeline of contract B.4.1, with its numbers.

use super::samples::{A, B, at};
use super::world::World;
use crate::conversion::ConversionKind::{FanSent1Message, MessageReceived, NewSubscriber, NewTransaction};

#[test]
fn the_worked_timeline_of_the_contract_comes_out_to_the_cent() {
    let mut world = World::new();
    let c1 = world.ecid_click(A, 1, 10, "ad-7781", at("03-04T20:03:51Z"));
    world.announce("440012345", "$10.00", at("03-04T20:11:09Z"), at("03-04T20:11:20Z"));
    world.seen(10, "440012345", at("03-04T20:11:09Z"), 1000);
    world.pay("tx-1", "440012345", "new_subscription", 1000, at("03-04T20:11:09Z"));
    assert_eq!(world.log(), [(NewSubscriber, A, 1000), (NewTransaction, A, 1000)]);
    assert_eq!((world.gross(A), world.gross(B)), (1000, 0));

    world.message(1, "440012345", at("03-05T06:59:10Z"));
    assert_eq!(world.log()[2..], [(MessageReceived, A, 0), (FanSent1Message, A, 0)]);
    world.pay("tx-2", "440012345", "tip", 2000, at("03-05T07:02:44Z"));
    assert_eq!((world.gross(A), world.gross(B)), (3000, 0));
    world.pay("tx-3", "440012345", "message", 1500, at("03-09T12:00:00Z"));
    assert_eq!((world.gross(A), world.gross(B)), (4500, 0));

    let c2 = world.click(B, 1, 11, at("03-18T12:00:00Z"));
    assert_eq!((world.gross(A), world.gross(B)), (4500, 0));
    world.pay("tx-4", "440012345", "recurring_subscription", 1000, at("04-04T12:00:00Z"));
    assert_eq!((world.gross(A), world.gross(B)), (4500, 1000));
    assert_eq!(world.credited("tx-3"), Some((A, Some(c1.id))));
    assert_eq!(world.credited("tx-4"), Some((B, Some(c2.id))));

    let mut other = world.new_click(crate::ids::SmartLinkId(ulid::Ulid(0xD)), 1, 12, at("04-05T12:00:00Z"));
    other.account = crate::ids::AccountId::from("acct_other");
    world.event_of("acct_other", at("04-05T12:00:00Z"), crate::event::EventBody::click(other));
    world.pay("tx-5", "440012345", "tip", 100, at("04-05T13:00:00Z"));
    assert_eq!((world.gross(A), world.gross(B)), (4500, 1100), "links of another creator touch nobody here");
    let net = world.shown.conversions.values().find(|row| row.kind == NewSubscriber).unwrap().net;
    assert_eq!(net.0, 800);
}
