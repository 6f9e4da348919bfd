//! Deliveries against real receivers on loopback and the embedded store.

#[cfg(test)]
mod batches;
#[cfg(test)]
mod creatortraffic;
#[cfg(test)]
mod delivery;
#[cfg(test)]
mod egress;
#[cfg(test)]
mod events;
#[cfg(test)]
mod fairness;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod goldens;
#[cfg(test)]
mod mended;
#[cfg(test)]
mod meta;
#[cfg(test)]
mod mistakes;
#[cfg(test)]
mod order;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod paces;
#[cfg(test)]
mod rebinding;
#[cfg(test)]
mod registration;
#[cfg(test)]
mod rests;
#[cfg(test)]
mod simulated;
#[cfg(test)]
mod snapchat;
#[cfg(test)]
mod stops;
#[cfg(test)]
mod tiktok;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod unrecorded;
#[cfg(test)]
mod variables;
#[cfg(test)]
mod world;
