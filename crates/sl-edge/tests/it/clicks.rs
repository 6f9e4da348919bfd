//! What a click is: rows, links, cookies, repeats.

use std::{collections::HashSet, time::Duration};

use sl_core::{
    click::{Class, Rung},
    pool::StockKey,
};

use crate::rig::{BOT, IPHONE, NOON, OVERFLOW, PROFILE, Rig, go, key, number, other};

#[test]
fn a_click_keeps_everything_that_later_stages_need() {
    let rig = Rig::with(|config| config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]);
    let query = "?ecid=ad+7&fbclid=IwAR1&gclid=G&gbraid=GB&wbraid=WB&ttclid=T&ScCid=S&aff_s1=a&aff_s5=e\
                 &utm_source=meta&utm_medium=m&utm_campaign=c&utm_content=k&utm_term=t&twclid=X&other=no";
    let headers = [
        ("X-Forwarded-For", "8.8.8.8"),
        ("Referer", "https://l.instagram.com/?u=x"),
        ("Accept-Language", "en-GB,en;q=0.9"),
        ("Cookie", "_fbp=fb.1.2.3; _ttp=P"),
    ];
    rig.visit(&go(query), &headers);
    let click = rig.clicks().remove(0);
    assert_eq!((click.team.0, click.account.as_str()), (1, "acct_1"));
    assert_eq!((click.at, click.window), (crate::rig::NOON, Duration::from_secs(21_600)));
    assert_eq!(click.id.0.timestamp_ms(), 1_767_268_800_000);
    assert_eq!((click.class, click.rung, click.pool_link), (Class::Person, Rung::Fresh, Some(number(1))));
    assert_eq!(click.request.target, go(query));
    assert_eq!(click.request.ip, Some("8.8.8.8".parse().unwrap()));
    assert_eq!(click.request.user_agent, IPHONE);
    assert_eq!(click.request.referrer.as_deref(), Some("l.instagram.com"));
    assert_eq!(click.request.accept_language.as_deref(), Some("en-GB,en;q=0.9"));
    let device = [&click.device.kind, &click.device.browser, &click.device.family, &click.device.platform];
    assert_eq!(device, ["Mobile", "Safari", "Safari", "iOS"]);
    assert_eq!(click.place.country.as_deref(), Some("US"));
    assert_eq!(click.params.ecid.as_deref(), Some("ad 7"));
    assert_eq!(click.params.sccid.as_deref(), Some("S"));
    assert_eq!(click.params.utm_source.as_deref(), Some("meta"));
    assert_eq!(click.params.aff_s5.as_deref(), Some("e"));
    assert_eq!(click.cookies.fbp.as_deref(), Some("fb.1.2.3"));
    assert_eq!(click.cookies.ttp.as_deref(), Some("P"));
    assert!(click.visitor.lasting.is_some_and(|lasting| lasting != click.visitor.daily));
}

#[test]
fn a_forwarded_address_is_believed_from_trusted_proxies_only() {
    let rig = Rig::start();
    rig.visit(&go(""), &[("X-Forwarded-For", "8.8.8.8")]);
    assert_eq!(rig.clicks()[0].request.ip, Some("127.0.0.1".parse().unwrap()));
}

#[test]
fn the_cookie_is_first_party_lasting_and_out_of_reach_of_scripts() {
    let rig = Rig::start();
    let answer = rig.visit(&go(""), &[]);
    let line = answer.header("set-cookie").unwrap();
    for part in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age=34560000"] {
        assert!(line.split("; ").any(|found| found == part), "{line}");
    }
    let click = rig.clicks().remove(0);
    let given = click.visitor.given.unwrap().to_string();
    assert_eq!(answer.cookie(), Some(format!("sl_v={given}")));
    assert_eq!(click.visitor.came_with, None);
}

#[test]
fn a_visitor_keeps_the_cookie_it_came_with() {
    let rig = Rig::start();
    let cookie = rig.visit(&go("?ecid=1"), &[]).cookie().unwrap();
    let again = rig.visit(&go("?ecid=2"), &[("Cookie", &cookie)]);
    assert_eq!(again.cookie().as_ref(), Some(&cookie));
    let second = rig.clicks().remove(1);
    assert_eq!(second.visitor.came_with, second.visitor.given);
}

