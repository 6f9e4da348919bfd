use std::time::Duration;

use super::*;
use crate::{
    click::{AdCookies, Class, Device, Params, Place, RequestFacts, Rung, VisitorId, VisitorKeys},
    ids::{AccountId, ClickId, SmartLinkId, TeamId},
};

const HOUR: Duration = Duration::from_secs(3600);
const CLICKED: Timestamp = Timestamp(1_795_196_412_345);

/// A click with nothing odd about it, on any platform.
pub(crate) fn good() -> Click {
    let nobody = VisitorId(0);
    let text = |text: &str| Some(text.to_owned());
    Click {
        id: ClickId::from_bytes([1; 16]),
        team: TeamId(1),
        account: AccountId("acct_1".into()),
        link: SmartLinkId::from_bytes([2; 16]),
        at: CLICKED,
        window: 6 * HOUR,
        class: Class::Person,
        rung: Rung::Fresh,
        pool_link: None,
        sent_to: None,
        visitor: VisitorKeys { came_with: None, given: None, daily: nobody, lasting: None },
        request: RequestFacts {
            ip: "2001:db8::7".parse().ok(),
            user_agent: "Mozilla/5.0".to_owned(),
            ..RequestFacts::default()
        },
        device: Device::default(),
        place: Place {
            country: text("US"),
            region: text("CA"),
            city: text("Fresno"),
            postal_code: text("93650"),
        },
        params: Params {
            ecid: text("row-9"),
            fbclid: text("IwZXh0bgNhZW0BMABhZGlkAasR3n"),
            ttclid: text("E.C.P.CrwBq7Rk_9-xZ"),
            sccid: text("a1b2c3d4-e5f6-7890"),
            utm_campaign: text("fall"),
            ..Params::default()
        },
        cookies: AdCookies {
            fbp: text("fb.1.1795196412345.1098115397"),
            ttp: text("2F7h37YkS1j57AYSKTI7IHhJPYH"),
            scid: text("7c0d3b52-9b1a-4c55-8a77-2f0e5d1c9a10"),
            ..AdCookies::default()
        },
    }
}

fn look(platform: PlatformKind, click: &Click, name: &str, after: Duration, late: Duration) -> Lint {
    let source = ExternalIdSource::Ecid;
    let person = Identity::of(click, source);
    let occurred_at = click.at.plus(after);
    event(&Subject { platform, click, person: &person, source, name, occurred_at }, occurred_at.plus(late))
}

fn words(lint: &Lint) -> Vec<&str> {
    lint.warnings.iter().map(|warning| warning.word.as_str()).collect()
}

#[test]
fn a_good_event_has_no_warnings_and_the_best_that_can_be_had_without_contact_data() {
    for (platform, name) in [
        (PlatformKind::Meta, "Subscribe"),
        (PlatformKind::Tiktok, "CompletePayment"),
        (PlatformKind::Snapchat, "SIGN_UP"),
    ] {
        let lint = look(platform, &good(), name, HOUR, Duration::ZERO);
        assert_eq!((lint.warnings, lint.match_quality), (Vec::new(), Some(70)), "{platform:?}");
        assert!(lint.known.names().eq(Known::NAMES), "{platform:?}");
    }
    let lint = look(PlatformKind::Creatortraffic, &good(), "new_subscriber", HOUR, Duration::ZERO);
    assert_eq!(lint, Lint::default());
}

#[test]
fn every_oddity_has_its_word_and_says_why() {
    type Spoil = fn(&mut Click);
    use PlatformKind::{Meta, Snapchat, Tiktok};
    let cases: [(PlatformKind, Spoil, &str, &str); 17] = [
        (Meta, |c| c.params.ecid = Some("{{ad.id}}".into()), word::UNREPLACED_MACRO, "ecid is {{ad.id}}"),
        (
            Tiktok,
            |c| c.params.ttclid = Some("__CLICKID__".into()),
            word::UNREPLACED_MACRO,
            "ttclid is __CLICKID__",
        ),
        (
            Snapchat,
            |c| c.params.utm_campaign = Some("{{campaign.name}}".into()),
            word::UNREPLACED_MACRO,
            "utm_campaign",
        ),
        (
            Meta,
            |c| c.params.fbclid = Some("iwzxh0bgnhzw0bmabhzglkaasr3n".into()),
            word::CASE_CHANGED,
            "fbclid",
        ),
        (
            Meta,
            |c| c.cookies.fbc = Some("fb.1.1795196412345.iwzxh0bgnhzw0bmabhzglkaasr3n".into()),
            word::CASE_CHANGED,
            "fbclid",
        ),
        (Tiktok, |c| c.params.ttclid = Some("e.c.p.crwbq7rk".into()), word::CASE_CHANGED, "ttclid"),
        (Tiktok, |c| c.params.ttclid = Some("x".repeat(1001)), word::TTCLID_TOO_LONG, "left out"),
        (Meta, |c| c.request.ip = None, word::MISSING_PAIR, "the visitor's address"),
        (Snapchat, |c| c.request.user_agent = " ".into(), word::MISSING_PAIR, "the user agent"),
        (Tiktok, |c| c.request.ip = "10.0.0.1".parse().ok(), word::PRIVATE_IP, "edge.trusted_proxies"),
        (Meta, |c| c.cookies.fbc = Some("IwAR".into()), word::MALFORMED_COOKIE, "_fbc"),
        (Meta, |c| c.cookies.fbp = Some("fb.1.x.y".into()), word::MALFORMED_COOKIE, "_fbp"),
        (
            Meta,
            |c| c.params.ecid = Some("120210012345678901".into()),
            word::SHARED_EXTERNAL_ID,
            "id of an ad",
        ),
        (Tiktok, |c| c.params.ecid = Some("fall".into()), word::SHARED_EXTERNAL_ID, "id of an ad"),
        (Meta, |c| c.at = CLICKED.minus(91 * 24 * HOUR), word::CLICK_TOO_OLD, "91 days old"),
        (Tiktok, |c| c.at = CLICKED.minus(29 * 24 * HOUR), word::CLICK_TOO_OLD, "the last 28 days"),
        (Snapchat, |c| c.at = CLICKED.minus(29 * 24 * HOUR), word::CLICK_TOO_OLD, "snapchat"),
    ];
    for (platform, spoil, word, why) in cases {
        let mut click = good();
        spoil(&mut click);
        let name = if platform == Snapchat { "PURCHASE" } else { "Purchase" };
        let lint = look(platform, &click, name, CLICKED.since(click.at), Duration::ZERO);
        let found = lint.warnings.iter().find(|warning| warning.word == word);
        let found = found.unwrap_or_else(|| panic!("{word}: {:?}", lint.warnings));
        assert!(found.why.contains(why), "{found}");
    }
}

