//! How long a change takes from the API's answer to every edge: Smart Links are made and deleted, and each of three edges
//! is asked until it knows.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use sl_loadtest::service::Service;

use crate::{Options, Outcome, filled::Shared, servers::Servers};

const EDGES: usize = 3;
/// Between two questions to one edge.
const PAUSE: Duration = Duration::from_millis(5);
/// An edge that does not know by then never will.
const PATIENCE: Duration = Duration::from_secs(30);

/// Makes and deletes `options.changes` links.
pub(crate) fn run(options: &Options, servers: &Servers, dir: &Path) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let shared = runtime.block_on(Shared::make("changes", options, servers, dir))?;
    let start = |name: String, roles: &str| -> Outcome<Service> {
        let home = dir.join(format!("changes-{name}"));
        std::fs::create_dir_all(&home)?;
        Ok(Service::start(&options.program, roles, &home, &shared.settings())?.0)
    };
    let api = start("api".to_owned(), "api")?;
    let edges =
        (0..EDGES).map(|number| start(format!("edge-{number}"), "edge")).collect::<Outcome<Vec<_>>>()?;
    let key = shared.owner_key.as_deref().ok_or("the first process has shown no key")?;
    let mut known = [Histogram::<u64>::new(3)?, Histogram::new(3)?];
    for number in 0..options.changes {
        let wish = serde_json::json!({
            "account_id": "acct_load0", "name": format!("Change {number}"), "link_type": "tracking_link",
        });
        let made = api.send(key, "POST", "/api/smart-links", Some(&wish))?;
        known[0].record(until_all(&edges, &made, true)?)?;
        let id = made.pointer("/data/id").and_then(serde_json::Value::as_str).ok_or("no id")?;
        api.send(key, "DELETE", &format!("/api/smart-links/{id}"), None)?;
        known[1].record(until_all(&edges, &made, false)?)?;
    }
    println!("changes: {EDGES} edges, from the API's answer until the last of them knows, ms");
    for (what, times) in ["link made", "link deleted"].into_iter().zip(&known) {
        let of = |share| times.value_at_quantile(share);
        println!(
            "  {what:<13} {} times: p50 {}, p95 {}, longest {}",
            times.len(),
            of(0.5),
            of(0.95),
            times.max()
        );
    }
    drop((api, edges));
    runtime.block_on(shared.remove())
}

/// Milliseconds until every edge redirects, or does not any more.
fn until_all(edges: &[Service], link: &serde_json::Value, redirects: bool) -> Outcome<u64> {
    let id = link.pointer("/data/id").and_then(serde_json::Value::as_str).ok_or_else(|| link.to_string())?;
    let begun = Instant::now();
    let until = |edge: &Service| -> Result<(), String> {
        loop {
            let answer = edge
                .ask_edge(&format!("/go/{id}"), "User-Agent: x\r\n")
                .map_err(|error| error.to_string())?;
            if answer.starts_with("HTTP/1.1 302") == redirects {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("an edge still answers {answer}"));
            }
            thread::sleep(PAUSE);
        }
    };
    thread::scope(|scope| {
        let asked: Vec<_> = edges.iter().map(|edge| scope.spawn(move || until(edge))).collect();
        asked.into_iter().try_for_each(|edge| edge.join().unwrap_or_else(|_| Err("panicked".to_owned())))
    })?;
    Ok(u64::try_from(begun.elapsed().as_millis())?)
}
