//! Which of the edge's few addresses a request is for (surface 2, decisions 8).

use std::{net::IpAddr, rc::Rc, sync::atomic::Ordering};

use http::{Method, Request};

use super::{
    Answering, answer,
    headers::Asked,
    redirect::redirect,
    worker::{Known, Worker},
};

const GO: &str = "/go/";

/// Answers one request as hyper read it. The click of a `/go/…` is in the journal's hands when this returns.
pub(crate) fn respond_to<B>(worker: &Rc<Worker>, peer: IpAddr, request: &Request<B>) -> Answering {
    let target = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    worker.read_clock();
    respond(worker, peer, &Asked::new(request.method(), target, headers, worker.forwarded()))
}

/// Answers one request, which came when the worker's clock was read last.
pub(crate) fn respond(worker: &Rc<Worker>, peer: IpAddr, asked: &Asked<'_>) -> Answering {
    let path = asked.path();
    let reads = matches!(*asked.method, Method::GET | Method::HEAD);
    let answer = match path {
        _ if path.starts_with(GO) && !reads => answer::wrong_method(),
        _ if path.starts_with(GO) => match path.get(GO.len()..).and_then(|id| id.parse().ok()) {
            Some(id) => return worker.link(id, |known| go(worker, known, peer, asked)),
            None => unknown(worker),
        },
        "/healthz" | "/.well-known/traffic-advice" if !reads => answer::wrong_method(),
        "/healthz" if worker.shared.draining.load(Ordering::Relaxed) => answer::unavailable(),
        // Whoever spreads visitors over edges sends them to one that can answer.
        "/healthz" if !worker.shared.links.is_loaded() => answer::unavailable(),
        "/healthz" => answer::healthy(),
        "/.well-known/traffic-advice" => answer::traffic_advice(),
        _ => answer::not_found(),
    };
    Answering::ready(answer.into())
}

fn go(worker: &Rc<Worker>, known: Known<'_>, peer: IpAddr, asked: &Asked<'_>) -> Answering {
    let answer = match known {
        Known::Link(link) if link.deleted => {
            worker.meters.deleted.increment(1);
            answer::gone()
        }
        Known::Link(link) => return redirect(worker, link, peer, asked),
        Known::NotLoaded => answer::unavailable(),
        Known::Unknown => unknown(worker),
    };
    Answering::ready(answer.into())
}

/// An address below `/go/` that no Smart Link has: mistyped in an ad, or guessed.
fn unknown(worker: &Worker) -> answer::Answer {
    worker.meters.unknown.increment(1);
    answer::not_found()
}
