use sl_core::{
    click::{Click, VisitorKeys},
    ids::SmartLinkId,
};

use super::*;

const SPAN: Duration = Duration::from_secs(6 * 3600);
const NOON: Timestamp = Timestamp(1_700_000_000_000);

fn target(number: u8, ecid: Option<&str>) -> Target {
    Target::new(SmartLinkId::from_bytes([number; 16]), ecid)
}

/// By what a visitor shows itself, whatever it visits.
#[derive(Debug, Clone, Copy)]
struct Shows {
    came_with: Option<VisitorId>,
    daily: VisitorId,
    yesterday: Option<VisitorId>,
}

impl Shows {
    fn at(self, window: &Window, target: Target, given: Option<u128>) -> Seen {
        let Self { came_with, daily, yesterday } = self;
        let given = given.map(|given| window.seek(VisitorId(given), target));
        Seen { came_with, daily: window.seek(daily, target), yesterday, given }
    }
}

fn seen(came_with: Option<u128>, daily: u128) -> Shows {
    Shows { came_with: came_with.map(VisitorId), daily: VisitorId(daily), yesterday: None }
}

fn entry(click: u8, target: Target, seen: &Shows, given: Option<u128>, at: Timestamp) -> Remembered {
    Remembered {
        click: ClickId::from_bytes([click; 16]),
        at,
        target,
        daily: seen.daily,
        given: given.map(VisitorId),
        rung: Rung::Fresh,
        pool_link: None,
        own: None,
        record: Record::kept(),
    }
}

/// What a visit without a click before it makes.
fn made(meeting: Meeting<()>) -> Arc<Remembered> {
    match meeting {
        Meeting::New((), Some(click)) => click,
        _ => panic!("the visitor was known, or its click refused"),
    }
}

pub(super) fn nobody() -> Arc<Remembered> {
    Arc::new(entry(0, target(0, None), &seen(None, 0), None, NOON))
}

/// The click that answers a visit: an earlier one, or `click`.
fn visit(window: &Window, click: u8, target: Target, seen: Shows, at: Timestamp) -> u8 {
    // The cookie is the one it came with, or stands for its first click.
    let given = seen.came_with.map_or(1000 + u128::from(click), |came| came.0);
    let meeting = window.meet(&seen.at(window, target, Some(given)), target, at, || {
        ((), Some(entry(click, target, &seen, Some(given), at)))
    });
    match meeting {
        Meeting::New((), made) => made.unwrap().click.to_bytes()[0],
        Meeting::Again(found) => found.click.to_bytes()[0],
    }
}

#[test]
fn nobody_waits_for_a_lock_only_to_have_something_fetched() {
    let (window, target) = (Window::new(SPAN, 100), target(1, None));
    let (say, heard) = std::sync::mpsc::channel();
    let another_visitors = window.0.shards[0].lock();
    let seeking = window.clone();
    let seeker = std::thread::spawn(move || {
        seeking.seek(VisitorId(7), target);
        say.send(())
    });
    // So long only if it waits.
    let is_heard = heard.recv_timeout(Duration::from_secs(20)).is_ok();
    drop(another_visitors);
    assert!(is_heard && seeker.join().unwrap().is_ok());
}

/// Two phones of one kind behind one address: who keeps no cookie stays with the click and the link of its own.
#[test]
fn a_visitor_with_a_cookie_takes_nobodys_place_who_looks_the_same() {
    let (window, target) = (Window::new(SPAN, 100), target(1, None));
    assert_eq!(visit(&window, 1, target, seen(None, 7), NOON), 1);
    assert_eq!(visit(&window, 2, target, seen(Some(66), 7), NOON), 2, "it comes with another cookie");
    assert_eq!(visit(&window, 3, target, seen(None, 7), NOON), 1);
    assert_eq!(visit(&window, 4, target, seen(Some(66), 7), NOON), 2);
    assert_eq!(visit(&window, 5, target, seen(Some(1001), 7), NOON), 1);
}

