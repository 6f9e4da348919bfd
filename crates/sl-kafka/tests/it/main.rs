//! Against a real broker: `deploy/dev-cluster/up`, then `-- --include-ignored`.

#[cfg(test)]
mod broker;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod epochs;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod forwarding;
#[cfg(test)]
mod group;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod streams;
#[cfg(all(test, feature = "tls"))]
mod tls;
#[cfg(test)]
mod visitors;
#[cfg(test)]
mod world;
