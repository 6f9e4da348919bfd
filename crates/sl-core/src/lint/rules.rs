//! The rules for events of pixels.

use std::{ops::RangeInclusive, time::Duration};

use super::{Subject, Warning, word};
use crate::{
    catalog::{ExternalIdSource, PlatformKind},
    click::Params,
    time::Timestamp,
    visitor::is_unexpanded_macro,
};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// An hour's delay already costs optimisation value (ad-platforms 13.1).
const LATE: Duration = Duration::from_secs(3600);
/// Ids of Meta's and TikTok's ads are numbers of 15 to 19 digits.
const AD_ID: RangeInclusive<usize> = 15..=19;
/// Characters of a value that are shown.
const SHOWN: usize = 64;

/// Everything that is odd about the event.
pub(super) fn all(subject: &Subject<'_>, now: Timestamp) -> Vec<Warning> {
    let mut warnings = Vec::new();
    ages(subject, now, &mut warnings);
    macros(&subject.click.params, &mut warnings);
    let facts = subject.platform.facts();
    (facts.odd)(subject, &mut warnings);
    if facts.person.is_none() {
        // Only its click id matters.
        return warnings;
    }
    warnings.extend(event_name(subject.platform, subject.name));
    device(subject, &mut warnings);
    if subject.source == ExternalIdSource::Ecid {
        external_id(&subject.click.params, &mut warnings);
    }
    warnings
}

fn ages(subject: &Subject<'_>, now: Timestamp, warnings: &mut Vec<Warning>) {
    let window = subject.platform.facts().credits_days;
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
    let person = subject.person;
    if subject.click.address().is_some() && person.ip.is_none() {
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

/// Whether the platform may not know an event of this name (ad-platforms 2.5, 4.4).
#[must_use]
pub fn event_name(platform: PlatformKind, name: &str) -> Option<Warning> {
    let why = (platform.facts().odd_name)(name)?;
    Some(Warning::new(word::UNKNOWN_EVENT_NAME, format!("{}{why}", shown(name))))
}

/// Whether the platform can have no pixel with this id: it would refuse every event (ad-platforms 2.1, 4.1).
#[must_use]
pub fn pixel_id(platform: PlatformKind, id: &str) -> Option<Warning> {
    let why = (platform.facts().odd_pixel_id)(id)?;
    Some(Warning::new(word::MALFORMED_PIXEL_ID, format!("{}{why}", shown(id))))
}

pub(super) fn shown(value: &str) -> String {
    value.chars().filter(|char| !char.is_control()).take(SHOWN).collect()
}
