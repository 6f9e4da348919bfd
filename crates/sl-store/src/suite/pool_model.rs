//! The pool against a model that keeps plain facts and asks `PoolFacts::state` about each link.

use std::{collections::BTreeMap, time::Duration};

use proptest::{
    prelude::{Just, Strategy, prop_oneof},
    strategy::ValueTree as _,
    test_runner::TestRunner,
};
use sl_core::{
    ids::PoolLinkId,
    pool::{PoolFacts, PoolState, StockKey},
    step::Step,
    time::Timestamp,
};

use super::{
    Backend,
    sample::{self, HOUR, account, new_links, pool_ref, stock, trial_stock},
};
use crate::{
    Store,
    pool::{LeaseRequest, Look, PoolRules},
};

/// Short ones, so that a history of a few hours sees every state.
const RULES: PoolRules =
    PoolRules { window: Duration::from_secs(3_600), quarantine: Duration::from_secs(7_200) };

/// Something that happens to the pool.
#[derive(Debug, Clone)]
pub enum Op {
    /// Time passes, in minutes.
    Wait(u64),
    /// The keeper adds so many links.
    Add(u64),
    /// An edge takes so many.
    Lease(usize),
    /// The n-th link of the newest block is handed out and its click applied.
    Give(usize),
    /// The visitor of the n-th link comes again.
    Hit(usize),
    /// The newest block gives back its n-th link.
    GiveBack(usize),
    /// The oldest block's process is gone.
    Orphan,
    /// The oldest block is prolonged, by minutes.
    Renew(u64),
    /// The matcher looks at every link and finds a subscriber at the n-th given one, if there is.
    Look(Option<usize>),
    /// The keeper retires the n-th link.
    Retire(usize),
    /// The process ends and starts again.
    Restart,
}

fn ops() -> impl Strategy<Value = (bool, Vec<Op>)> {
    let op = prop_oneof![
        4 => (1..90_u64).prop_map(Op::Wait),
        2 => (1..6_u64).prop_map(Op::Add),
        4 => (1..5_usize).prop_map(Op::Lease),
        6 => (0..4_usize).prop_map(Op::Give),
        2 => (0..9_usize).prop_map(Op::Hit),
        2 => (0..4_usize).prop_map(Op::GiveBack),
        1 => Just(Op::Orphan),
        1 => (1..90_u64).prop_map(Op::Renew),
        4 => proptest::option::weighted(0.2, 0..9_usize).prop_map(Op::Look),
        1 => (0..9_usize).prop_map(Op::Retire),
        1 => Just(Op::Restart),
    ];
    (proptest::bool::ANY, proptest::collection::vec(op, 1..60))
}

/// Facts of each link, by ordinal, and blocks by fence.
struct Model {
    stock: StockKey,
    links: Vec<PoolFacts>,
    blocks: BTreeMap<u64, (Timestamp, Vec<usize>)>,
    given_total: u64,
    now: Timestamp,
    steps: u64,
    clicks: u64,
}

// === impl Model ===

impl Model {
    fn id(&self, link: usize) -> PoolLinkId {
        PoolLinkId { kind: self.stock.kind, number: link as u64 }
    }

    fn state(&self, link: usize) -> PoolState {
        self.links[link].state(self.stock.kind, self.now, RULES.window, RULES.quarantine)
    }

    fn orphan(&mut self, fence: u64, at: Timestamp) {
        let Some((_, links)) = self.blocks.remove(&fence) else { return };
        for link in links {
            self.links[link].leased_until = None;
            self.links[link].orphaned_at = self.links[link].orphaned_at.max(Some(at));
        }
    }

    fn expire(&mut self) {
        let now = self.now;
        let expired: Vec<_> = self
            .blocks
            .iter()
            .filter(|(_, (until, _))| *until <= now)
            .map(|(f, (until, _))| (*f, *until))
            .collect();
        for (fence, until) in expired {
            self.orphan(fence, until);
        }
    }

