//! The journal on real and on failing disks.

#[cfg(test)]
mod behind;
mod faults;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod model;
#[cfg(test)]
mod promises;
#[cfg(test)]
mod retention;
#[cfg(test)]
mod sim;
#[cfg(test)]
mod tails;
#[cfg(test)]
mod world;
