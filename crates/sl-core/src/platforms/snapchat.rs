//! Snapchat (ad-platforms 4, 13.3).

use super::{Facts, Person, Tests, Usual, Worth};

pub(super) static FACTS: Facts = Facts {
    word: "snapchat",
    name: "Snapchat",
    usual: Usual {
        click: Some("VIEW_CONTENT"),
        subscriber: Some("SIGN_UP"),
        purchase: Some("PURCHASE"),
        third_message: Some("LEVEL_COMPLETE"),
    },
    subscribers_only: false,
    has_pixel_id: true,
    without_click: "insufficient_user_data",
    person: Some(Person {
        click_id: |person| person.sc_click_id.is_some(),
        browser_id: |person| person.sc_cookie1.is_some(),
        worth: Worth {
            click_id: 30,
            browser_id: 15,
            ip_and_user_agent: 14,
            ipv6: 0,
            external_id: 7,
            place: 1,
        },
    }),
    // As long as TikTok's.
    credits_days: Some(28),
    odd: |_, _| {},
    odd_name: |name| {
        let is_odd = !NAMES.contains(&name);
        is_odd.then_some(" is none of Snapchat's; own events are CUSTOM_EVENT_1 to _5")
    },
    // Numbered ones only (ad-platforms 4.4).
    any_name: "CUSTOM_EVENT_1",
    tests: Tests::Apart,
};

/// Names that Snapchat takes (ad-platforms 4.4).
const NAMES: [&str; 31] = [
    "PURCHASE",
    "SAVE",
    "START_CHECKOUT",
    "ADD_CART",
    "VIEW_CONTENT",
    "ADD_BILLING",
    "SIGN_UP",
    "SEARCH",
    "PAGE_VIEW",
    "SUBSCRIBE",
    "AD_CLICK",
    "AD_VIEW",
    "COMPLETE_TUTORIAL",
    "INVITE",
    "LOGIN",
    "SHARE",
    "RESERVE",
    "ACHIEVEMENT_UNLOCKED",
    "ADD_TO_WISHLIST",
    "SPENT_CREDITS",
    "RATE",
    "START_TRIAL",
    "LIST_VIEW",
    "LEVEL_COMPLETE",
    "APP_INSTALL",
    "APP_OPEN",
    "CUSTOM_EVENT_1",
    "CUSTOM_EVENT_2",
    "CUSTOM_EVENT_3",
    "CUSTOM_EVENT_4",
    "CUSTOM_EVENT_5",
];
