//! TikTok (ad-platforms 3, 13.2).

use super::{Facts, Person, Tests, Usual, Worth};
use crate::{
    identity::LONGEST_TTCLID,
    lint::{Subject, Warning, word},
};

pub(super) static FACTS: Facts = Facts {
    word: "tiktok",
    name: "TikTok",
    usual: Usual {
        click: Some("ViewContent"),
        subscriber: Some("Subscribe"),
        purchase: Some("CompletePayment"),
        third_message: None,
    },
    subscribers_only: false,
    has_pixel_id: true,
    without_click: "insufficient_user_data",
    person: Some(Person {
        click_id: |person| person.ttclid.is_some(),
        browser_id: |person| person.ttp.is_some(),
        worth: Worth {
            click_id: 30,
            browser_id: 10,
            ip_and_user_agent: 12,
            ipv6: 0,
            external_id: 14,
            place: 1,
        },
    }),
    // The longest click window (ad-platforms 3.3).
    credits_days: Some(28),
    odd,
    odd_name: |_| None,
    any_name: "TestEvent",
    tests: Tests::WithCode,
};

fn odd(subject: &Subject<'_>, warnings: &mut Vec<Warning>) {
    let Some(ttclid) = subject.click.params.ttclid.as_deref() else { return };
    let head = ttclid.get(..6).unwrap_or_default();
    if head != "E.C.P." && head.eq_ignore_ascii_case("E.C.P.") {
        let why = "ttclid lost its upper case on the way: TikTok will not find the click";
        warnings.push(Warning::new(word::CASE_CHANGED, why));
    }
    if ttclid.chars().count() > LONGEST_TTCLID {
        let why = format!("ttclid is longer than {LONGEST_TTCLID} characters and left out");
        warnings.push(Warning::new(word::TTCLID_TOO_LONG, why));
    }
}
