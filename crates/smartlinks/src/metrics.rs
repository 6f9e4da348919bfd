//! The metrics of surface 4: one table with every name, its kind and its meaning.

use std::{thread, time::Duration};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use parking_lot::Mutex;
use sl_core::time::Clock;

use crate::failure::Failure;

enum Kind {
    Counter,
    Gauge,
    Histogram,
}
use Kind::{Counter, Gauge, Histogram};

/// Name, kind, meaning.
const TABLE: &[(&str, Kind, &str)] = &[
    ("smartlinks_clicks_total", Counter, "Hits of /go/{id} by class and by the rung of the ladder they got"),
    (
        "smartlinks_clicks_unjournaled_total",
        Counter,
        "Clicks answered before (late) or without (lost) their record on disk",
    ),
    ("smartlinks_redirect_seconds", Histogram, "From the end of a request's header to its answer"),
    (
        "smartlinks_window_evicted_total",
        Counter,
        "Visitors forgotten before their time because edge.window_entries was reached",
    ),
    (
        "smartlinks_edge_refused_total",
        Counter,
        "Requests of /go/{id} that no Smart Link answers, by answer: of a deleted one (410), of an unknown one (404)",
    ),
    ("smartlinks_edge_accept_errors_total", Counter, "Connections the system did not hand over"),
    (
        "smartlinks_edge_connections_refused_total",
        Counter,
        "Connections answered 503 because edge.max_connections was reached",
    ),
    ("smartlinks_edge_slow_headers_total", Counter, "Connections closed because of edge.header_timeout"),
    ("smartlinks_journal_sync_seconds", Histogram, "One fdatasync of the journal"),
    ("smartlinks_journal_head", Gauge, "Records handed to the journal"),
    ("smartlinks_journal_synced", Gauge, "Records on disk"),
    ("smartlinks_journal_lost_total", Counter, "Records the journal refused or lost, by reason"),
    ("smartlinks_journal_damaged_total", Counter, "Unreadable stretches met in journal files"),
    (
        "smartlinks_journal_undecodable_total",
        Counter,
        "Records with a good checksum that could not be decoded",
    ),
    ("smartlinks_journal_segments_failed_total", Counter, "Segments given up because a write or sync failed"),
    (
        "smartlinks_journal_segments_removed_early_total",
        Counter,
        "Segments removed inside journal.retention because journal.max_disk was reached",
    ),
    (
        "smartlinks_store_available",
        Gauge,
        "1, or 0 while the embedded store waits to be opened again after a failed write",
    ),
    ("smartlinks_visitors_learned_total", Counter, "Visitors that this edge knows because another one told"),
    ("smartlinks_outbox_shards", Gauge, "Shards of the outbox that this worker sends from"),
    ("smartlinks_forwarded_total", Counter, "Journal records that Kafka acknowledged"),
    ("smartlinks_forward_bytes_total", Counter, "Bytes handed to Kafka, before compression"),
    ("smartlinks_forward_lag_records", Gauge, "Journal records that Kafka has not acknowledged"),
    ("smartlinks_forward_failures_total", Counter, "Times forwarding to Kafka stopped and began again"),
    (
        "smartlinks_forward_unsendable_total",
        Counter,
        "Records larger than the topic takes, left in the journal",
    ),
    (
        "smartlinks_stream_stale_total",
        Counter,
        "Records of a topic that was made anew meanwhile, left out because they come again",
    ),
    (
        "smartlinks_stream_silent_total",
        Counter,
        "Times records of a partition did not come and were asked for anew",
    ),
    ("smartlinks_visitors_undecodable_total", Counter, "Visits of other edges that could not be read"),
    (
        "smartlinks_attribution_lag_seconds",
        Gauge,
        "Age of the oldest record that is not applied, as far as known; 0 when there is none",
    ),
    (
        "smartlinks_attribution_oddities_total",
        Counter,
        "Clock jumps, future dates, differing money, dropped holds, and what could not be read and was left out, by kind",
    ),
    ("smartlinks_conversions_total", Counter, "Conversions by type"),
    ("smartlinks_deliveries_total", Counter, "Attempts by destination and outcome"),
    (
        "smartlinks_delivery_batches_total",
        Counter,
        "Requests with several events by destination and outcome; apart: each goes again alone",
    ),
    (
        "smartlinks_delivery_warnings_total",
        Counter,
        "Requests written with something odd about them, by destination and warning",
    ),
    ("smartlinks_outbox", Gauge, "Deliveries by state"),
    ("smartlinks_pool_links", Gauge, "Pool links by account, type and state"),
    (
        "smartlinks_pool_time_to_empty_seconds",
        Gauge,
        "When a stock is gone at the forecast rate, by account and type",
    ),
    (
        "smartlinks_pool_links_ended_total",
        Counter,
        "Pool links taken out of stock because they were ended or deleted at the creator platform, by account and type",
    ),
    ("smartlinks_platform_requests_total", Counter, "Calls of the creator platform by endpoint and status"),
    ("smartlinks_webhooks_total", Counter, "Webhooks by event and outcome"),
    (
        "smartlinks_webhooks_silent",
        Gauge,
        "1 while an account's webhooks have stopped coming, by their rhythm; else 0",
    ),
    ("smartlinks_build_info", Gauge, "Always 1; the version that runs is its label"),
    ("process_start_time_seconds", Gauge, "When the process started, seconds since 1970"),
];

