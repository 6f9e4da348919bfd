//! The loop on the real embedded store: crashes, batch sizes, faults, ticks.

#[cfg(test)]
mod faults;
#[cfg(test)]
mod late;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod standing;
#[cfg(test)]
mod tape;
