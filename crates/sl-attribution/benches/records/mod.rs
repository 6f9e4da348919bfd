//! Clicks as the benches of this crate feed them.

use std::{sync::LazyLock, time::Duration};

use sl_core::{
    click::{AdCookies, Class, Click, Device, Params, Place, RequestFacts, Rung, VisitorId, VisitorKeys},
    event::{Event, EventBody, JournalId, Recorded},
    ids::{AccountId, ClickId, LinkKind, PoolLinkId, SmartLinkId, TeamId},
    time::Timestamp,
};

/// When the first one came, milliseconds.
pub(crate) const START: i64 = 1_772_625_600_000;

/// Whose links they are.
pub(crate) const ACCOUNT: &str = "acct_7f3a8c2d91e04b6fa5c3d2e1f0a9b8c7";

/// A new visitor on one of 20 links, with a pool link of its own.
pub(crate) fn record(number: u64) -> Recorded {
    let at = Timestamp(START + i64::try_from(number / 100).unwrap_or_default());
    // As a stream hands them out: one copy for a run of records of one account.
    static SHARED: LazyLock<AccountId> = LazyLock::new(|| AccountId::from(ACCOUNT));
    let account = SHARED.clone();
    let cookie = VisitorId(u128::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835));
    let click = Click {
        id: ClickId(ulid::Ulid::from_parts(u64::try_from(at.0).unwrap_or_default(), u128::from(number))),
        team: TeamId(1),
        account: account.clone(),
        link: SmartLinkId(ulid::Ulid(u128::from(number % 20) + 1)),
        at,
        window: Duration::from_secs(6 * 3600),
        class: Class::Person,
        rung: Rung::Fresh,
        pool_link: Some(PoolLinkId { kind: LinkKind::TrackingLink, number }),
        sent_to: None,
        visitor: VisitorKeys { came_with: None, given: Some(cookie), daily: cookie, lasting: Some(cookie) },
        request: RequestFacts {
            target: "/go/01KZ4M8Q2T7V9W3X5Y6B1C0DEF?fbclid=IwZXh0bgNhZW0BMABhZGlkAasR3n_aem_Q7kLmN2".into(),
            user_agent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15".into(),
            ..RequestFacts::default()
        },
        device: Device { kind: "Mobile".into(), browser: "Safari".into(), ..Device::default() },
        place: Place { country: Some("DE".into()), ..Place::default() },
        params: Params { utm_source: Some("meta".into()), ..Params::default() },
        cookies: AdCookies::default(),
    };
    let event = Event { team: TeamId(1), account, at, body: EventBody::click(click) };
    Recorded { journal: JournalId(1), sequence: number, event }
}
