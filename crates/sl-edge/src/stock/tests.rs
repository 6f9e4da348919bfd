use sl_core::{
    ids::{LinkKind, TeamId},
    time::Timestamp,
};

use super::{state::SLICE, *};

const HOUR: Duration = Duration::from_secs(3600);

fn key() -> StockKey {
    StockKey { account: "acct_1".into(), kind: LinkKind::TrackingLink, trial_days: None }
}

fn id(number: u64) -> PoolLinkId {
    PoolLinkId { kind: LinkKind::TrackingLink, number }
}

fn link(number: u64) -> PoolLink {
    PoolLink {
        id: id(number),
        team: TeamId(1),
        stock: key(),
        url: format!("https://onlyfans.com/nova/c{number}"),
        ordinal: number,
        created_at: Timestamp(0),
    }
}

fn block(fence: u64, numbers: impl IntoIterator<Item = u64>) -> StockBlock {
    let links = numbers.into_iter().map(|number| (link(number), number % 2 == 0)).collect();
    StockBlock { fence, stock: key(), links, good_for: HOUR }
}

fn taken(stock: &Stock, now: Instant) -> Option<u64> {
    stock.shelf(&key()).take(now).map(|taken| taken.id.number)
}

#[test]
fn links_leave_in_order_and_each_once() {
    let (stock, now) = (Stock::default(), Instant::now());
    assert_eq!(stock.put_block(block(1, 1..3), now), vec![]);
    stock.put_block(block(2, 3..5), now);
    let first = stock.shelf(&key()).take(now).unwrap();
    assert_eq!((first.id.number, first.recycled), (1, false));
    assert_eq!(first.location, "https://onlyfans.com/nova/c1");
    assert_eq!([2, 3, 4].map(Some), [(); 3].map(|()| taken(&stock, now)));
    assert_eq!(taken(&stock, now), None);
    let spent: Vec<_> = stock.expire(now).into_iter().map(|over| (over.fence, over.unused)).collect();
    assert_eq!(spent, vec![(1, vec![]), (2, vec![])]);
    assert_eq!(stock.expire(now), vec![], "each block is reported once");
}

#[test]
fn a_lease_is_not_used_in_its_last_minute_unless_renewed() {
    let (stock, start) = (Stock::default(), Instant::now());
    stock.put_block(block(1, 1..4), start);
    let late = start + HOUR - MARGIN;
    assert_eq!(taken(&stock, late - Duration::from_millis(1)), Some(1));
    assert!(stock.renewed(&key(), 1, HOUR, start + HOUR / 2));
    assert_eq!(taken(&stock, late), Some(2));
    assert_eq!(taken(&stock, late + HOUR / 2), None);
    assert_eq!(stock.expire(late + HOUR / 2), vec![Returned { fence: 1, stock: key(), unused: vec![id(3)] }]);
    assert!(!stock.renewed(&key(), 1, HOUR, late), "it is gone");
}

#[test]
fn a_link_put_back_is_the_next_one_again_wherever_its_block_went() {
    let (stock, now) = (Stock::default(), Instant::now());
    stock.put_block(block(1, 1..3), now);
    let shelf = stock.shelf(&key());
    let first = shelf.take(now).unwrap();
    shelf.put_back(first);
    let (first, second) = (shelf.take(now).unwrap(), shelf.take(now).unwrap());
    assert_eq!(first.id, id(1));
    assert!(shelf.take(now).is_none(), "which ends the block");
    shelf.put_back(second);
    assert_eq!(stock.expire(now), vec![Returned { fence: 1, stock: key(), unused: vec![id(2)] }]);
    shelf.put_back(first);
    assert_eq!(stock.drain_unused(), vec![], "its lease is over: it passes quarantine");
}

#[test]
fn what_is_left_is_given_back_at_shutdown() {
    let (stock, now) = (Stock::default(), Instant::now());
    stock.put_block(block(7, 1..4), now);
    taken(&stock, now);
    assert_eq!(stock.drain_unused(), vec![Returned { fence: 7, stock: key(), unused: vec![id(2), id(3)] }]);
    assert_eq!(taken(&stock, now), None);
}

#[test]
fn demand_decides_how_much_is_wanted() {
    let (stock, start) = (Stock::default(), Instant::now());
    let _shelf = stock.shelf(&key());
    assert_eq!(stock.wanted(start)[0].want, STARTER, "the first visitors find something");
    stock.put_block(block(1, 0..16), start);
    assert_eq!(stock.wanted(start)[0].want, STARTER - 16);
    for _ in 0..16 {
        taken(&stock, start);
    }
    // 16 in the first moments: read as 160 in ten minutes, and half as much again.
    assert_eq!(stock.wanted(start)[0], Want { stock: key(), on_hand: 0, want: 496, asked: 16, missed: 0 });
    stock.put_block(block(2, 16..16 + 256), start);
    assert_eq!(stock.wanted(start)[0].want, 240);
    assert_eq!(stock.wanted(start + SLICE)[0].want, 24, "the slice turned: 16 in ten minutes");
    assert_eq!(stock.wanted(start + 3 * SLICE)[0].want, 0, "and was forgotten");
}