    fn leaves_block(&mut self, link: usize) {
        self.links[link].leased_until = None;
        for (_, links) in self.blocks.values_mut() {
            links.retain(|other| *other != link);
        }
    }

    async fn apply(&mut self, store: &Store, op: &Op) {
        match *op {
            Op::Wait(minutes) => self.now = self.now.plus(Duration::from_secs(60 * minutes)),
            Op::Add(count) => {
                let from = self.links.len() as u64;
                let added = store.pool.add(new_links(&self.stock, from..from + count)).await.unwrap();
                assert_eq!(added as u64, count);
                self.links.resize(self.links.len() + added, PoolFacts::default());
            }
            Op::Lease(want) => self.lease(store, want).await,
            Op::Give(nth) => self.give(store, nth).await,
            Op::Hit(nth) => {
                let holders: Vec<_> =
                    (0..self.links.len()).filter(|&link| self.links[link].given.is_some()).collect();
                if let Some(&link) = holders.get(nth) {
                    let mut given = self.links[link].given.unwrap();
                    given.last_hit_at = self.now;
                    self.links[link].given = Some(given);
                    self.step(store, link).await;
                }
            }
            Op::GiveBack(nth) => {
                let Some((&fence, (_, links))) = self.blocks.last_key_value() else { return };
                let Some(&link) = links.get(nth) else { return };
                store.pool.give_back(fence, vec![pool_ref(self.id(link))]).await.unwrap();
                self.leaves_block(link);
                self.blocks.retain(|of, (_, links)| *of != fence || !links.is_empty());
            }
            Op::Orphan => {
                let Some((&fence, _)) = self.blocks.first_key_value() else { return };
                store.pool.orphan(fence, self.now).await.unwrap();
                self.orphan(fence, self.now);
            }
            Op::Renew(minutes) => {
                let until = self.now.plus(Duration::from_secs(60 * minutes));
                let Some((&fence, (end, links))) = self.blocks.iter_mut().next() else { return };
                assert!(store.pool.renew(fence, until).await.unwrap());
                *end = until;
                for &link in &*links {
                    self.links[link].leased_until = Some(until);
                }
            }
            Op::Look(found) => self.look(store, found).await,
            Op::Retire(link) => {
                if link < self.links.len() {
                    let id = pool_ref(self.id(link));
                    store.pool.retire(vec![id], self.now).await.unwrap();
                    self.links[link].retired_at = self.links[link].retired_at.or(Some(self.now));
                }
            }
            Op::Restart => {}
        }
    }

    async fn lease(&mut self, store: &Store, want: usize) {
        let until = self.now.plus(Duration::from_secs(3_600));
        let request = LeaseRequest {
            stock: self.stock.clone(),
            want,
            owner: "edge".to_owned(),
            now: self.now,
            until,
            rules: RULES,
        };
        let block = store.pool.lease(request).await.unwrap();
        self.expire();
        let fresh_first = [PoolState::Fresh, PoolState::Recycled];
        let expected: Vec<_> = fresh_first
            .iter()
            .flat_map(|state| (0..self.links.len()).map(move |link| (state, link)))
            .filter(|(state, link)| self.state(*link) == **state)
            .map(|(state, link)| (link as u64, *state == PoolState::Recycled))
            .take(want)
            .collect();
        let got: Vec<_> = block.links.iter().map(|(link, recycled)| (link.ordinal, *recycled)).collect();
        assert_eq!(got, expected, "the wrong links were leased");
        if got.is_empty() {
            return;
        }
        let links: Vec<_> = got.iter().map(|(ordinal, _)| usize::try_from(*ordinal).unwrap()).collect();
        for &link in &links {
            self.links[link].leased_until = Some(until);
        }
        self.blocks.insert(block.fence, (until, links));
    }