#[test]
fn the_same_visitor_link_and_ecid_is_the_same_click() {
    let window = Window::new(SPAN, 100);
    assert_eq!(visit(&window, 1, target(1, Some("a")), seen(None, 7), NOON), 1);
    assert_eq!(visit(&window, 2, target(1, Some("a")), seen(None, 7), NOON), 1);
    assert_eq!(visit(&window, 3, target(1, Some("b")), seen(None, 7), NOON), 3, "another ecid");
    assert_eq!(visit(&window, 4, target(2, Some("a")), seen(None, 7), NOON), 4, "another link");
    assert_eq!(visit(&window, 5, target(1, Some("a")), seen(None, 8), NOON), 5, "another visitor");
}

#[test]
fn the_window_ends_and_does_not_slide() {
    let window = Window::new(SPAN, 100);
    let last = NOON.plus(SPAN - Duration::from_millis(1));
    visit(&window, 1, target(1, None), seen(None, 7), NOON);
    assert_eq!(visit(&window, 2, target(1, None), seen(None, 7), last), 1);
    assert_eq!(visit(&window, 3, target(1, None), seen(None, 7), NOON.plus(SPAN)), 3);
}

#[test]
fn a_cookie_finds_its_click_from_another_network_and_then_the_fingerprint_does() {
    let window = Window::new(SPAN, 100);
    visit(&window, 1, target(1, None), seen(None, 7), NOON);
    assert_eq!(visit(&window, 2, target(1, None), seen(Some(1001), 99), NOON), 1);
    assert_eq!(visit(&window, 3, target(1, None), seen(None, 99), NOON), 1, "now known by that network too");
}

#[test]
fn a_cookie_tells_two_visitors_behind_one_address_apart() {
    let window = Window::new(SPAN, 100);
    assert_eq!(visit(&window, 1, target(1, None), seen(Some(55), 7), NOON), 1);
    assert_eq!(visit(&window, 2, target(1, None), seen(Some(66), 7), NOON), 2);
    assert_eq!(visit(&window, 3, target(1, None), seen(Some(55), 7), NOON), 1);
    assert_eq!(visit(&window, 4, target(1, None), seen(Some(66), 7), NOON), 2);
}

#[test]
fn yesterdays_fingerprint_finds_a_click_across_the_rotation() {
    let window = Window::new(SPAN, 100);
    visit(&window, 1, target(1, None), seen(None, 7), NOON);
    let after = Shows { yesterday: Some(VisitorId(7)), ..seen(None, 8) };
    assert_eq!(visit(&window, 2, target(1, None), after, NOON), 1);
    assert_eq!(visit(&window, 3, target(1, None), seen(None, 8), NOON), 1);
}

#[test]
fn the_oldest_leave_first_and_are_counted() {
    let window = Window::new(SPAN, 3);
    for number in 1..=4 {
        visit(&window, number, target(1, None), seen(None, u128::from(number)), NOON);
    }
    assert_eq!((window.keys(), window.evicted()), (6, 2));
    assert_eq!(visit(&window, 9, target(1, None), seen(None, 4), NOON), 4, "the newest stays");
    assert_eq!(visit(&window, 8, target(1, None), seen(None, 1), NOON), 8, "the oldest left");
}

#[test]
fn a_window_through_which_many_pass_holds_the_last_of_them() {
    let window = Window::new(SPAN, 100);
    // Numbers that are nobody's cookie here.
    for number in 10_000..15_000 {
        visit(&window, 1, target(1, None), seen(None, number), NOON);
        // Somebody whose earlier click is over, or was lost.
        let (who, what) = (seen(None, number % 7), target(2, None));
        let seen = who.at(&window, what, None);
        let meeting = window.meet(&seen, what, NOON, || ((), Some(entry(2, what, &who, None, NOON))));
        window.withdraw(&made(meeting));
    }
    let known = |number| window.find(VisitorId(number), target(1, None), NOON).is_some();
    assert!((14_950..15_000).all(known), "the newest stay");
    assert!(!(10_000..14_800).any(known), "the oldest left");
    assert!(window.keys() <= 200);
    let over = NOON.plus(SPAN);
    let newcomers = 1..=4;
    for number in newcomers.clone() {
        visit(&window, number, target(3, None), seen(None, u128::from(number)), over);
    }
    assert_eq!(window.keys(), 2 * newcomers.count(), "what is over leaves, some for each who comes");
}