#[test]
fn an_edge_of_many_wants_few_links_of_a_stock_that_nobody_asks_it_for() {
    let (stock, start) = (Stock::of_many(0, 10), Instant::now());
    let _shelf = stock.shelf(&key());
    assert_eq!(stock.wanted(start)[0].want, 10);
    stock.put_block(block(1, 0..10), start);
    assert_eq!(stock.wanted(start)[0].want, 0);
    taken(&stock, start);
    // One in the first moments is read as ten in ten minutes, and half as much again.
    assert_eq!(stock.wanted(start)[0], Want { stock: key(), on_hand: 9, want: 16, asked: 1, missed: 0 });
    assert_eq!(stock.wanted(start + 3 * SLICE)[0].want, 1, "and was forgotten");
    for (idle, want) in [(0, 1), (1000, BLOCK)] {
        let stock = Stock::of_many(0, idle);
        let _shelf = stock.shelf(&key());
        assert_eq!(stock.wanted(start)[0].want, want);
    }
}

#[test]
fn what_was_asked_for_before_a_start_is_expected_after_it() {
    let (stock, start) = (Stock::default(), Instant::now());
    stock.expect(&key(), 400, start);
    assert_eq!(stock.wanted(start), vec![], "no Smart Link draws from it");
    let _shelf = stock.shelf(&key());
    stock.expect(&key(), 400, start);
    for fence in 0..3 {
        stock.put_block(block(fence, fence * 256..(fence + 1) * 256), start);
    }
    assert_eq!(stock.wanted(start)[0].want, 256 + 600 - 768, "a block more than half as much again");
    assert_eq!(stock.wanted(start + 2 * SLICE)[0].want, 0, "not for ever");
}

#[test]
fn a_link_that_is_no_web_address_is_refused_and_named() {
    let stock = Stock::default();
    let mut bad = block(1, 1..3);
    bad.links[0].0.url = "https://x/\r\nSet-Cookie: a=b".to_owned();
    assert_eq!(stock.put_block(bad, Instant::now()), vec![id(1)]);
    assert_eq!(taken(&stock, Instant::now()), Some(2));
}

#[test]
fn who_finds_nothing_at_hand_does_not_wait_for_what_is_about_to_come() {
    let (stock, now) = (Stock::of_many(4, STARTER), Instant::now());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    stock.put_block(block(1, 1..5), now);
    assert_eq!([taken(&stock, now), taken(&stock, now)], [Some(1), Some(2)]);
    runtime.block_on(stock.short());
    let visitor = {
        let stock = stock.clone();
        std::thread::spawn(move || taken(&stock, now))
    };
    // Said while this visitor has its turn: who is waited for now would hold up everybody behind it.
    runtime.block_on(stock.short());
    assert!(stock.begin_opening());
    stock.opened();
    assert_eq!(visitor.join().unwrap(), None, "sent on by the ladder");
    assert_eq!(taken(&stock, now), Some(3), "the next one's");
}

#[test]
fn an_empty_stock_wakes_the_lessee() {
    let stock = Stock::default();
    taken(&stock, Instant::now());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(stock.low());
    assert_eq!(stock.wanted(Instant::now())[0].missed, 1);
}

#[test]
fn two_threads_never_get_the_same_link() {
    let (stock, now) = (Stock::default(), Instant::now());
    for fence in 0..8 {
        stock.put_block(block(fence, fence * 256..(fence + 1) * 256), now);
    }
    let takers: Vec<_> = (0..4)
        .map(|_| {
            let stock = stock.clone();
            std::thread::spawn(move || std::iter::from_fn(|| taken(&stock, now)).collect::<Vec<_>>())
        })
        .collect();
    let mut all: Vec<_> = takers.into_iter().flat_map(|taker| taker.join().unwrap()).collect();
    all.sort_unstable();
    assert_eq!(all, (0..8 * 256).collect::<Vec<_>>());
}

fn aside(stock: &Stock) -> Vec<u64> {
    stock.aside().into_iter().flat_map(|aside| aside.links).map(|(id, ..)| id.number).collect()
}

