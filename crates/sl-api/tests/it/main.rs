//! The API through real sockets, on the embedded store and a real journal.

#[cfg(test)]
mod breakdown;
#[cfg(test)]
mod csv;
#[cfg(test)]
mod dashboard;
#[cfg(test)]
mod extensions;
#[cfg(test)]
mod intake;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod links;
#[cfg(test)]
mod pixels;
#[cfg(test)]
mod postbacks;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod replays;
#[cfg(test)]
mod reports;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod slow;
#[cfg(test)]
mod unproven;
#[cfg(test)]
mod watched;
#[cfg(test)]
mod world;