/// Buckets of both histograms, seconds.
const SECONDS: &[f64] =
    &[0.000_1, 0.000_25, 0.000_5, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0];

/// Samples of histograms lie in memory until somebody adds them up: every so often, or `/metrics` when it is read.
const UPKEEP: Duration = Duration::from_secs(5);

/// The version that runs.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The process's recorder, started on the first call: that is when the process starts.
///
/// # Errors
/// [`Failure::Run`] when another recorder is installed.
pub(crate) fn recorder(clock: &dyn Clock) -> Result<PrometheusHandle, Failure> {
    // Held while it is installed: two services of one process may start at once.
    static RECORDER: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    let mut recorder = RECORDER.lock();
    if let Some(handle) = &*recorder {
        return Ok(handle.clone());
    }
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)
        .map_err(Failure::run)?;
    let handle = builder.install_recorder().map_err(Failure::run)?;
    for (name, kind, help) in TABLE {
        match kind {
            Counter => metrics::describe_counter!(*name, *help),
            Gauge => metrics::describe_gauge!(*name, *help),
            Histogram => metrics::describe_histogram!(*name, *help),
        }
    }
    metrics::gauge!("smartlinks_build_info", "version" => VERSION).set(1.0);
    metrics::gauge!("process_start_time_seconds").set(clock.now().0 as f64 / 1000.0);
    let kept = handle.clone();
    let upkeep = move || {
        loop {
            thread::sleep(UPKEEP);
            kept.run_upkeep();
        }
    };
    thread::Builder::new().name("metrics".to_owned()).spawn(upkeep).map_err(Failure::run)?;
    Ok(recorder.insert(handle).clone())
}

/// What the project's sources record, so that the table is complete.
#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn sources(dir: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                found.push(fs::read_to_string(path).unwrap());
            }
        }
    }

    #[test]
    fn every_recorded_metric_is_in_the_table() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut found = Vec::new();
        for entry in fs::read_dir(crates).unwrap().map(Result::unwrap) {
            sources(&entry.path().join("src"), &mut found);
        }
        let mut seen = 0;
        for text in &found {
            for macro_name in ["counter!(", "gauge!(", "histogram!("] {
                for rest in text.split(macro_name).skip(1) {
                    let Some(name) =
                        rest.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next())
                    else {
                        continue;
                    };
                    if ["smartlinks_", "process_"].iter().any(|ours| name.starts_with(ours)) {
                        seen += 1;
                        assert!(TABLE.iter().any(|(known, ..)| *known == name), "{name} is not in the table");
                    }
                }
            }
        }
        assert!(seen > 15, "the sources were not found");
    }
}
