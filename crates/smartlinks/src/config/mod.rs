//! The configuration: one TOML file over the compiled-in default, environment over both (surface 3).
//!
//! `default.toml` is the only place where defaults and their documentation live.

mod check;
mod cluster;
mod kafka;
mod load;
mod sanity;
mod sections;
mod values;

#[cfg(test)]
pub(crate) use self::values::MaybeSecret;
pub(crate) use self::{
    check::Problem,
    load::{LoadError, load},
    sanity::unusable,
    sections::{AdPlatform, Backend, Config, DurabilityWord, LogFormat, Retention, Secrets},
};

/// The compiled-in default, as `print-config` shows it.
pub(crate) const DEFAULT: &str = include_str!("default.toml");

#[cfg(test)]
mod tests;
