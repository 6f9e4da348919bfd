//! The nouns of smartlinks and every decision about them, as pure functions.
//!
//! A click, a pool link, a fan, a conversion, a delivery: their types live here, and so do the rules: who is a bot,
//! who is the same visitor, which pool link comes next, which click a fan is bound to, what a platform is told and
//! when it is told again. Time and chance are arguments.
//!
//! This crate never does I/O, never reads a clock, never draws a random number and never starts a task.

// The nouns.
pub mod catalog;
pub mod click;
pub mod conversion;
pub mod delivery;
pub mod event;
pub mod ids;
pub mod money;
pub mod platforms;
pub mod pool;
pub mod step;
pub mod time;

// The decisions.
pub mod apikey;
pub mod applied;
pub mod attribution;
pub mod batch;
pub mod breaker;
pub mod deleted;
pub mod ended;
pub mod forecast;
pub mod identity;
pub mod ladder;
pub mod lease;
pub mod lint;
pub mod matching;
pub mod pace;
pub mod pack;
pub mod places;
pub mod replay;
pub mod retry;
pub mod rhythm;
pub mod seal;
pub mod steady;
pub mod template;
pub mod verdict;
pub mod visitor;
pub mod webhook;
