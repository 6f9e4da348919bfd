//! One edge on cluster storage against one on embedded storage, in turns: the same program, each with everything it does on
//! one core of its own, the visitors and both servers on another.
//!
//! Embedded storage means every role in one process, attribution too; an edge of a cluster hands its clicks to Kafka
//! instead. So CPU is told apart by thread: those that answer and those that write the journal do the same on both.

use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use sl_fjall::FjallOptions;
use sl_loadtest::{
    client::{self, Load},
    process::{pin, pin_process, unpin},
    service::Service,
    visitors::Visitors,
};

use crate::{
    Options, Outcome, books,
    costs::{Figures, edge_parts},
    filled::{self, Shared, edge_settings, links},
    places,
    servers::Servers,
};

const WARM_UP: Duration = Duration::from_millis(500);
/// Longest wait until what a round has left to do behind its answers is done.
const PATIENCE: Duration = Duration::from_secs(120);

/// One of the two.
struct Side {
    name: &'static str,
    service: Service,
    /// On embedded storage.
    key: Option<String>,
    visitors: Option<Visitors>,
    answered: u64,
}

/// All rounds of one side at one pace.
struct Total {
    rates: Vec<f64>,
    times: Histogram<u64>,
    count: f64,
    wall: f64,
    parts: Figures,
}

/// `false` when the books do not balance.
pub(crate) fn run(options: &Options, servers: &Servers, dir: &Path) -> Outcome<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let shared = runtime.block_on(Shared::make("edges", options, servers, dir))?;
    let kinds = ["kafka", "cql"].into_iter().filter_map(|kind| servers.process(kind)).collect::<Vec<_>>();
    for process in &kinds {
        pin_process(*process, Some(options.other_core))?;
    }
    let outcome = compare(options, &shared, &runtime, dir);
    for process in &kinds {
        pin_process(*process, None)?;
    }
    unpin()?;
    let balanced = outcome?;
    runtime.block_on(shared.remove())?;
    Ok(balanced)
}

fn compare(
    options: &Options,
    shared: &Shared,
    runtime: &tokio::runtime::Runtime,
    dir: &Path,
) -> Outcome<bool> {
    let beginning = runtime.block_on(places::heads(shared))?;
    pin(options.edge_core)?;
    let home = embedded_home(options, runtime, dir)?;
    let (service, _) = Service::start(&options.program, "all", &home.0, &edge_settings())?;
    let mut embedded = Side::of("embedded", service, Some(home.1), options);
    let cluster_dir = dir.join("edges-cluster");
    std::fs::create_dir_all(&cluster_dir)?;
    let (service, _) = Service::start(&options.program, "edge", &cluster_dir, &shared.settings())?;
    let mut cluster = Side::of("cluster", service, None, options);
    pin(options.other_core)?;
    println!(
        "edges: {} creators, {} connections; embedded {}, cluster {}",
        options.creators,
        options.connections,
        embedded.service.id(),
        cluster.service.id()
    );
    println!(
        "  pace      storage    redirects/s   p50 µs   p99 µs core busy  CPU µs a click: answering  journal    Kafka     rest"
    );
    for (pace, rate) in [("closed", None), ("open", Some(options.round_rate))] {
        let mut totals = [Total::new()?, Total::new()?];
        for round in 0..options.rounds {
            for turn in [round % 2, 1 - round % 2] {
                let side = if turn == 0 { &mut embedded } else { &mut cluster };
                if let Some(total) = totals.get_mut(turn) {
                    side.round(options, rate, total)?;
                }
            }
        }
        let [ours, theirs] = [&totals[1], &totals[0]];
        println!("  {pace:<9} {}", theirs.line(embedded.name));
        println!("  {pace:<9} {}", ours.line(cluster.name));
        println!(
            "  {pace:<9} cluster to embedded: {:.3} of the redirects a second, {:.3} of the redirects per CPU second of \
             the threads that answer and write the journal",
            ours.rate() / theirs.rate(),
            theirs.own() / ours.own()
        );
    }
    for side in [&embedded, &cluster] {
        let unjournaled = side.service.metric("smartlinks_clicks_unjournaled_total")?;
        println!(
            "  {}: {} MiB, {unjournaled} answered before or without the disk",
            side.name,
            side.service.resident_mib()
        );
    }
    let balanced_embedded = finish_embedded(options, runtime, embedded, &home.0)?;
    cluster.service.stop()?;
    let topic = runtime.block_on(places::read(shared, &beginning, &shared.partitions(options.creators)))?;
    Ok(books::of_topic(cluster.answered, &topic) && balanced_embedded)
}

