//! The state machine against a naive model of the rules, on random histories.

#[cfg(test)]
mod chance;
#[cfg(test)]
mod compare;
#[cfg(test)]
mod driver;
#[cfg(test)]
mod histories;
#[cfg(test)]
mod history;
#[cfg(test)]
mod model;
