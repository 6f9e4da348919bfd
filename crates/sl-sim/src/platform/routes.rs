//! Every path of the platform on one screen.

use std::sync::Arc;

use axum::response::Response;
use http::Method;
use sl_core::ids::LinkKind;

use super::{Shared, gate, hooks, pages};
use crate::server::Whole;

pub(super) async fn answer(shared: Arc<Shared>, request: Whole) -> Response {
    let path = request.segments();
    match path.as_slice() {
        ["_sim", rest @ ..] => hooks::answer(&shared, &request, rest),
        ["api", rest @ ..] => gate::pass(&shared, &request, rest).await,
        _ => pages::answer(&shared, &request),
    }
}

/// An endpoint of contract E (and the two of A that need no account).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint<'a> {
    Whoami,
    Accounts,
    Me,
    Create(LinkKind),
    List(LinkKind),
    Get(LinkKind, &'a str),
    Delete(LinkKind, &'a str),
    Subscribers(LinkKind, &'a str),
    Spenders(LinkKind, &'a str),
    Stored(LinkKind),
    Transactions,
    LatestFans,
    History(&'a str),
    Lists,
    MakeList,
    AddToList(&'a str),
}

/// The account of a path, empty without one, and what is asked of it.
pub(super) fn find<'a>(method: &Method, path: &[&'a str]) -> Option<(&'a str, Endpoint<'a>)> {
    use Endpoint as E;
    let (get, post, delete) = (*method == Method::GET, *method == Method::POST, *method == Method::DELETE);
    // Literal paths win over accounts (contract A.1).
    let (account, rest) = match path {
        ["whoami"] => return get.then_some(("", E::Whoami)),
        ["accounts"] => return get.then_some(("", E::Accounts)),
        [account, rest @ ..] => (*account, rest),
        [] => return None,
    };
    let endpoint = match rest {
        ["me"] if get => E::Me,
        ["transactions"] if get => E::Transactions,
        ["fans", "latest"] if get => E::LatestFans,
        ["fans", fan, "subscriptions-history"] if get => E::History(fan),
        ["user-lists"] if get => E::Lists,
        ["user-lists"] if post => E::MakeList,
        ["user-lists", list, "users"] if post => E::AddToList(list),
        ["stored", links] if get => E::Stored(kind(links)?),
        [links] if get => E::List(kind(links)?),
        [links] if post => E::Create(kind(links)?),
        [links, id] if get => E::Get(kind(links)?, id),
        [links, id] if delete => E::Delete(kind(links)?, id),
        [links, id, "subscribers"] if get => E::Subscribers(kind(links)?, id),
        [links, id, "spenders"] if get => E::Spenders(kind(links)?, id),
        _ => return None,
    };
    Some((account, endpoint))
}

/// Whether another method would find something: 405 instead of 404.
pub(super) fn is_known(path: &[&str]) -> bool {
    [Method::GET, Method::POST, Method::DELETE].iter().any(|method| find(method, path).is_some())
}

fn kind(links: &str) -> Option<LinkKind> {
    match links {
        "tracking-links" => Some(LinkKind::TrackingLink),
        "trial-links" => Some(LinkKind::FreeTrial),
        _ => None,
    }
}

impl Endpoint<'_> {
    /// Name in `GET /_sim/state`, and what `only` of `POST /_sim/fail` looks in.
    pub(super) fn name(&self) -> &'static str {
        use LinkKind::{FreeTrial, TrackingLink};
        match self {
            Self::Whoami => "whoami",
            Self::Accounts => "accounts",
            Self::Me => "me",
            Self::Create(TrackingLink) => "create_tracking_link",
            Self::Create(FreeTrial) => "create_trial_link",
            Self::List(TrackingLink) => "list_tracking_links",
            Self::List(FreeTrial) => "list_trial_links",
            Self::Get(TrackingLink, _) => "get_tracking_link",
            Self::Get(FreeTrial, _) => "get_trial_link",
            Self::Delete(TrackingLink, _) => "delete_tracking_link",
            Self::Delete(FreeTrial, _) => "delete_trial_link",
            Self::Subscribers(..) => "link_subscribers",
            Self::Spenders(..) => "link_spenders",
            Self::Stored(TrackingLink) => "stored_tracking_links",
            Self::Stored(FreeTrial) => "stored_trial_links",
            Self::Transactions => "transactions",
            Self::LatestFans => "latest_fans",
            Self::History(_) => "subscriptions_history",
            Self::Lists => "user_lists",
            Self::MakeList => "make_list",
            Self::AddToList(_) => "add_to_list",
        }
    }

    /// Answered from upstream's own store: free of cost and of the rate limit (contract E.5, E.6).
    pub(super) fn is_free(&self) -> bool {
        matches!(self, Self::Whoami | Self::Accounts | Self::Stored(_))
    }
}