#[test]
fn without_cookies_none_is_read_or_set() {
    let rig = Rig::with(|config| config.cookie = false);
    let answer = rig.visit(&go(""), &[("Cookie", "sl_v=000102030405060708090a0b0c0d0e0f")]);
    assert_eq!(answer.header("set-cookie"), None);
    let visitor = rig.clicks().remove(0).visitor;
    assert_eq!((visitor.came_with, visitor.given), (None, None));
}

#[test]
fn a_repeat_gets_the_same_click_and_link_and_makes_no_row() {
    let rig = Rig::start();
    let first = rig.visit(&go("?ecid=a"), &[]);
    let second = rig.visit(&go("?ecid=a&utm_source=other"), &[]);
    assert_eq!(first.location(), second.location());
    assert_eq!(first.cookie(), second.cookie(), "two cookieless taps get the same one");
    let with_cookie =
        rig.visit(&go("?ecid=a"), &[("Cookie", &first.cookie().unwrap()), ("Accept-Language", "fr")]);
    assert_eq!(with_cookie.location(), first.location(), "found by its cookie");
    let (clicks, repeats) = (rig.clicks(), rig.repeats());
    assert_eq!((clicks.len(), repeats.len()), (1, 2));
    assert!(repeats.iter().all(|repeat| repeat.click == clicks[0].id && repeat.pool_link == Some(number(1))));
}

#[test]
fn another_ecid_or_visitor_or_link_is_a_new_click_with_a_link_of_its_own() {
    let rig = Rig::start();
    let (second, link) = other(5, |_| {});
    rig.links.apply(vec![link]);
    let places = [
        rig.visit(&go("?ecid=a"), &[]),
        rig.visit(&go("?ecid=b"), &[]),
        rig.visit(&format!("/go/{second}?ecid=a"), &[]),
        rig.visit(&go("?ecid=a"), &[("Accept-Language", "de")]),
    ];
    let ends: Vec<_> =
        places.iter().map(|answer| answer.location().rsplit('/').next().unwrap_or("")).collect();
    assert_eq!(ends, ["c1", "c2", "c3", "c4"]);
}

#[test]
fn two_visitors_behind_one_address_with_the_same_phone_are_told_apart_by_cookie() {
    let rig = Rig::start();
    let cookie = |number: u8| format!("sl_v={:032x}", u128::from(number));
    let first = rig.visit(&go(""), &[("Cookie", &cookie(1))]);
    let second = rig.visit(&go(""), &[("Cookie", &cookie(2))]);
    assert_ne!(first.location(), second.location());
    assert_eq!(rig.visit(&go(""), &[("Cookie", &cookie(1))]).location(), first.location());
}

#[test]
fn the_window_ends_after_its_span() {
    let rig = Rig::start();
    let first = rig.visit(&go(""), &[]);
    rig.clock.advance(Duration::from_secs(6 * 3600 - 1));
    assert_eq!(rig.visit(&go(""), &[]).location(), first.location());
    rig.clock.advance(Duration::from_secs(1));
    assert_ne!(rig.visit(&go(""), &[]).location(), first.location());
    assert_eq!(rig.clicks().len(), 2);
}

#[test]
fn a_repeat_across_midnight_is_still_a_repeat() {
    let rig = Rig::start();
    // From noon to 21:00, then to 02:00 under another salt.
    rig.clock.advance(Duration::from_secs(9 * 3600));
    let first = rig.visit(&go(""), &[]);
    rig.clock.advance(Duration::from_secs(5 * 3600));
    assert_eq!(rig.visit(&go(""), &[]).location(), first.location());
    assert_eq!((rig.clicks().len(), rig.repeats().len()), (1, 1));
}

#[test]
fn a_clock_that_steps_back_loses_nobody_and_gives_no_link_twice() {
    let rig = Rig::start();
    let first = rig.visit(&go("?ecid=a"), &[]);
    // Across midnight, too: the day's salt is an earlier one.
    for back in [1, 3600, 13 * 3600] {
        rig.clock.set(NOON.minus(Duration::from_secs(back)));
        let fresh = rig.visit(&go(&format!("?ecid=back{back}")), &[]);
        assert_eq!(fresh.status, 302);
        assert_ne!(fresh.location(), first.location());
        let cookie = first.cookie().unwrap();
        assert_eq!(
            rig.visit(&go("?ecid=a"), &[("Cookie", &cookie)]).location(),
            first.location(),
            "back {back} s"
        );
    }
    let clicks = rig.clicks();
    let links: HashSet<_> = clicks.iter().map(|click| click.pool_link).collect();
    let ids: HashSet<_> = clicks.iter().map(|click| click.id).collect();
    assert_eq!((clicks.len(), links.len(), ids.len()), (4, 4, 4));
    rig.clock.set(NOON);
    assert_eq!(rig.visit(&go("?ecid=a"), &[]).location(), first.location(), "and forward again");
}