    async fn give(&mut self, store: &Store, nth: usize) {
        let Some((_, (_, links))) = self.blocks.last_key_value() else { return };
        let Some(&link) = links.get(nth) else { return };
        self.clicks += 1;
        self.links[link].given =
            Some(sl_core::pool::Given { window: RULES.window, ..sample::given(self.clicks, self.now) });
        self.given_total += 1;
        self.leaves_block(link);
        self.step(store, link).await;
    }

    async fn step(&mut self, store: &Store, link: usize) {
        self.steps += 1;
        let given = vec![(account(), self.id(link), self.links[link].given.unwrap())];
        store.ledger.apply(Step { given, ..sample::step(self.steps) }).await.unwrap();
    }

    async fn look(&mut self, store: &Store, found: Option<usize>) {
        let given: Vec<_> = (0..self.links.len()).filter(|&link| self.links[link].given.is_some()).collect();
        let found = found.and_then(|nth| given.get(nth).copied());
        let mut looks = Vec::new();
        for link in 0..self.links.len() {
            let subscribers = u32::from(Some(link) == found || self.links[link].used_at.is_some());
            looks.push(Look { link: pool_ref(self.id(link)), at: self.now, subscribers });
            let facts = &mut self.links[link];
            facts.last_look_at = Some(self.now);
            facts.subscribers_seen = subscribers;
            if subscribers > 0 {
                facts.used_at = facts.used_at.or(Some(self.now));
            }
        }
        store.pool.looked(looks).await.unwrap();
    }

    async fn compare(&mut self, store: &Store) {
        let levels = store.pool.levels(self.now, RULES).await.unwrap();
        self.expire();
        let Some(level) = levels.iter().find(|level| level.stock == self.stock) else {
            assert!(self.links.is_empty());
            return;
        };
        for (state, count) in &level.counts {
            let expected = (0..self.links.len()).filter(|&link| self.state(link) == *state).count();
            assert_eq!((*state, *count), (*state, expected as u64));
        }
        assert_eq!(level.counts.iter().map(|(_, count)| count).sum::<u64>(), self.links.len() as u64);
        assert_eq!(level.given_total, self.given_total);
        for link in 0..self.links.len() {
            let mut entry = store.pool.get(pool_ref(self.id(link))).await.unwrap().unwrap();
            assert_eq!(entry.link.ordinal, link as u64);
            entry.facts.rounds = 0;
            assert_eq!(entry.facts, self.links[link], "facts of link {link}");
        }
        let blocks = store.pool.blocks().await.unwrap();
        let blocks: BTreeMap<_, _> = blocks.into_iter().map(|block| (block.fence, block.until)).collect();
        let expected: BTreeMap<_, _> =
            self.blocks.iter().map(|(fence, (until, _))| (*fence, *until)).collect();
        assert_eq!(blocks, expected);
    }
}

async fn run(backend: &dyn Backend, trial: bool, ops: &[Op]) {
    let mut store = backend.open().await;
    store.ledger.open(0).await.unwrap();
    let stock = if trial { trial_stock() } else { stock() };
    let mut model = Model {
        stock,
        links: Vec::new(),
        blocks: BTreeMap::new(),
        given_total: 0,
        now: HOUR,
        steps: 0,
        clicks: 0,
    };
    for op in ops {
        if matches!(op, Op::Restart) {
            drop(store);
            backend.restart().await;
            store = backend.open().await;
            store.ledger.open(0).await.unwrap();
        }
        model.apply(&store, op).await;
        model.compare(&store).await;
    }
}

/// Random histories: counts, facts, leases and blocks are the model's after every step, restarts included. `fresh`
/// makes an empty backend for each history.
pub async fn pool_states_follow_the_model<B: Backend>(histories: usize, fresh: impl Fn() -> B) {
    let mut runner = TestRunner::deterministic();
    for number in 0..histories {
        let (trial, ops) = ops().new_tree(&mut runner).unwrap().current();
        println!("history {number}: trial {trial}, {ops:?}");
        run(&fresh(), trial, &ops).await;
    }
}