/// A directory with the creators in it, and the owner's key.
fn embedded_home(
    options: &Options,
    runtime: &tokio::runtime::Runtime,
    dir: &Path,
) -> Outcome<(PathBuf, String)> {
    let home = dir.join("edges-embedded");
    std::fs::create_dir_all(&home)?;
    let (mut first, _) = Service::start(&options.program, "all", &home, &edge_settings())?;
    let key = first.owner_key.take().ok_or("the first start named no owner key")?;
    first.stop()?;
    runtime.block_on(async {
        let handle = sl_fjall::open(home.join("store"), FjallOptions::default())?;
        filled::fill(&handle.store(), options.creators, options.stock).await?;
        handle.close().await?;
        Ok::<_, Box<dyn std::error::Error>>(())
    })?;
    Ok((home, key))
}

/// Whether the embedded store has attributed every answered click.
fn finish_embedded(
    options: &Options,
    runtime: &tokio::runtime::Runtime,
    side: Side,
    home: &Path,
) -> Outcome<bool> {
    side.service.stop()?;
    runtime.block_on(async {
        let handle = sl_fjall::open(home.join("store"), FjallOptions::default())?;
        let totals = handle.store().reports.totals(&links(options.creators)).await?;
        handle.close().await?;
        let attributed: u64 = totals.iter().map(|totals| totals.clicks).sum();
        println!("  embedded: answered with 302: {}; attributed: {attributed}", side.answered);
        Ok(attributed == side.answered)
    })
}

impl Side {
    fn of(name: &'static str, service: Service, key: Option<String>, options: &Options) -> Self {
        let targets: Vec<_> = links(options.creators).iter().map(ToString::to_string).collect();
        Self { name, service, key, visitors: Some(Visitors::of("GET", &targets)), answered: 0 }
    }

    fn round(&mut self, options: &Options, rate: Option<f64>, total: &mut Total) -> Outcome<()> {
        let visitors = self.visitors.take().ok_or("no visitors")?;
        // Asleep between answers: the servers need the core.
        let mut load = Load::connect(self.service.edge(), options.connections, visitors, true)?;
        load.run(WARM_UP, rate)?;
        let before = edge_parts(self.service.id())?;
        let run = load.run(Duration::from_secs_f64(options.round_seconds), rate)?;
        for (part, seconds) in edge_parts(self.service.id())? {
            let grown = seconds - before.get(&part).copied().unwrap_or(0.0);
            *total.parts.entry(part).or_default() += grown;
        }
        total.times.add(&run.times)?;
        total.count += run.count as f64;
        total.wall += run.took.as_secs_f64();
        total.rates.push(run.count as f64 / run.took.as_secs_f64());
        self.answered += load.answered;
        self.visitors = Some(load.into_visitors());
        self.until_quiet()
    }

    /// Waits until nothing of the round is left to be done behind the answers, so that the other side has the core.
    fn until_quiet(&self) -> Outcome<()> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(200));
            let done = match &self.key {
                Some(key) => self.service.attributed(key)? >= self.answered,
                None => self.service.metric("smartlinks_forwarded_total")? >= self.answered as f64,
            };
            if done {
                return Ok(());
            }
        }
        Err(format!("{}: not done {PATIENCE:?} after a round", self.name).into())
    }
}

impl Total {
    fn new() -> Outcome<Self> {
        let times = client::histogram()?;
        Ok(Self { rates: Vec::new(), times, count: 0.0, wall: 0.0, parts: Figures::new() })
    }

    /// The median of the rounds.
    fn rate(&self) -> f64 {
        let mut rates = self.rates.clone();
        rates.sort_by(f64::total_cmp);
        rates.get(rates.len() / 2).copied().unwrap_or(f64::NAN)
    }

    fn part(&self, name: &str) -> f64 {
        self.parts.get(name).copied().unwrap_or(0.0) / self.count * 1e6
    }

    /// CPU a click of what both sides do alike, microseconds.
    fn own(&self) -> f64 {
        self.part("answering") + self.part("journal")
    }

    fn line(&self, name: &str) -> String {
        let micros = |quantile| self.times.value_at_quantile(quantile) / 1000;
        let busy: f64 = self.parts.values().sum();
        format!(
            "{name:<10} {:>11.0} {:>8} {:>8} {:>8.0}% {:>26.2} {:>8.2} {:>8.2} {:>8.2}",
            self.rate(),
            micros(0.5),
            micros(0.99),
            busy / self.wall * 100.0,
            self.part("answering"),
            self.part("journal"),
            self.part("client of Kafka"),
            self.part("everything else"),
        )
    }
}
