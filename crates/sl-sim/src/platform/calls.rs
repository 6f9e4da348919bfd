//! One function per endpoint.
//!
//! * [`accounts`]: who am I, which creators · [`make`]: creating links · [`links`]: reading them, and who came through
//! * [`money`]: transactions and fans · [`lists`]: user lists · [`ask`]: parameters and their rules

mod accounts;
mod ask;
mod links;
mod lists;
mod make;
mod money;

use sl_core::time::Timestamp;

use super::{reply::Reply, routes::Endpoint, world::World};
use crate::server::Whole;

/// What every endpoint sees.
pub(super) struct Call<'a> {
    pub(super) world: &'a mut World,
    /// The account of the path; empty for those without.
    pub(super) account: &'a str,
    pub(super) request: &'a Whole,
    pub(super) now: Timestamp,
}

pub(super) fn run(call: &mut Call<'_>, endpoint: Endpoint<'_>) -> Result<Reply, Reply> {
    match endpoint {
        Endpoint::Whoami => Ok(accounts::whoami(call)),
        Endpoint::Accounts => Ok(accounts::list(call)),
        Endpoint::Me => accounts::me(call),
        Endpoint::Create(kind) => make::create(call, kind),
        Endpoint::List(kind) => links::list(call, kind),
        Endpoint::Get(kind, id) => links::get(call, kind, id),
        Endpoint::Delete(kind, id) => links::delete(call, kind, id),
        Endpoint::Subscribers(kind, id) => links::subscribers(call, kind, id),
        Endpoint::Spenders(kind, id) => links::spenders(call, kind, id),
        Endpoint::Stored(kind) => links::stored(call, kind),
        Endpoint::Transactions => money::transactions(call),
        Endpoint::LatestFans => money::latest_fans(call),
        Endpoint::History(fan) => money::history(call, fan),
        Endpoint::Lists => lists::list(call),
        Endpoint::MakeList => lists::make(call),
        Endpoint::AddToList(list) => lists::add(call, list),
    }
}
