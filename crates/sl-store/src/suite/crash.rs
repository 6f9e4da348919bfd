//! `kill -9` in the middle of steps: state, effects and position agree. The backend's test runs [`write_steps`] in a
//! child process, kills it, and calls [`state_effects_and_position_agree`] on what is left.

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use sl_core::{
    event::JournalId,
    step::{Dimension, StateKey},
};

use super::{
    ledger::full_step,
    sample::{self, RULES, TEAM, account, link_id, position},
};
use crate::{
    Store,
    reports::{ClickFilter, Range},
};

/// Applies steps from where the store stands, for ever or until `end`, and calls `told` after each.
pub async fn write_steps(store: &Store, end: u64, told: impl Fn(u64)) {
    if store.catalog.account(&account()).await.unwrap().is_none() {
        store.catalog.put_account(sample::account_row("acct_sample", TEAM)).await.unwrap();
        store.pool.add(sample::new_links(&sample::stock(), 0..2_000)).await.unwrap();
    }
    let opened = store.ledger.open(0).await.unwrap();
    for offset in opened.position.offset + 1..=end {
        store.ledger.apply(full_step(offset)).await.unwrap();
        told(offset);
    }
}

/// Lets `crash::child` of this test binary, which finds `value` in its environment and tells of each step it has applied, work
/// until it has told of `steps`; kills it, and returns the last step it told of.
pub fn killed_after(variable: &str, value: impl AsRef<OsStr>, steps: usize) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child", "--nocapture"])
        .env(variable, value)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut told = lines.filter_map(|line| line.rsplit_once("applied ").and_then(|(_, n)| n.parse().ok()));
    let Some(last) = told.nth(steps - 1) else { panic!("the child ended by itself") };
    child.kill().unwrap();
    child.wait().unwrap();
    told.last().unwrap_or(last)
}

/// Every table speaks of the same last step, which is not before `at_least`. Returns it.
pub async fn state_effects_and_position_agree(store: &Store, at_least: u64) -> u64 {
    let last = state_effects_and_position_agree_but_rows(store, at_least).await;
    assert_eq!(click_rows(store).await, last);
    last
}

/// How many click rows there are.
pub async fn click_rows(store: &Store) -> u64 {
    let everything = ClickFilter::all(Range::default());
    store.reports.clicks(link_id(1), everything).await.unwrap().len() as u64
}

/// The same for everything that the redo record of a step holds. A backend that has one writes raw click rows before it
/// (decisions 45), so theirs may be one step ahead until that step comes again.
pub async fn state_effects_and_position_agree_but_rows(store: &Store, at_least: u64) -> u64 {
    let opened = store.ledger.open(0).await.unwrap();
    let last = opened.position.offset;
    assert!(last >= at_least, "{last} steps are left of {at_least} that had returned");
    assert_eq!(opened.applied.iter().collect::<Vec<_>>(), [(JournalId(9), last)]);
    assert_eq!(opened.position, position(last));
    let state = store.ledger.load(0, vec![StateKey(b"visitor".to_vec())]).await.unwrap();
    assert_eq!(state[0].as_ref().unwrap().0, last.to_be_bytes());
    let link = link_id(1);
    let countries = store.reports.dimensions(link, Dimension::Country, Range::default()).await.unwrap();
    assert_eq!(countries[0].clicks, last);
    assert_eq!(store.reports.totals(&[link]).await.unwrap()[0].clicks, last);
    assert_eq!(store.reports.dead_letter_count().await.unwrap(), last);
    assert_eq!(store.pool.unmatched().await.unwrap().len() as u64, last);
    assert_eq!(store.deliveries.counts(sample::after(1 << 30)).await.unwrap().due_now, last);
    let levels = store.pool.levels(sample::HOUR, RULES).await.unwrap();
    assert_eq!(levels[0].given_total, last.min(1_999));
    last
}