#[test]
fn a_new_click_takes_the_memory_of_one_that_has_left_and_nobody_looks_at() {
    let (window, what) = (Window::new(SPAN, 4), target(1, None));
    let tap = |number: u8| {
        let who = seen(None, u128::from(number));
        let seen = who.at(&window, what, None);
        made(window.meet(&seen, what, NOON, || ((), Some(entry(number, what, &who, None, NOON)))))
    };
    let looked_at = tap(1);
    let leaves = Arc::as_ptr(&tap(2));
    // Eight keys have room: the ninth makes the first leave, the tenth the second.
    (3..=10).for_each(|number| drop(tap(number)));
    // Whatever the allocator has to give goes here.
    let others: Vec<_> = (0..100).map(|_| Arc::new(entry(0, what, &seen(None, 0), None, NOON))).collect();
    let next = tap(11);
    assert_eq!(Arc::as_ptr(&next), leaves);
    assert!(others.iter().all(|other| Arc::as_ptr(other) != leaves));
    assert_eq!((next.click.to_bytes()[0], next.daily), (11, VisitorId(11)), "all of it is new");
    assert_eq!(looked_at.click.to_bytes()[0], 1, "what somebody looks at stays as it was");
}

#[test]
fn what_is_over_leaves_without_being_counted() {
    let window = Window::new(SPAN, 100);
    visit(&window, 1, target(1, None), seen(None, 1), NOON);
    visit(&window, 2, target(1, None), seen(None, 2), NOON.plus(SPAN));
    assert_eq!((window.keys(), window.evicted()), (2, 0));
}

#[test]
fn a_key_that_an_old_click_got_late_takes_nobody_along() {
    // In one shard, of which 16 rows leave together.
    let (window, what) = (Window::new(SPAN, 5000), target(1, None));
    visit(&window, 1, what, seen(Some(55), 7), NOON);
    let late = NOON.plus(SPAN - Duration::from_secs(60));
    for number in 2..8 {
        visit(&window, number, what, seen(None, 100 + u128::from(number)), late);
    }
    // The first comes from two more networks: its new rows are the 15th and the 16th.
    assert_eq!(visit(&window, 9, what, seen(Some(55), 8), late), 1);
    assert_eq!(visit(&window, 9, what, seen(Some(55), 9), late), 1);
    let over = NOON.plus(SPAN);
    for number in 20..30 {
        visit(&window, number, what, seen(None, u128::from(number)), over);
        assert_eq!(window.evicted(), 0, "the window is not full");
    }
    let known = |number| window.find(VisitorId(number), what, over).is_some();
    assert!((102..108).all(known), "nobody leaves early");
    assert_eq!(window.keys(), 2 * 6 + 2 + 2 * 10, "what is at the front and over has left");
    visit(&window, 30, what, seen(None, 30), over.plus(SPAN));
    assert_eq!(
        (window.keys(), window.evicted()),
        (2, 0),
        "the late keys of the first went with their neighbours"
    );
}

#[test]
fn a_click_that_was_lost_is_forgotten() {
    let window = Window::new(SPAN, 100);
    let (who, what) = (seen(None, 7), target(1, None));
    let seen = who.at(&window, what, Some(1001));
    let lost = made(window.meet(&seen, what, NOON, || ((), Some(entry(1, what, &who, Some(1001), NOON)))));
    window.withdraw(&lost);
    assert_eq!((window.keys(), visit(&window, 2, what, who, NOON)), (0, 2));
    window.withdraw(&lost);
    assert_eq!(visit(&window, 3, what, who, NOON), 2, "a newer click under the same key stays");
}

#[test]
fn a_click_that_was_lost_is_forgotten_under_every_key_it_was_met_by() {
    let (window, what) = (Window::new(SPAN, 100), target(1, None));
    let who = seen(Some(55), 7);
    let first = who.at(&window, what, Some(55));
    let lost = made(window.meet(&first, what, NOON, || {
        ((), Some(Remembered { record: Record::default(), ..entry(1, what, &who, Some(55), NOON) }))
    }));
    // While its record is under way the visitor comes from another network, and goes on without the cookie.
    let elsewhere = seen(Some(55), 8);
    assert_eq!(visit(&window, 2, what, elsewhere, NOON), 1);
    window.withdraw(&lost);
    assert_eq!(all_kept(&window), Some(vec![]), "what has no record is nothing that may be lost");
    assert_eq!(visit(&window, 3, what, seen(None, 8), NOON), 3);
    lost.stored();
    assert!(lost.is_lost() && !lost.is_stored(), "a repeat learns of its own record only");
}

