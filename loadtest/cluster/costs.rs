//! What clicks cost on their way: CPU by process and role, bytes in Kafka, partitions and requests in the database.

use std::collections::BTreeMap;

use scylla::client::{session::Session, session_builder::SessionBuilder};
use sl_loadtest::{process::cpu_by_thread, service::Service};

use crate::{Outcome, filled::Shared, servers::Servers};

/// Figures that only grow, by name.
pub(crate) type Figures = BTreeMap<String, f64>;

/// Whoever works for a click.
pub(crate) struct Meter<'run> {
    servers: &'run Servers,
    shared: &'run Shared,
    edge: &'run Service,
    attribution: &'run Service,
    session: Session,
}

const ON_DISK: &str = "bytes on the broker's disk: ";

impl<'run> Meter<'run> {
    pub(crate) async fn new(
        servers: &'run Servers,
        shared: &'run Shared,
        edge: &'run Service,
        attribution: &'run Service,
    ) -> Outcome<Self> {
        let nodes: Vec<_> = servers.cql.split(',').collect();
        let session = SessionBuilder::new().known_nodes(nodes).build().await?;
        Ok(Self { servers, shared, edge, attribution, session })
    }

    /// Everything so far.
    pub(crate) async fn read(&self) -> Outcome<Figures> {
        let mut figures = Figures::new();
        for (part, seconds) in edge_parts(self.edge.id())? {
            figures.insert(format!("CPU s: edge, {part}"), seconds);
        }
        let mut whole = |name: &str, process: Option<u32>| {
            if let Some(process) = process {
                let seconds: f64 = cpu_by_thread(process)?.values().sum();
                figures.insert(format!("CPU s: {name}"), seconds);
            }
            Ok::<_, Box<dyn std::error::Error>>(())
        };
        whole("attribution", Some(self.attribution.id()))?;
        whole("Kafka", self.servers.process("kafka"))?;
        whole("CQL server", self.servers.process("cql"))?;
        whole("visitors (this program)", Some(std::process::id()))?;
        figures.insert(
            "bytes to Kafka before compression".into(),
            self.edge.metric("smartlinks_forward_bytes_total")?,
        );
        let config = self.shared.kafka.config();
        for (name, topic) in [("events", config.events_topic()), ("visitors", config.visitors_topic())] {
            figures.insert(format!("{ON_DISK}{name}"), self.servers.on_disk(&topic) as f64);
        }
        self.database(&mut figures).await;
        Ok(figures)
    }

    /// What the server itself has counted: rows of one partition that come together are one. ScyllaDB has no such tables.
    async fn database(&self, figures: &mut Figures) {
        let of_tables =
            [("partitions written", "local_write_latency"), ("partitions read", "local_read_latency")];
        for (what, view) in of_tables {
            let text = format!("SELECT keyspace_name, table_name, count FROM system_views.{view}");
            for (keyspace, table, count) in self.rows::<(String, String, i64)>(&text).await {
                let name = match keyspace.as_str() {
                    "system" if table == "paxos" => format!("{what}: paxos"),
                    keyspace if keyspace == self.shared.keyspace() => format!("{what}: {table}"),
                    _ => continue,
                };
                *figures.entry(name).or_default() += count as f64;
            }
        }
        let requests = self.rows::<(i64,)>("SELECT request_count FROM system_views.clients").await;
        if !requests.is_empty() {
            figures.insert("CQL requests".into(), requests.into_iter().map(|(count,)| count as f64).sum());
        }
    }

    async fn rows<R>(&self, text: &str) -> Vec<R>
    where
        R: for<'frame, 'metadata> scylla::deserialize::row::DeserializeRow<'frame, 'metadata>,
    {
        let Ok(answer) = self.session.query_unpaged(text, ()).await else { return Vec::new() };
        let Ok(rows) = answer.into_rows_result() else { return Vec::new() };
        rows.rows::<R>().map(|rows| rows.flatten().collect()).unwrap_or_default()
    }
}

/// CPU seconds of an edge's process by what its threads do.
pub(crate) fn edge_parts(process: u32) -> Outcome<Figures> {
    let mut parts = Figures::new();
    for (thread, seconds) in cpu_by_thread(process)? {
        let part = match thread.as_str() {
            name if name.starts_with("edge-") => "answering",
            name if name.starts_with("journal-") => "journal",
            name if name.starts_with("rdk:") => "client of Kafka",
            _ => "everything else",
        };
        *parts.entry(part.to_owned()).or_default() += seconds;
    }
    Ok(parts)
}

/// What grew between two readings, per click or (CPU) per million. `own`: requests of this program itself.
pub(crate) fn print(before: &Figures, after: &Figures, clicks: u64, own: u64) {
    let mut sums = Figures::new();
    for (name, value) in after {
        let mut grown = value - before.get(name).copied().unwrap_or(0.0);
        if name == "CQL requests" {
            grown -= own as f64;
        }
        let each = grown / clicks as f64;
        if name.starts_with("CPU s") {
            println!("    {name:<48} {:>8.2} per million clicks", each * 1e6);
        } else if let Some((what, _)) =
            name.split_once(": ").filter(|(what, _)| what.starts_with("partitions"))
        {
            *sums.entry(what.to_owned()).or_default() += each;
            if each >= 0.05 {
                println!("    {name:<48} {each:>8.2} per click");
            }
        } else {
            println!("    {name:<48} {each:>8.2} per click");
        }
    }
    for (what, each) in sums {
        println!("    {:<48} {each:>8.2} per click", format!("{what}, all tables"));
    }
}