#[test]
fn what_is_set_aside_is_handed_out_once_it_was_opened() {
    let (stock, now) = (Stock::of_many(4, STARTER), Instant::now());
    stock.put_block(block(1, 0..6), now);
    assert_eq!(aside(&stock), [3, 4, 5], "half of a small block");
    stock.put_block(block(2, 6..16), now);
    assert_eq!(aside(&stock), [3, 4, 5, 15], "and of others what is missing");
    assert_eq!(std::iter::from_fn(|| taken(&stock, now)).count(), 12);
    assert!(stock.begin_opening());
    assert_eq!((aside(&stock), taken(&stock, now)), (vec![5, 15], None), "it has still to be written down");
    stock.opened();
    assert_eq!([Some(3), Some(4), None], [(); 3].map(|()| taken(&stock, now)));
    // The blocks are still out: a part of each is here.
    assert_eq!(stock.expire(now), vec![]);
    let left: Vec<_> = stock.expire(now + HOUR).into_iter().map(|over| (over.fence, over.unused)).collect();
    assert_eq!(left, vec![(1, vec![id(5)]), (2, vec![id(15)])]);
    assert_eq!((aside(&stock), stock.wanted(now)[0].on_hand), (vec![], 0));
}

#[test]
fn what_was_set_aside_before_a_stop_is_there_after_it() {
    let (before, after, now) = (Stock::of_many(4, STARTER), Stock::of_many(4, STARTER), Instant::now());
    before.put_block(block(1, 0..8), now);
    taken(&before, now);
    before.set_all_aside();
    assert_eq!(taken(&before, now), None, "nothing is handed out any more");
    before.aside().into_iter().for_each(|aside| after.put_aside(aside));
    assert_eq!(aside(&after), (1..8).collect::<Vec<_>>());
    assert!(after.begin_opening());
    after.opened();
    assert_eq!(taken(&after, now), Some(1));
    // The lease is prolonged, or it turns out to be somebody else's.
    assert!(after.renewed(&key(), 1, HOUR, now + HOUR));
    assert_eq!(after.at_hand(), vec![(1, key(), now + 2 * HOUR - MARGIN)]);
    assert_eq!(taken(&after, now + HOUR), Some(2));
    after.forget(&key(), 1);
    assert_eq!((taken(&after, now), after.drain_unused(), after.at_hand()), (None, vec![], vec![]));
}

#[test]
fn whatever_happens_nobody_is_sent_to_what_is_written_down() {
    for seed in 0..64_u64 {
        let mut chance = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut dice = |sides: u64| {
            chance ^= chance << 13;
            chance ^= chance >> 7;
            chance ^= chance << 17;
            chance % sides
        };
        let (stock, start) = (Stock::of_many(8, STARTER), Instant::now());
        let (mut now, mut next, mut written, mut given, mut back) =
            (start, 0, vec![], std::collections::HashSet::new(), vec![]);
        for fence in 0..400 {
            match dice(8) {
                0 => {
                    let count = dice(20);
                    stock.put_block(block(fence, next..next + count), now);
                    next += count;
                }
                1 => now += Duration::from_secs(dice(1500)),
                2 => {
                    let over = stock.expire(now);
                    // Written down no more before it is given back.
                    written = aside(&stock);
                    back.extend(over.into_iter().flat_map(|over| over.unused).map(|id| id.number));
                }
                3 => {
                    let opening = stock.begin_opening();
                    written = aside(&stock);
                    if opening {
                        stock.opened();
                    }
                }
                4 => {
                    if let Some(link) = stock.shelf(&key()).take(now) {
                        stock.shelf(&key()).put_back(link);
                    }
                }
                _ => {
                    if let Some(number) = taken(&stock, now) {
                        assert!(!written.contains(&number), "seed {seed}: {number} is written down");
                        assert!(given.insert(number), "seed {seed}: {number} twice");
                    }
                }
            }
        }
        written = vec![];
        back.extend(stock.drain_unused().into_iter().flat_map(|over| over.unused).map(|id| id.number));
        let unique: std::collections::HashSet<_> = back.iter().copied().collect();
        assert!(written.is_empty() && unique.len() == back.len(), "seed {seed}: given back twice");
        assert!(unique.is_disjoint(&given), "seed {seed}: given back and handed out");
        assert_eq!(
            unique.len() + given.len(),
            usize::try_from(next).unwrap(),
            "seed {seed}: all are accounted for"
        );
    }
}

#[test]
fn of_a_stock_that_stays_short_the_lessee_hears_once_until_links_come() {
    let (stock, now) = (Stock::default(), Instant::now());
    let heard = || {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        std::pin::pin!(stock.low()).poll(&mut context).is_ready()
    };
    stock.put_block(block(1, 1..4), now);
    assert!(heard(), "of a new stock");
    for _ in 0..100 {
        taken(&stock, now);
    }
    assert!(heard());
    for _ in 0..100 {
        assert_eq!(taken(&stock, now), None);
    }
    assert!(!heard(), "it was said, and nothing came");
    stock.put_block(block(2, 4..5), now);
    assert_eq!([taken(&stock, now), taken(&stock, now)], [Some(4), None]);
    assert!(heard());
}

