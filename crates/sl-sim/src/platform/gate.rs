//! Before and after the work of an endpoint: key, limit, failures on demand, latency, stalls (contract A.3, E.6).

use axum::response::Response;

use rand::RngExt;

use super::{
    Shared, calls,
    hooks::Login,
    reply::{Around, Reply, refused},
    routes::{self, Endpoint},
};
use crate::{chance::dice, knobs::Rate, server::Whole};

pub(super) async fn pass(shared: &Shared, request: &Whole, path: &[&str]) -> Response {
    let now = shared.now();
    let found = routes::find(&request.method, path);
    let endpoint = found.as_ref().map_or("unknown", |(_, endpoint)| endpoint.name());
    let free = found.as_ref().is_some_and(|(_, endpoint)| endpoint.is_free());
    let latency = shared.knobs.lock().latency;
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let rate = rate(shared, free);
    let around = Around { rate, free, address: address(request) };
    let chance = Chance::draw(shared, endpoint);
    let reply = match answer(shared, request, path, found, rate, chance.fails) {
        done if done.is_done() && chance.is_lost => refused(504, "The upstream did not answer in time."),
        reply => reply,
    };
    let response = reply.send(&around);
    shared.meters.lock().count(endpoint, response.status().as_u16(), now.seconds());
    let stall = shared.knobs.lock().take_stall(endpoint);
    if let Some(held) = stall {
        // The work is done; only the answer does not come.
        tokio::time::sleep(held).await;
    }
    response
}

/// What the seed has in store for a call: the n-th one of an endpoint has the same fate in every run.
struct Chance {
    fails: bool,
    is_lost: bool,
}

impl Chance {
    fn draw(shared: &Shared, endpoint: &str) -> Self {
        let faults = &shared.config.faults;
        let nth = shared.meters.lock().nth(endpoint);
        let mut dice = dice(shared.config.seed, &["call", endpoint, &nth.to_string()]);
        let fails = dice.random_bool(faults.failing);
        Self { fails, is_lost: endpoint.starts_with("create_") && dice.random_bool(faults.unanswered) }
    }
}

fn rate(shared: &Shared, free: bool) -> Rate {
    let mut knobs = shared.knobs.lock();
    if free {
        let limit = knobs.per_minute.unwrap_or(u32::MAX);
        return Rate { limit, remaining: limit, retry_after: 0, exceeded: false };
    }
    knobs.count(shared.now())
}

fn answer(
    shared: &Shared,
    request: &Whole,
    path: &[&str],
    found: Option<(&str, Endpoint<'_>)>,
    rate: Rate,
    fails: bool,
) -> Reply {
    let want = format!("Bearer {}", shared.config.api_key.expose());
    if request.header("authorization") != want {
        return refused(401, "The API key is missing or wrong; get one in the console.");
    }
    let Some((account, endpoint)) = found else {
        return match routes::is_known(path) {
            true => refused(405, "The method is not supported for this route."),
            false => refused(404, "The route could not be found."),
        };
    };
    if rate.exceeded {
        return refused(429, "Too many requests; slow down.");
    }
    if let Some(status) = shared.knobs.lock().take_failure(endpoint.name()) {
        return refused(status, "Failed on demand.");
    }
    if fails {
        return refused(500, "Something went wrong.");
    }
    let mut world = shared.world.lock();
    if !account.is_empty() {
        match world.account(account).map(|account| account.login) {
            Err(refusal) => return refusal.into(),
            Ok(Login::Reconnecting) => return refused(503, "The account is being re-authenticated."),
            Ok(Login::LoggedOut) => return refused(403, "The account is logged out; connect it again."),
            Ok(Login::LoggedIn) => {}
        }
    }
    let mut call = calls::Call { world: &mut world, account, request, now: shared.now() };
    calls::run(&mut call, endpoint).unwrap_or_else(|refusal| refusal)
}

/// The request's own address, as a client would write it.
fn address(request: &Whole) -> String {
    format!("http://{}{}", request.header("host"), request.uri.path())
}