#[test]
fn a_refused_click_is_not_remembered() {
    let window = Window::new(SPAN, 100);
    let what = target(1, None);
    let _ = window.meet(&seen(None, 7).at(&window, what, Some(1001)), what, NOON, || ((), None));
    assert_eq!(window.keys(), 0);
}

#[test]
fn two_taps_at_once_are_one_click() {
    let window = Window::new(SPAN, 100);
    let gate = Arc::new(std::sync::Barrier::new(4));
    let taps: Vec<_> = (1..=4)
        .map(|number| {
            let (window, gate) = (window.clone(), Arc::clone(&gate));
            std::thread::spawn(move || {
                gate.wait();
                visit(&window, number, target(1, None), seen(None, 7), NOON)
            })
        })
        .collect();
    let answers: Vec<_> = taps.into_iter().map(|tap| tap.join().unwrap()).collect();
    assert!(answers.iter().all(|click| *click == answers[0]), "{answers:?}");
}

#[test]
fn one_cookie_from_several_networks_at_once_is_one_click() {
    for round in 0..100 {
        let window = Window::new(SPAN, 100_000);
        let gate = Arc::new(std::sync::Barrier::new(4));
        let taps: Vec<_> = (1..=4_u8)
            .map(|number| {
                let (window, gate) = (window.clone(), Arc::clone(&gate));
                std::thread::spawn(move || {
                    gate.wait();
                    visit(&window, number, target(1, None), seen(Some(55), 1000 + u128::from(number)), NOON)
                })
            })
            .collect();
        let answers: Vec<_> = taps.into_iter().map(|tap| tap.join().unwrap()).collect();
        assert!(answers.iter().all(|click| *click == answers[0]), "round {round}: {answers:?}");
    }
}

#[test]
fn the_clicks_of_a_rebuild_are_bounded_by_what_the_window_holds() {
    let window = Window::new(SPAN, 10);
    let mut rebuild = window.rebuild(NOON);
    for number in 0..10_000_u128 {
        let id = ClickId::from_bytes((number << 8).to_be_bytes());
        let click = Click { id, ..journaled(1, Rung::Overflow, Class::Person, NOON) };
        let visit = Visit { daily: VisitorId(number), ..Visit::of(&click).unwrap() };
        assert!(rebuild.visit(&visit));
        assert!(rebuild.clicks.len() <= 2048);
    }
    let last = rebuild.clicks.last().unwrap().click;
    assert_eq!(last, ClickId::from_bytes((9_999_u128 << 8).to_be_bytes()));
}

fn journaled(number: u8, rung: Rung, class: Class, at: Timestamp) -> Click {
    Click {
        id: ClickId::from_bytes([number; 16]),
        team: sl_core::ids::TeamId(1),
        account: "acct_1".into(),
        link: SmartLinkId::from_bytes([1; 16]),
        at,
        window: SPAN,
        class,
        rung,
        pool_link: "c5".parse().ok(),
        visitor: VisitorKeys {
            came_with: None,
            given: Some(VisitorId(1000 + u128::from(number))),
            daily: VisitorId(u128::from(number)),
            lasting: None,
        },
        sent_to: None,
        request: sl_core::click::RequestFacts::default(),
        device: sl_core::click::Device::default(),
        place: sl_core::click::Place::default(),
        params: sl_core::click::Params::default(),
        cookies: sl_core::click::AdCookies::default(),
    }
}

use sl_core::{
    click::{Class, Repeat},
    visitor::Visit,
};

