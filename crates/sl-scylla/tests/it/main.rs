//! The cluster store keeps every promise of the conformance suite, against a real server.

#[cfg(test)]
mod backend;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod dies;
#[cfg(test)]
mod marks;
#[cfg(test)]
mod migrations;
#[cfg(test)]
mod parts;
#[cfg(test)]
mod runs;
#[cfg(test)]
mod ttl;
