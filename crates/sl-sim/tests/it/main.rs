//! The simulators through real sockets.

#[cfg(test)]
mod ads;
#[cfg(test)]
mod agreement;
#[cfg(test)]
mod edge;
#[cfg(test)]
mod people;
#[cfg(test)]
mod platform;
#[cfg(test)]
mod traffic;
#[cfg(test)]
mod virtual_time;
#[cfg(test)]
mod webhooks;