#[test]
fn names_that_a_platform_may_not_know_are_warned_of() {
    for (platform, name, warned) in [
        (PlatformKind::Snapchat, "LEAD", true),
        (PlatformKind::Snapchat, "sign_up", true),
        (PlatformKind::Snapchat, "CUSTOM_EVENT_6", true),
        (PlatformKind::Snapchat, "CUSTOM_EVENT_5", false),
        (PlatformKind::Meta, "My own event-2", false),
        (PlatformKind::Meta, "what?", true),
        (PlatformKind::Meta, "a name that is longer than the fifty characters it may have", true),
        (PlatformKind::Tiktok, "anything goes", false),
    ] {
        let lint = look(platform, &good(), name, HOUR, Duration::ZERO);
        assert_eq!(words(&lint).contains(&word::UNKNOWN_EVENT_NAME), warned, "{name}");
    }
}

#[test]
fn an_event_that_is_told_late_says_so() {
    let late = |minutes: u64| {
        let late = Duration::from_secs(minutes * 60);
        words(&look(PlatformKind::Meta, &good(), "Lead", HOUR, late)).contains(&word::LATE_EVENT)
    };
    assert!(!late(60) && late(61));
}

#[test]
fn match_quality_follows_the_platforms_own_order() {
    let quality = |platform, spoil: fn(&mut Click)| {
        let mut click = good();
        spoil(&mut click);
        let person = Identity::of(&click, ExternalIdSource::Ecid);
        match_quality(platform, Known::of(platform, &person)).unwrap()
    };
    use PlatformKind::{Meta, Snapchat, Tiktok};
    let no_click = quality(Meta, |c| c.params.fbclid = None);
    let no_device = quality(Meta, |c| c.request.ip = None);
    let no_place = quality(Meta, |c| c.place = Place::default());
    assert!(no_click < no_device && no_device < no_place && no_place < 70);
    assert!(quality(Meta, |c| c.request.ip = "203.0.113.7".parse().ok()) < 70, "IPv6 is preferred");
    assert!(quality(Tiktok, |c| c.params.ttclid = None) < quality(Tiktok, |c| c.params.ecid = None));
    assert!(quality(Snapchat, |c| c.params.sccid = None) < quality(Snapchat, |c| c.cookies.scid = None));
    let nobody = |c: &mut Click| {
        (c.params, c.cookies, c.place) = Default::default();
        c.request = RequestFacts::default();
    };
    assert_eq!(quality(Meta, nobody), 0);
}

#[test]
fn templates_are_looked_at_when_they_are_saved() {
    let warned = |url: &str| -> Vec<String> {
        postback::template(url, None, &[]).into_iter().map(|warning| warning.word).collect()
    };
    assert!(
        warned("https://t.example/?c={external_click_id}&a={amount_net}&cur={currency}&u={utm_id}").len()
            == 1
    );
    assert_eq!(warned("https://t.example/?c={clickid}"), [word::UNKNOWN_VARIABLE]);
    assert_eq!(warned("https://t.example/?a={amount_net}&currency=EUR"), [word::WRONG_CURRENCY]);
    assert!(warned("https://t.example/?a={amount_net}&currency=usd&cid=EUR").is_empty());
    let body =
        postback::template("https://t.example/", Some("{\"a\":\"{nope}\",\"b\":{amount_net}}"), &["{odd}"]);
    let why: Vec<_> = body.iter().map(|warning| warning.why.as_str()).collect();
    assert_eq!(why.len(), 2);
    assert!(why[0].contains("{nope}") && why[1].contains("{odd}"), "{why:?}");
}

#[test]
fn filled_templates_say_when_the_click_had_no_id() {
    let url = "https://t.example/?c={external_click_id}";
    let with = |ecid: Option<&str>| {
        let click = Click { params: Params { ecid: ecid.map(str::to_owned), ..Params::default() }, ..good() };
        let warnings = postback::filled(url, None, Some(&click));
        warnings.into_iter().map(|warning| warning.word).collect::<Vec<_>>()
    };
    assert_eq!(with(Some("ok")), Vec::<String>::new());
    assert_eq!(with(None), [word::MISSING_CLICK_ID]);
    assert_eq!(with(Some("{{ad.id}}")), [word::UNREPLACED_MACRO]);
    assert_eq!(postback::filled("https://t.example/?c={click_id}", None, None), Vec::new());
}
