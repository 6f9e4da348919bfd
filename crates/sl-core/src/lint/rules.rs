//! The rules for events of pixels.

use std::{ops::RangeInclusive, time::Duration};

use super::{Subject, Warning, word};
use crate::{
    catalog::{ExternalIdSource, PlatformKind},
    click::Params,
    identity::{LONGEST_TTCLID, fbc_id},
    time::Timestamp,
    visitor::is_unexpanded_macro,
};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// An hour's delay already costs optimisation value (ad-platforms 13.1).
const LATE: Duration = Duration::from_secs(3600);
/// Ids of Meta's and TikTok's ads are numbers of 15 to 19 digits.
const AD_ID: RangeInclusive<usize> = 15..=19;
/// From this length on, an id in base64url with letters of one case only was changed on its way: of 20 letters, once in
/// half a million.
const LONG_ENOUGH: usize = 20;
/// Characters of a value that are shown.
const SHOWN: usize = 64;

/// Everything that is odd about the event.
pub(super) fn all(subject: &Subject<'_>, now: Timestamp) -> Vec<Warning> {
    let mut warnings = Vec::new();
    ages(subject, now, &mut warnings);
    macros(&subject.click.params, &mut warnings);
    match subject.platform {
        PlatformKind::Meta => meta(subject, &mut warnings),
        PlatformKind::Tiktok => tiktok(&subject.click.params, &mut warnings),
        PlatformKind::Snapchat => {}
        // Only its click id matters.
        PlatformKind::Creatortraffic => return warnings,
    }
    warnings.extend(event_name(subject.platform, subject.name));
    device(subject, &mut warnings);
    if subject.source == ExternalIdSource::Ecid {
        external_id(&subject.click.params, &mut warnings);
    }
    warnings
}

fn ages(subject: &Subject<'_>, now: Timestamp, warnings: &mut Vec<Warning>) {
    let window = match subject.platform {
        // As long as Meta's own click cookie lives (ad-platforms 13.4).
        PlatformKind::Meta => Some(90),
        // The longest click window (ad-platforms 3.3); Snapchat's is as long.
        PlatformKind::Tiktok | PlatformKind::Snapchat => Some(28),
        PlatformKind::Creatortraffic => None,
    };
    let age = subject.occurred_at.since(subject.click.at);
    if let Some(days) = window.filter(|days| age > *days * DAY) {
        let platform = subject.platform.as_str();
        let age = age.as_secs() / DAY.as_secs();
        let why =
            format!("the click is {age} days old, and {platform} credits clicks of the last {days} days");
        warnings.push(Warning::new(word::CLICK_TOO_OLD, why));
    }
    let late = now.since(subject.occurred_at);
    if late > LATE {
        let why = format!("told {} minutes after it happened", late.as_secs() / 60);
        warnings.push(Warning::new(word::LATE_EVENT, why));
    }
}

pub(super) fn macros(params: &Params, warnings: &mut Vec<Warning>) {
    let named = [
        ("ecid", &params.ecid),
        ("fbclid", &params.fbclid),
        ("ttclid", &params.ttclid),
        ("ScCid", &params.sccid),
        ("utm_source", &params.utm_source),
        ("utm_medium", &params.utm_medium),
        ("utm_campaign", &params.utm_campaign),
        ("utm_content", &params.utm_content),
        ("utm_term", &params.utm_term),
    ];
    for (name, value) in named {
        if let Some(value) = value.as_deref().filter(|value| is_unexpanded_macro(value)) {
            let why = format!("{name} is {}: the ad platform did not fill it in", shown(value));
            warnings.push(Warning::new(word::UNREPLACED_MACRO, why));
        }
    }
}

fn device(subject: &Subject<'_>, warnings: &mut Vec<Warning>) {
    let (person, request) = (subject.person, &subject.click.request);
    if request.ip.is_some() && person.ip.is_none() {
        let why = "the click's address is nobody's on the internet; see edge.trusted_proxies";
        warnings.push(Warning::new(word::PRIVATE_IP, why));
    }
    let missing = match (&person.ip, &person.user_agent) {
        (Some(_), Some(_)) => return,
        (None, Some(_)) => "the visitor's address",
        (Some(_), None) => "the user agent",
        (None, None) => "the visitor's address and the user agent",
    };
    let why = format!("without {missing}: the two only help together");
    warnings.push(Warning::new(word::MISSING_PAIR, why));
}

/// An id that many visitors share asserts that they are one person (ad-platforms 13.1).
fn external_id(params: &Params, warnings: &mut Vec<Warning>) {
    let Some(ecid) = params.ecid.as_deref().filter(|ecid| !is_unexpanded_macro(ecid)) else { return };
    let number = AD_ID.contains(&ecid.len()) && ecid.bytes().all(|byte| byte.is_ascii_digit());
    let campaign = [&params.utm_campaign, &params.utm_content, &params.utm_term];
    let same = campaign.iter().any(|value| value.as_deref() == Some(ecid));
    if number || same {
        let why = "ecid looks like the id of an ad: everybody who clicks it becomes one person; put a macro of the click there, or set external_id_source to visitor";
        warnings.push(Warning::new(word::SHARED_EXTERNAL_ID, why));
    }
}

fn meta(subject: &Subject<'_>, warnings: &mut Vec<Warning>) {
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

fn tiktok(params: &Params, warnings: &mut Vec<Warning>) {
    let Some(ttclid) = params.ttclid.as_deref() else { return };
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

/// Whether the platform may not know an event of this name (ad-platforms 2.5, 4.4).
#[must_use]
pub fn event_name(platform: PlatformKind, name: &str) -> Option<Warning> {
    let allowed = |char: char| char.is_alphanumeric() || matches!(char, ' ' | '_' | '-');
    let why = match platform {
        PlatformKind::Meta if name.chars().count() > 50 || !name.chars().all(allowed) => {
            format!("{}: keep to 50 letters, digits, blanks, _ and -", shown(name))
        }
        PlatformKind::Snapchat if !SNAPCHAT_EVENTS.contains(&name) => {
            format!("{} is none of Snapchat's; own events are CUSTOM_EVENT_1 to _5", shown(name))
        }
        _ => return None,
    };
    Some(Warning::new(word::UNKNOWN_EVENT_NAME, why))
}

/// Names that Snapchat takes (ad-platforms 4.4).
const SNAPCHAT_EVENTS: [&str; 31] = [
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

fn one_case(id: &str) -> bool {
    let letters = || id.bytes().filter(u8::is_ascii_alphabetic);
    id.len() >= LONG_ENOUGH
        && letters().count() >= LONG_ENOUGH / 2
        && (letters().all(|byte| byte.is_ascii_lowercase())
            || letters().all(|byte| byte.is_ascii_uppercase()))
}

pub(super) fn shown(value: &str) -> String {
    value.chars().filter(|char| !char.is_control()).take(SHOWN).collect()
}
