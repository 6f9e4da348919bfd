//! The comparison itself.

use std::collections::BTreeMap;

use crate::{chance::history, compare::difference, driver::play, model::Model};

/// `SMARTLINKS_HISTORIES` says how many; `SMARTLINKS_HISTORY` names one and prints it.
#[test]
fn the_state_machine_agrees_with_the_naive_model_on_every_history() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(one) = number("SMARTLINKS_HISTORY") {
        for (index, happening) in (0..).zip(history(one)) {
            println!("{index}: {happening:?}");
        }
        assert_eq!(disagreement(one), None);
    }
    agree(number("SMARTLINKS_HISTORIES").unwrap_or(1000));
}

#[test]
#[ignore = "takes minutes"]
fn they_agree_on_a_hundred_thousand_histories() {
    agree(100_000);
}

/// All cores take turns at them.
fn agree(count: u64) {
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get()) as u64;
    let wrong = |first: u64| {
        let of_this_thread = (0..count).filter(move |number| number % threads == first);
        of_this_thread.filter_map(disagreement).take(5).collect::<Vec<String>>()
    };
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|first| scope.spawn(move || wrong(first))).collect();
        all.into_iter().flat_map(|one| one.join().expect("it says what is wrong instead")).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// One record at a time without forgetting anything, then in slices, with a small cache and crashes.
fn disagreement(number: u64) -> Option<String> {
    let history = history(number);
    let model = Model::of(&history);
    [0, number + 1].into_iter().find_map(|seed| {
        let difference = difference(&play(&history, seed), &model)?;
        Some(format!("history {number}, driven with {seed}: {difference}"))
    })
}

/// Agreement about nothing would be worth nothing: what the rules speak of happens in these histories.
#[test]
fn the_histories_are_rich() {
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    for number in 0..300 {
        for account in Model::of(&history(number)).accounts.values() {
            for (what, count) in account.tally() {
                *seen.entry(what).or_default() += count;
            }
        }
    }
    for (what, count) in &seen {
        assert!(*count >= 30, "{what}: {count} in 300 histories");
    }
    assert_eq!(seen.len(), 14);
}
