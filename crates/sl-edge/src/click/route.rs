//! Which of the edge's few addresses a request is for (surface 2, decisions 8).

use std::{net::IpAddr, rc::Rc, sync::atomic::Ordering};

use http::{Method, Request};

use super::{
    Answering, answer,
    redirect::redirect,
    worker::{Known, Worker},
};

const GO: &str = "/go/";

/// Answers one request. The click of a `/go/…` is in the journal's hands when this returns.
pub(crate) fn respond<B>(worker: &Rc<Worker>, peer: IpAddr, mut request: Request<B>) -> Answering {
    let answer = route(worker, peer, &request);
    // The answer's headers go where the request's were: hyper reads the next request into the same place.
    answer.over(std::mem::take(request.headers_mut()))
}

fn route<B>(worker: &Rc<Worker>, peer: IpAddr, request: &Request<B>) -> Answering {
    let path = request.uri().path();
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let answer = match path {
        _ if path.starts_with(GO) && !reads => answer::wrong_method(),
        _ if path.starts_with(GO) => {
            match path.get(GO.len()..).and_then(|id| id.parse().ok()).map(|id| worker.link(id)) {
                Some(Known::Link(link)) if link.link.deleted => answer::gone(),
                Some(Known::Link(link)) => return redirect(worker, &link, peer, request),
                Some(Known::NotLoaded) => answer::unavailable(),
                Some(Known::Unknown) | None => answer::not_found(),
            }
        }
        "/healthz" | "/.well-known/traffic-advice" if !reads => answer::wrong_method(),
        "/healthz" if worker.shared.draining.load(Ordering::Relaxed) => answer::unavailable(),
        "/healthz" => answer::healthy(),
        "/.well-known/traffic-advice" => answer::traffic_advice(),
        _ => answer::not_found(),
    };
    Answering::ready(answer)
}
