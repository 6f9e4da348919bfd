//! The embedded store keeps every promise of the conformance suite.

#[cfg(test)]
mod backend;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod crash;
