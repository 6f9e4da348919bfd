//! How well a platform can recognise the person (ad-platforms 13.1 to 13.3).

use crate::{catalog::PlatformKind, identity::Identity};

/// What helps a platform to recognise the person, in tenths of its score and in its own order. Without
/// e-mail, phone and name there is no more than 70 of 100; `None` where the person is not what is matched.
#[must_use]
pub fn match_quality(platform: PlatformKind, person: &Identity) -> Option<u8> {
    let has = |value: &Option<String>, tenths: u8| if value.is_some() { tenths } else { 0 };
    let pair = person.ip.is_some() && person.user_agent.is_some();
    let six = person.ip.as_deref().is_some_and(|ip| ip.contains(':'));
    let place = [&person.city, &person.region, &person.postal_code, &person.country];
    let place = u8::try_from(place.iter().filter(|part| part.is_some()).count()).unwrap_or_default();
    let device = |tenths: u8| if pair { tenths } else { 0 };
    Some(match platform {
        PlatformKind::Meta => {
            let click = has(&person.fbc, 26) + has(&person.fbp, 12) + has(&person.external_id, 10);
            click + device(15) + if six { 3 } else { 0 } + place
        }
        PlatformKind::Tiktok => {
            has(&person.ttclid, 30) + has(&person.external_id, 14) + has(&person.ttp, 10) + device(12) + place
        }
        PlatformKind::Snapchat => {
            let click = has(&person.sc_click_id, 30) + has(&person.sc_cookie1, 15);
            click + device(14) + has(&person.external_id, 7) + place
        }
        PlatformKind::Creatortraffic => return None,
    })
}