#[test]
fn links_at_hand_set_aside_and_to_come_lead_to_the_page_of_a_creator_who_takes_another_handle() {
    let (stock, now) = (Stock::of_many(2, STARTER), Instant::now());
    stock.put_block(block(1, 1..5), now);
    let shelf = stock.shelf(&key());
    let refused = shelf.take(now).unwrap();
    let changes = stock.changes();
    shelf.page_is(&"https://onlyfans.com/vega".into());
    assert!(stock.changes() > changes, "what is written down of it is old");
    shelf.put_back(refused);
    stock.put_block(block(2, 5..6), now);
    let aside = Aside {
        fence: 3,
        stock: key(),
        use_until: now + HOUR,
        links: vec![(id(6), true, "https://onlyfans.com/nova/c6".to_owned())],
    };
    stock.put_aside(aside);
    let aside: Vec<_> = stock.aside().into_iter().flat_map(|part| part.links).map(|(.., url)| url).collect();
    let page = |number: u64| format!("https://onlyfans.com/vega/c{number}");
    assert_eq!(aside, [3, 4, 6].map(page));
    for number in [1, 2, 5] {
        assert_eq!(shelf.take(now).unwrap().location, page(number));
    }
}

#[test]
fn another_page_touches_no_link_before_it_leaves() {
    let (stock, now) = (Stock::default(), Instant::now());
    stock.put_block(block(1, 1..100), now);
    let shelf = stock.shelf(&key());
    let places = || {
        let state = shelf.state.lock();
        let links = state.blocks.iter().flat_map(|part| &part.links);
        links.map(|link| link.location.as_bytes().as_ptr() as usize).collect::<Vec<_>>()
    };
    let before = places();
    shelf.page_is(&"https://onlyfans.com/vega".into());
    assert_eq!(places(), before, "a hundred thousand of them would keep visitors waiting");
    assert_eq!(shelf.take(now).unwrap().location, "https://onlyfans.com/vega/c1");
}

#[test]
fn a_link_put_back_follows_its_creator_to_each_page_and_back_to_the_first() {
    let (stock, now) = (Stock::default(), Instant::now());
    let shelf = stock.shelf(&key());
    let page = |name: &str| shelf.page_is(&format!("https://onlyfans.com/{name}").into());
    page("nova");
    stock.put_block(block(1, 1..3), now);
    for name in ["vega", "nova", "lyra", "nova", "vega"] {
        page(name);
        let first = shelf.take(now).unwrap();
        assert_eq!(first.location, format!("https://onlyfans.com/{name}/c1"));
        shelf.put_back(first);
    }
}

#[test]
fn nobody_is_sent_to_a_link_that_was_withdrawn_wherever_it_is_at_hand() {
    let (stock, now) = (Stock::of_many(4, STARTER), Instant::now());
    stock.put_block(block(1, 1..9), now);
    stock.put_block(block(2, 9..13), now);
    assert_eq!((taken(&stock, now), aside(&stock)), (Some(1), vec![5, 6, 7, 8]));
    let changes = stock.changes();
    let links = [1, 2, 6, 10, 99].map(id).into_iter().collect();
    let mut withdrawn = stock.withdraw(&key(), &links);
    withdrawn.iter_mut().for_each(|block| block.unused.sort());
    let of = |fence, unused: &[u64]| Returned {
        fence,
        stock: key(),
        unused: unused.iter().copied().map(id).collect(),
    };
    assert_eq!(withdrawn, [of(1, &[2, 6]), of(2, &[10])], "one has gone out already");
    assert!(stock.changes() > changes && aside(&stock) == [5, 7, 8], "it is written down anew");
    assert_eq!(stock.wanted(now).iter().map(|want| want.on_hand).sum::<usize>(), 8);
    let left: Vec<u64> = std::iter::from_fn(|| {
        if stock.begin_opening() {
            stock.opened();
        }
        taken(&stock, now)
    })
    .collect();
    let mut sorted = left.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [3, 4, 5, 7, 8, 9, 11, 12], "{left:?}");
    assert_eq!(stock.withdraw(&key(), &links), []);
}

#[test]
fn a_block_of_which_everything_was_withdrawn_is_over() {
    let (stock, now) = (Stock::default(), Instant::now());
    stock.put_block(block(1, 1..3), now);
    assert_eq!(stock.withdraw(&key(), &[1, 2].map(id).into_iter().collect()).len(), 1);
    assert_eq!(taken(&stock, now), None);
    assert_eq!(stock.expire(now), [Returned { fence: 1, stock: key(), unused: vec![] }]);
    assert!(stock.at_hand().is_empty());
}
