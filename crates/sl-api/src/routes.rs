//! Every route with the permission it demands, in one table: the router is built from it and the OpenAPI document is
//! tested against it.

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::{MethodRouter, delete, get, patch, post},
};
use http::Uri;

use crate::{
    access::{Access, guard},
    body::BODY_LIMIT,
    dashboard,
    error::ApiError,
    intake, operations,
    parts::{ApiParts, App},
    people, pixels, postbacks, smart_links, x,
};

use Access::{AnyKey, Needs, Open};

const LINKS: Access = Needs("smart-links.view");
const LINKS_MANAGE: Access = Needs("smart-links.manage");
const PIXELS: Access = Needs("meta-pixels.view");
const PIXELS_MANAGE: Access = Needs("meta-pixels.manage");
const POSTBACKS: Access = Needs("postbacks.view");
const POSTBACKS_MANAGE: Access = Needs("postbacks.manage");

/// One method of one path.
pub(crate) struct Route {
    /// Lower case, for the comparison with the OpenAPI document.
    #[cfg(test)]
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    access: Access,
    handler: MethodRouter<App>,
}

macro_rules! routes {
    ($($method:ident $path:literal $access:expr => $handler:expr;)*) => {
        vec![$(Route { #[cfg(test)] method: stringify!($method), path: $path, access: $access, handler: $method($handler) },)*]
    };
}

/// Contract A.
#[rustfmt::skip]
fn contract() -> Vec<Route> {
    routes! {
        get    "/api/whoami" AnyKey => people::whoami;
        get    "/api/accounts" Needs("accounts.view") => people::accounts;
        post   "/api/smart-links" LINKS_MANAGE => smart_links::create::create;
        get    "/api/smart-links" LINKS => smart_links::list::list;
        get    "/api/smart-links/{smart_link_id}" LINKS => smart_links::show;
        delete "/api/smart-links/{smart_link_id}" LINKS_MANAGE => smart_links::delete;
        get    "/api/smart-links/{smart_link_id}/stats" LINKS => smart_links::stats::stats;
        get    "/api/smart-links/{smart_link_id}/cohort-arps" LINKS => smart_links::cohort::arps;
        get    "/api/smart-links/{smart_link_id}/fans" LINKS => smart_links::fans::fans;
        get    "/api/smart-links/{smart_link_id}/spenders" LINKS => smart_links::fans::spenders;
        get    "/api/smart-links/{smart_link_id}/clicks" LINKS => smart_links::clicks::clicks;
        get    "/api/smart-links/{smart_link_id}/conversions" LINKS => smart_links::conversions::conversions;
        get    "/api/smart-links/{smart_link_id}/tags" LINKS => smart_links::tags::show;
        post   "/api/smart-links/{smart_link_id}/tags" LINKS_MANAGE => smart_links::tags::add;
        delete "/api/smart-links/{smart_link_id}/tags" LINKS_MANAGE => smart_links::tags::remove;
        get    "/api/link-tags" LINKS => smart_links::tags::in_use;
        get    "/api/{account}/smart-links/{smart_link_id}/stats" LINKS => smart_links::stats::stats;
        get    "/api/{account}/smart-links/{smart_link_id}/clicks" LINKS => smart_links::clicks::clicks;
        get    "/api/{account}/smart-links/{smart_link_id}/conversions" LINKS => smart_links::conversions::conversions;
        get    "/api/smart-links/{smart_link_id}/pixels" PIXELS => pixels::list;
        post   "/api/smart-links/{smart_link_id}/pixels" PIXELS_MANAGE => pixels::create;
        patch  "/api/smart-links/{smart_link_id}/pixels/{pixel_id}" PIXELS_MANAGE => pixels::update;
        delete "/api/smart-links/{smart_link_id}/pixels/{pixel_id}" PIXELS_MANAGE => pixels::disconnect;
        post   "/api/smart-links/{smart_link_id}/pixels/{pixel_id}/test-event" PIXELS_MANAGE => pixels::test::test_event;
        post   "/api/smart-link-postbacks" POSTBACKS_MANAGE => postbacks::create;
        get    "/api/smart-link-postbacks" POSTBACKS => postbacks::list;
        get    "/api/smart-link-postbacks/{postback_id}" POSTBACKS => postbacks::show;
        patch  "/api/smart-link-postbacks/{postback_id}" POSTBACKS_MANAGE => postbacks::update;
        delete "/api/smart-link-postbacks/{postback_id}" POSTBACKS_MANAGE => postbacks::delete;
    }
}

/// Ours (surface 2).
#[rustfmt::skip]
fn extensions() -> Vec<Route> {
    routes! {
        get   "/api/x/progress" Needs("logs.view") => x::progress::progress;
        get   "/api/x/clicks/{click_id}" LINKS => x::clicks::show;
        get   "/api/x/deliveries" POSTBACKS => x::deliveries::list;
        get   "/api/x/deliveries.csv" POSTBACKS => x::csv::deliveries;
        get   "/api/x/deliveries/replays" POSTBACKS => x::replay::trail::list;
        get   "/api/x/deliveries/{delivery_id}" POSTBACKS => x::deliveries::show;
        post  "/api/x/deliveries/replay" POSTBACKS_MANAGE => x::replay::again;
        post  "/api/x/deliveries/replay-into" POSTBACKS_MANAGE => x::replay::into;
        post  "/api/x/deliveries/{delivery_id}/replay" POSTBACKS_MANAGE => x::deliveries::replay;
        get   "/api/x/dead-letters" Needs("webhooks.view") => x::dead_letters::list;
        post  "/api/x/dead-letters/{dead_letter_id}/retry" Needs("webhooks.manage") => x::dead_letters::retry;
        get   "/api/x/pool" Needs("tracking-links.view") => x::pool::pool;
        get   "/api/x/smart-links/{smart_link_id}" LINKS => x::settings::show_smart_link;
        patch "/api/x/smart-links/{smart_link_id}" LINKS_MANAGE => x::settings::smart_link;
        get   "/api/x/smart-links/{smart_link_id}/breakdown" LINKS => x::breakdown::show;
        get   "/api/x/smart-links/{smart_link_id}/breakdown.csv" LINKS => x::csv::breakdown;
        get   "/api/x/smart-links/{smart_link_id}/clicks.csv" LINKS => x::csv::clicks;
        get   "/api/x/smart-links/{smart_link_id}/conversions.csv" LINKS => x::csv::conversions;
        get   "/api/x/smart-links/{smart_link_id}/fans.csv" LINKS => x::csv::fans;
        get   "/api/x/smart-links/{smart_link_id}/stats.csv" LINKS => x::csv::stats;
        get   "/api/x/pixels" PIXELS => pixels::of_team;
        get   "/api/x/pixels/{pixel_id}" PIXELS => pixels::show;
        patch "/api/x/pixels/{pixel_id}" PIXELS_MANAGE => x::settings::pixel;
        delete "/api/x/pixels/{pixel_id}" PIXELS_MANAGE => pixels::delete;
        get   "/api/x/pixels/{pixel_id}/coverage" PIXELS => pixels::coverage::show;
        post  "/api/x/pixels/{pixel_id}/smart-links/{smart_link_id}" PIXELS_MANAGE => pixels::attach;
        patch "/api/x/postbacks/{postback_id}" POSTBACKS_MANAGE => x::settings::postback;
        get   "/api/x/postback-presets" POSTBACKS => x::presets::list;
    }
}

/// Of every process.
#[rustfmt::skip]
fn operations() -> Vec<Route> {
    routes! {
        get  "/healthz" Open => operations::healthz;
        get  "/readyz" Open => operations::readyz;
        get  "/metrics" Open => operations::metrics;
    }
}

#[rustfmt::skip]
fn document() -> Vec<Route> {
    routes! {
        get  "/openapi.json" Open => operations::openapi;
    }
}

/// Looks for a session itself.
#[rustfmt::skip]
fn dashboard() -> Vec<Route> {
    routes! {
        get  "/" Open => dashboard::overview::overview;
        get  "/assets/style.css" Open => dashboard::style;
        get  "/login" Open => dashboard::session::form;
        post "/login" Open => dashboard::session::login;
        post "/logout" Open => dashboard::session::logout;
        get  "/links/{smart_link_id}" Open => dashboard::link::link;
        get  "/links/{smart_link_id}/breakdown.csv" Open => dashboard::csv::breakdown;
        get  "/links/{smart_link_id}/clicks.csv" Open => dashboard::csv::clicks;
        get  "/links/{smart_link_id}/conversions.csv" Open => dashboard::csv::conversions;
        get  "/deliveries" Open => dashboard::deliveries::list;
        get  "/deliveries/replays" Open => dashboard::deliveries::replays;
        get  "/deliveries/{delivery_id}" Open => dashboard::deliveries::show;
        post "/deliveries/{delivery_id}/replay" Open => dashboard::deliveries::replay;
        get  "/pool" Open => dashboard::pool::pool;
        get  "/dead-letters" Open => dashboard::dead_letters::list;
        post "/dead-letters/{dead_letter_id}/retry" Open => dashboard::dead_letters::retry;
    }
}

#[rustfmt::skip]
fn webhooks() -> Vec<Route> {
    routes! {
        post "/webhooks/onlyfansapi" Open => intake::webhook;
    }
}

/// What a process serves beside its health and metrics: the roles of the admin listener (surface 1 and 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// `/api/…` and its document.
    pub api: bool,
    /// `/webhooks/…`.
    pub intake: bool,
    /// `/` and its pages.
    pub dashboard: bool,
}

impl Served {
    /// Everything.
    pub const ALL: Self = Self { api: true, intake: true, dashboard: true };

    fn routes(self) -> Vec<Route> {
        let mut routes = operations();
        if self.api {
            routes.extend(contract().into_iter().chain(extensions()).chain(document()));
        }
        if self.intake {
            routes.extend(webhooks());
        }
        if self.dashboard {
            routes.extend(dashboard());
        }
        routes
    }
}

/// The admin listener of a process, as far as its roles go.
pub fn router(parts: ApiParts, served: Served) -> Router {
    let app = App::new(parts);
    let mut router = Router::new();
    for route in served.routes() {
        let layer = from_fn_with_state((app.clone(), route.access), guard);
        router = router.route(route.path, route.handler.route_layer(layer));
    }
    router
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(app)
}

async fn unknown_path(uri: Uri) -> Response {
    tracing::debug!(path = uri.path(), "unknown path");
    ApiError::NotFound("path").into_response()
}

async fn wrong_method() -> Response {
    ApiError::WrongMethod.into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    fn served() -> BTreeSet<(String, String)> {
        Served::ALL.routes().iter().map(|route| (route.path.to_owned(), route.method.to_owned())).collect()
    }

    #[test]
    fn a_process_serves_its_roles_and_nothing_else() {
        let paths = |served: Served| served.routes().iter().map(|route| route.path).collect::<BTreeSet<_>>();
        let intake = paths(Served { api: false, intake: true, dashboard: false });
        assert_eq!(intake, BTreeSet::from(["/healthz", "/metrics", "/readyz", "/webhooks/onlyfansapi"]));
        let api = paths(Served { api: true, intake: false, dashboard: false });
        assert!(api.contains("/api/whoami") && api.contains("/openapi.json") && !api.contains("/"));
        let dashboard = paths(Served { api: false, intake: false, dashboard: true });
        assert!(dashboard.contains("/") && !dashboard.contains("/api/whoami"));
    }

    fn documented() -> BTreeSet<(String, String)> {
        let document: Value = serde_json::from_str(operations::OPENAPI).unwrap();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        let mut operations = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
                operations.insert((path.clone(), method.clone()));
            }
        }
        operations
    }

    #[test]
    fn the_openapi_document_names_every_route_and_nothing_else() {
        let (served, documented) = (served(), documented());
        assert_eq!(served.difference(&documented).collect::<Vec<_>>(), Vec::<&(String, String)>::new());
        assert_eq!(documented.difference(&served).collect::<Vec<_>>(), Vec::<&(String, String)>::new());
    }

    #[test]
    fn everything_under_api_needs_a_key() {
        for route in contract().into_iter().chain(extensions()) {
            assert!(route.path.starts_with("/api/"));
            assert_ne!(route.access, Open, "{}", route.path);
        }
    }

    #[test]
    fn what_changes_something_needs_a_manage_permission() {
        for route in contract().into_iter().chain(extensions()).filter(|route| route.method != "get") {
            let Needs(permission) = route.access else { panic!("{} needs no permission", route.path) };
            assert!(permission.ends_with(".manage"), "{}", route.path);
        }
    }
}
