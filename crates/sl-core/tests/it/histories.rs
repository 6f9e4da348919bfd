//! The comparison itself.

use crate::{chance::history, compare::difference, driver::play, model::Model};

/// `SMARTLINKS_HISTORIES` says how many; `SMARTLINKS_HISTORY` names one and prints it.
#[test]
fn the_state_machine_agrees_with_the_naive_model_on_every_history() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(one) = number("SMARTLINKS_HISTORY") {
        for (index, happening) in (0..).zip(history(one)) {
            println!("{index}: {happening:?}");
        }
        return agrees(one);
    }
    let count = number("SMARTLINKS_HISTORIES").unwrap_or(2000);
    for number in 0..count {
        agrees(number);
    }
}

fn agrees(number: u64) {
    let history = history(number);
    let model = Model::of(&history);
    for seed in [0, number + 1] {
        let shown = play(&history, seed);
        if let Some(difference) = difference(&shown, &model) {
            panic!("history {number}, driven with {seed}: {difference}");
        }
    }
}
