//! One request for `/go/{id}`, from its parsed header to its answer.

mod answer;
mod client;
mod commits;
mod company;
mod facts;
mod headers;
mod names;
mod redirect;
mod route;
mod visit;
mod waiting;
mod worker;

pub(crate) use answer::{HEADER_TOO_SLOW, Reply, TOO_MANY_CONNECTIONS};
pub(crate) use client::Proxies;
pub(crate) use commits::{Client, Watch};
pub(crate) use headers::Asked;
pub(crate) use route::{respond, respond_to};
pub(crate) use waiting::Answering;
pub(crate) use worker::{Shared, Worker};