#[test]
fn the_window_is_rebuilt_from_clicks_and_repeats() {
    let window = Window::new(SPAN, 100);
    let mut rebuild = window.rebuild(NOON.plus(SPAN / 2));
    let past = |number, rung, sent_to: Option<&str>, at| {
        let mut click = journaled(number, rung, Class::Person, at);
        click.sent_to = sent_to.map(Box::from);
        Visit::of(&click).unwrap()
    };
    assert!(rebuild.visit(&past(1, Rung::Fresh, Some("https://onlyfans.com/n/c5"), NOON)));
    assert!(rebuild.visit(&past(2, Rung::Overflow, None, NOON)));
    assert!(!rebuild.visit(&past(3, Rung::Fresh, None, NOON)), "nobody knows where it leads");
    assert!(!rebuild.visit(&past(5, Rung::Overflow, None, NOON.minus(SPAN))), "over");
    assert_eq!(Visit::of(&journaled(4, Rung::Overflow, Class::Bot, NOON)), None);
    let mut keys = journaled(1, Rung::Fresh, Class::Person, NOON).visitor;
    keys.daily = VisitorId(77);
    let link = SmartLinkId::from_bytes([1; 16]);
    let click = ClickId::from_bytes([1; 16]);
    rebuild.repeat(&Repeat { click, link, at: NOON, pool_link: None, visitor: keys });
    drop(rebuild);
    let at = NOON.plus(SPAN / 2);
    assert_eq!(visit(&window, 9, target(1, None), seen(None, 1), at), 1);
    assert_eq!(visit(&window, 9, target(1, None), seen(Some(1001), 50), at), 1);
    assert_eq!(visit(&window, 9, target(1, None), seen(None, 77), at), 1, "as the repeat came");
    assert_eq!(visit(&window, 9, target(1, None), seen(None, 2), at), 2);
    assert_eq!(visit(&window, 9, target(1, None), seen(None, 3), at), 9);
}

/// What the next start is told.
fn all_kept(window: &Window) -> Option<Vec<Kept>> {
    let mut all = Vec::new();
    window.kept(|kept| all.push(kept)).then_some(all)
}

#[test]
fn after_an_ordered_stop_every_visitor_is_known_by_everything_it_was_known_by() {
    use rand::{RngExt as _, SeedableRng as _};
    let chance = &mut rand::rngs::StdRng::seed_from_u64(3);
    // In one shard before, in four afterwards.
    let (before, after) = (Window::new(SPAN, 100), Window::new(SPAN, 20_000));
    let mut any = || {
        let came_with = chance.random_bool(0.5).then(|| chance.random_range(1000..1060));
        let yesterday = chance.random_bool(0.2).then(|| VisitorId(chance.random_range(0..20)));
        let seen = Shows { yesterday, ..seen(came_with, chance.random_range(0..20)) };
        (target(chance.random_range(0..2), None), seen)
    };
    for number in 1..=60 {
        let (what, who) = any();
        visit(&before, number, what, who, NOON.plus(Duration::from_secs(u64::from(number))));
    }
    let now = NOON.plus(SPAN / 2);
    let all = all_kept(&before).unwrap();
    assert!(all.iter().any(|kept| !kept.also.is_empty()), "somebody is known by more than the click says");
    let mut rebuild = after.rebuild(now);
    // These clicks lead nowhere of their own.
    let over = |Kept { visit, also }| Kept { visit: Visit { rung: Rung::Overflow, ..visit }, also };
    let (all, mut told) = (all.into_iter().map(over).collect::<Vec<_>>(), Vec::new());
    rebuild.kept(&all, |visit| told.push(visit.click));
    drop(rebuild);
    assert_eq!(told, all.iter().map(|kept| kept.visit.click).collect::<Vec<_>>());
    assert_eq!(before.keys(), after.keys());
    for _ in 0..2000 {
        let (what, who) = any();
        let known = |window: &Window| {
            let ways = [who.came_with, who.yesterday, Some(who.daily)];
            ways.map(|way| way.and_then(|way| window.find(way, what, now)).map(|found| found.click))
        };
        assert_eq!(known(&before), known(&after), "{who:?}");
    }
}

#[test]
fn nothing_is_kept_while_a_click_may_be_lost() {
    let window = Window::new(SPAN, 100);
    visit(&window, 1, target(1, None), seen(None, 7), NOON);
    let (who, what) = (seen(None, 8), target(1, None));
    let seen = who.at(&window, what, None);
    let under_way = made(window.meet(&seen, what, NOON, || {
        ((), Some(Remembered { record: Record::default(), ..entry(2, what, &who, None, NOON) }))
    }));
    assert_eq!(all_kept(&window), None);
    under_way.stored();
    assert_eq!(all_kept(&window).map(|all| all.len()), Some(2));
}
