//! CreatorTraffic (ad-platforms 5): it hears of new subscribers, and only the id it gave a click matters.

use super::{Facts, Tests, Usual};

pub(super) static FACTS: Facts = Facts {
    word: "creatortraffic",
    name: "CreatorTraffic",
    // It has no mapping, and this says so in the same words.
    usual: Usual { click: None, subscriber: Some("new_subscriber"), purchase: None, third_message: None },
    subscribers_only: true,
    has_pixel_id: false,
    without_click: "missing_click_id",
    person: None,
    credits_days: None,
    odd: |_, _| {},
    odd_name: |_| None,
    any_name: "TestEvent",
    tests: Tests::None,
};