#[test]
fn bots_take_no_link_and_end_where_people_end() {
    let rig = Rig::start();
    for _ in 0..3 {
        let answer = rig.ask("GET", &go(""), &[("User-Agent", BOT)]);
        assert_eq!((answer.status, answer.location(), answer.cookie()), (302, OVERFLOW, None));
    }
    let preview = [("User-Agent", "facebookexternalhit/1.1")];
    assert_eq!(rig.ask("GET", &go(""), &preview).location(), OVERFLOW);
    let clicks = rig.clicks();
    assert_eq!(clicks.len(), 4, "bots have rows");
    assert!(clicks.iter().all(|click| click.class == Class::Bot && click.rung == Rung::Overflow));
    assert!(clicks.iter().all(|click| click.visitor.given.is_none()));
    assert_eq!(rig.visit(&go(""), &[]).location(), "https://onlyfans.com/nova/c1");
}

#[test]
fn the_ladder_goes_down_to_overflow_and_profile_and_a_repeat_stays_on_its_rung() {
    let rig = Rig::start();
    let (bare, link) = other(5, |link| {
        link.stock = StockKey { account: "acct_empty".into(), ..key() };
        link.overflow = None;
    });
    let (shared, with) = other(6, |link| link.stock = StockKey { account: "acct_empty".into(), ..key() });
    rig.links.apply(vec![link, with]);
    for _ in 0..2 {
        assert_eq!(rig.visit(&format!("/go/{shared}"), &[]).location(), OVERFLOW);
        assert_eq!(rig.visit(&format!("/go/{bare}"), &[]).location(), PROFILE);
    }
    let rungs: Vec<_> = rig.clicks().iter().map(|click| (click.rung, click.pool_link)).collect();
    assert_eq!(rungs, [(Rung::Overflow, Some(number(900))), (Rung::Profile, None)]);
    let repeats: Vec<_> = rig.repeats().iter().map(|repeat| repeat.pool_link).collect();
    assert_eq!(repeats, [None, None], "none is of a link of the visitor's own");
    let empty: Vec<_> = rig.stock.wanted(std::time::Instant::now());
    assert!(empty.iter().any(|want| want.stock.account.as_str() == "acct_empty" && want.missed == 2));
}

#[test]
fn a_paused_link_hands_nothing_out_and_keeps_a_row() {
    let rig = Rig::start();
    let own = rig.visit(&go(""), &[]).location().to_owned();
    let mut asleep = crate::rig::link();
    asleep.paused = true;
    rig.links.apply(vec![asleep]);
    assert_eq!(rig.visit(&go(""), &[]).location(), PROFILE, "a repeat too");
    assert_eq!(rig.visit(&go("?ecid=new"), &[]).location(), PROFILE);
    rig.links.apply(vec![crate::rig::link()]);
    assert_eq!(rig.visit(&go(""), &[]).location(), own);
    assert_eq!(rig.clicks()[1].rung, Rung::Profile);
}

#[test]
fn after_a_restart_a_repeat_still_gets_its_click_and_link() {
    let before = Rig::start();
    let first = before.visit(&go("?ecid=a"), &[]);
    before.visit(&go("?ecid=a"), &[]);
    let after = Rig::start();
    let mut rebuild = after.window.rebuild(crate::rig::NOON);
    for click in before.clicks() {
        assert_eq!(click.sent_to.as_deref(), Some(first.location()));
        assert!(rebuild.visit(&sl_core::visitor::Visit::of(&click).unwrap()));
    }
    for repeat in before.repeats() {
        rebuild.repeat(&repeat);
    }
    drop(rebuild);
    let again = after.visit(&go("?ecid=a"), &[]);
    assert_eq!((again.location(), again.cookie()), (first.location(), first.cookie()));
    assert_eq!(after.repeats()[0].click, before.clicks()[0].id);
}
