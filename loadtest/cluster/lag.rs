//! From a click to its attribution, at steady rates: an edge and an attributor in processes of their own, and both servers, all on
//! the cores of this machine.

use std::{net::SocketAddr, path::Path, thread, time::Duration};

use hdrhistogram::Histogram;
use sl_core::time::{Clock as _, Timestamp};
use sl_loadtest::{
    client::{Load, Run},
    service::Service,
    visitors::Visitors,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Options, Outcome, books,
    costs::{self, Figures, Meter},
    filled::{Shared, SystemClock, links},
    places::{self, Watch},
    servers::Servers,
};

/// The goal.
const GOAL: Duration = Duration::from_secs(2);
/// How long it is waited for what has not been attributed when a run is over.
const PATIENCE: Duration = Duration::from_secs(300);

/// One run at one rate.
struct Seen {
    run: Run,
    from: Timestamp,
    to: Timestamp,
    watch: Watch,
    costs: (Figures, Figures),
    looked: u64,
}

/// Everybody who comes, run after run.
struct Crowd {
    edge: SocketAddr,
    connections: usize,
    visitors: Option<Visitors>,
    answered: u64,
}

impl Crowd {
    /// Connects anew: an edge closes connections that are idle between two runs.
    fn come(&mut self, rate: f64, span: Duration) -> Outcome<Run> {
        let visitors = self.visitors.take().ok_or("no visitors")?;
        let mut load = Load::connect(self.edge, self.connections, visitors, true)?;
        let run = load.run(span, Some(rate))?;
        self.answered += load.answered;
        self.visitors = Some(load.into_visitors());
        Ok(run)
    }
}

/// `false` when the books do not balance.
pub(crate) fn run(options: &Options, servers: &Servers, dir: &Path) -> Outcome<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let shared = runtime.block_on(Shared::make("lag", options, servers, dir))?;
    let start = |roles: &str| {
        let dir = dir.join(format!("lag-{roles}"));
        std::fs::create_dir_all(&dir)?;
        Ok::<_, Box<dyn std::error::Error>>(
            Service::start(&options.program, roles, &dir, &shared.settings())?.0,
        )
    };
    let (edge, attribution) = (start("edge")?, start("attribution")?);
    println!(
        "lag: {} creators in {} of {} partitions, {} links of their own each; edge {}, attribution {}",
        options.creators,
        shared.partitions(options.creators).len(),
        options.partitions,
        options.stock,
        edge.id(),
        attribution.id()
    );
    let targets: Vec<_> = links(options.creators).iter().map(ToString::to_string).collect();
    let mut crowd = Crowd {
        edge: edge.edge(),
        connections: options.connections,
        visitors: Some(Visitors::of("GET", &targets)),
        answered: 0,
    };
    let partitions = shared.partitions(options.creators);
    let meter = runtime.block_on(Meter::new(servers, &shared, &edge, &attribution))?;
    let beginning = runtime.block_on(places::heads(&shared))?;
    let mut rates = options.rates.iter().copied();
    if let Some(rate) = rates.clone().next().filter(|_| options.warm_up > 0.0) {
        let span = Duration::from_secs_f64(options.warm_up);
        let seen = at_rate(&runtime, &shared, &meter, &mut crowd, rate, span, &partitions)?;
        println!("  warmed up with {} clicks", seen.run.count);
    }
    println!(
        "  clicks/s offered, answered: p50 µs, p99 µs | lag p50 ms, p99 ms, of the last quarter, not attributed | took s"
    );
    for rate in rates.by_ref() {
        let span = Duration::from_secs_f64(options.seconds);
        let from = runtime.block_on(places::heads(&shared))?;
        let seen = at_rate(&runtime, &shared, &meter, &mut crowd, rate, span, &partitions)?;
        let places = runtime.block_on(places::read(&shared, &from, &partitions))?;
        let holds = tell(rate, &seen, &places)?;
        costs::print(&seen.costs.0, &seen.costs.1, seen.run.count, seen.looked);
        if !holds {
            break;
        }
    }
    let answered = crowd.answered;
    let clicks = edge.metrics("smartlinks_clicks_total")?;
    for (labels, count) in clicks.into_iter().filter(|(_, count)| *count > 0.0) {
        println!("  edge: {count} clicks {labels}");
    }
    println!(
        "  edge: {} answered before or without the disk",
        edge.metric("smartlinks_clicks_unjournaled_total")?
    );
    let all = runtime.block_on(places::read(&shared, &beginning, &partitions))?;
    drop(meter);
    // In order, so that both say when something is left.
    edge.stop()?;
    attribution.stop()?;
    let mut balanced = books::of_topic(answered, &all);
    let links = links(options.creators);
    balanced &= runtime.block_on(books::of_store(&*shared.store.reports, &links, &all))?;
    runtime.block_on(shared.remove())?;
    Ok(balanced)
}

/// Asks at a rate, and waits until everything is attributed.
fn at_rate(
    runtime: &tokio::runtime::Runtime,
    shared: &Shared,
    meter: &Meter<'_>,
    crowd: &mut Crowd,
    rate: f64,
    span: Duration,
    partitions: &[u32],
) -> Outcome<Seen> {
    let stop = CancellationToken::new();
    let before = runtime.block_on(meter.read())?;
    let from = SystemClock.now();
    let (run, watch) = thread::scope(|scope| {
        let (told, partitions) = (stop.clone(), partitions.to_vec());
        let watching = scope.spawn(move || {
            let watch = Watch::of(partitions).run(shared, told, PATIENCE);
            runtime.block_on(watch).map_err(|error| error.to_string())
        });
        let run = crowd.come(rate, span).map_err(|error| error.to_string());
        // What was answered last goes to Kafka with the forwarder's next turn.
        thread::sleep(Duration::from_millis(500));
        stop.cancel();
        (run, watching.join())
    });
    let (run, watch) = (run?, watch.map_err(|_| "the watch panicked")??);
    let after = runtime.block_on(meter.read())?;
    let to = Timestamp(from.0 + i64::try_from(run.took.as_millis())? + 1);
    let looked = watch.asked();
    Ok(Seen { run, from, to, watch, costs: (before, after), looked })
}

/// Whether the rate holds.
fn tell(rate: f64, seen: &Seen, places: &[places::Place]) -> Outcome<bool> {
    let Seen { run, from, to, watch, .. } = seen;
    let (whole, missing) = watch.lag(places, *from, Timestamp(i64::MAX))?;
    let last = Timestamp(to.0 - (to.0 - from.0) / 4);
    let (quarter, _) = watch.lag(places, last, *to)?;
    let micros = |quantile| run.times.value_at_quantile(quantile) / 1000;
    let p99 = |lag: &Histogram<u64>| lag.value_at_quantile(0.99);
    let holds = missing == 0 && p99(&whole).max(p99(&quarter)) < GOAL.as_millis() as u64;
    println!(
        "  {rate:>8.0} {:>8.0}: {:>6} {:>7} | {:>6} {:>6} {:>6} {missing:>6} | {:>5.1}  {}",
        run.count as f64 / run.took.as_secs_f64(),
        micros(0.5),
        micros(0.99),
        whole.value_at_quantile(0.5),
        p99(&whole),
        p99(&quarter),
        run.took.as_secs_f64(),
        if holds { "holds" } else { "DOES NOT HOLD" }
    );
    Ok(holds)
}
