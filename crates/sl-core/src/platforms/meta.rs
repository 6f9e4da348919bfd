//! Meta (ad-platforms 2, 13.1).

use super::{Facts, Person, Tests, Usual, Worth};
use crate::{
    identity::fbc_id,
    lint::{Subject, Warning, word},
    visitor::is_unexpanded_macro,
};

/// From this length on, an id in base64url with letters of one case only was changed on its way: of 20 letters, once in
/// half a million.
const LONG_ENOUGH: usize = 20;

pub(super) static FACTS: Facts = Facts {
    word: "meta",
    name: "Meta",
    usual: Usual {
        click: Some("ViewContent"),
        subscriber: Some("Subscribe"),
        purchase: Some("Purchase"),
        third_message: Some("Lead"),
    },
    subscribers_only: false,
    has_pixel_id: true,
    without_click: "insufficient_user_data",
    person: Some(Person {
        click_id: |person| person.fbc.is_some(),
        browser_id: |person| person.fbp.is_some(),
        worth: Worth {
            click_id: 26,
            browser_id: 12,
            ip_and_user_agent: 15,
            ipv6: 3,
            external_id: 10,
            place: 1,
        },
    }),
    // As long as Meta's own click cookie lives (ad-platforms 13.4).
    credits_days: Some(90),
    odd,
    odd_name,
    any_name: "TestEvent",
    tests: Tests::WithCode,
};

fn odd(subject: &Subject<'_>, warnings: &mut Vec<Warning>) {
    let (params, cookies) = (&subject.click.params, &subject.click.cookies);
    let cookie = cookies.fbc.as_deref().or(params.fbc.as_deref());
    let fbclid = params.fbclid.as_deref().filter(|id| !is_unexpanded_macro(id));
    let of_cookie = cookie.and_then(fbc_id);
    let differs = of_cookie.zip(fbclid).is_some_and(|(a, b)| a != b && a.eq_ignore_ascii_case(b));
    if differs || fbclid.is_some_and(one_case) {
        let why = "fbclid lost its upper or lower case on the way: Meta will not find the click";
        warnings.push(Warning::new(word::CASE_CHANGED, why));
    }
    if cookie.is_some() && of_cookie.is_none() {
        warnings.push(Warning::new(word::MALFORMED_COOKIE, "_fbc is not of the form fb.1.{ms}.{fbclid}"));
    }
    if (params.fbp.is_some() || cookies.fbp.is_some()) && subject.person.fbp.is_none() {
        warnings.push(Warning::new(word::MALFORMED_COOKIE, "_fbp is not of the form fb.1.{ms}.{number}"));
    }
}

/// Ad-platforms 2.5.
fn odd_name(name: &str) -> Option<&'static str> {
    let allowed = |char: char| char.is_alphanumeric() || matches!(char, ' ' | '_' | '-');
    let is_odd = name.chars().count() > 50 || !name.chars().all(allowed);
    is_odd.then_some(": keep to 50 letters, digits, blanks, _ and -")
}

fn one_case(id: &str) -> bool {
    let letters = || id.bytes().filter(u8::is_ascii_alphabetic);
    id.len() >= LONG_ENOUGH
        && letters().count() >= LONG_ENOUGH / 2
        && (letters().all(|byte| byte.is_ascii_lowercase())
            || letters().all(|byte| byte.is_ascii_uppercase()))
}
