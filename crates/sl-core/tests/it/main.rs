//! The state machine against a naive model of the rules, on random histories.
#![cfg(test)]

mod chance;
mod compare;
mod driver;
mod histories;
mod history;
mod model;
