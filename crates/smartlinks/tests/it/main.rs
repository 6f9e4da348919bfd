//! The binary as its users meet it: real processes, sockets and files.

#[cfg(test)]
mod account_events;
#[cfg(test)]
mod burst;
#[cfg(test)]
mod clock;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod cluster_clock;
#[cfg(test)]
mod cluster_deciders;
#[cfg(test)]
mod cluster_kills;
#[cfg(test)]
mod cluster_once;
#[cfg(test)]
mod cluster_outage;
#[cfg(test)]
mod cluster_poison;
#[cfg(test)]
mod cluster_replicas;
#[cfg(test)]
mod cluster_rolling;
#[cfg(test)]
mod cluster_start;
#[cfg(test)]
mod cluster_told;
#[cfg(test)]
mod cluster_workers;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod crash_told;
#[cfg(test)]
mod creator;
#[cfg(test)]
mod crowd;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod deploy;
#[cfg(test)]
mod dev_cluster;
#[cfg(test)]
mod fleet;
#[cfg(test)]
mod history;
#[cfg(test)]
mod inside;
#[cfg(test)]
mod journey;
#[cfg(test)]
mod migrate;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod own;
#[cfg(test)]
mod process;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod seen;
#[cfg(test)]
mod spine;
#[cfg(test)]
mod stocked;
#[cfg(test)]
mod traces;
#[cfg(test)]
mod world;
