//! Deliveries against real receivers on loopback and the embedded store.

#[cfg(test)]
mod creatortraffic;
#[cfg(test)]
mod delivery;
#[cfg(test)]
mod egress;
#[cfg(test)]
mod goldens;
#[cfg(test)]
mod meta;
#[cfg(test)]
mod snapchat;
#[cfg(test)]
mod tiktok;
#[cfg(test)]
mod world;
