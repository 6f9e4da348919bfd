//! The edge over real sockets.

#[cfg(test)]
mod clicks;
#[cfg(test)]
mod edges;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod load;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod shutdown;
