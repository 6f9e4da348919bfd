//! How the edge compares with nginx's `return 302`: same machine, same requests, one core each, in turns. The edge has every
//! click on disk before it answers; nginx has nothing to remember, or (`nginx+log`) keeps its access log.

mod served;
mod servers;

use std::{error::Error, path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use hdrhistogram::Histogram;
use sl_loadtest::{
    client::{self, Load},
    process::{cpu_seconds, pin, resident_mib},
    visitors::Visitors,
};

use crate::servers::{EdgeChild, Nginx};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Compares the edge with `return 302` of nginx.
#[derive(Parser)]
struct Options {
    /// Connections, kept alive; several are measured one after the other.
    #[arg(long, value_delimiter = ',', default_value = "64,256")]
    connections: Vec<usize>,
    /// Rounds per server and number of connections, in turns.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds per round, after half a second of warming up.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Open loop: requests per second. Without it every connection asks again as soon as it is answered.
    #[arg(long)]
    rate: Option<f64>,
    /// Core of the server being measured.
    #[arg(long, default_value_t = 0)]
    server_core: usize,
    /// Core of the visitors.
    #[arg(long, default_value_t = 1)]
    client_core: usize,
    /// Where the journal goes: a real disk. The system's directory for temporary files by default.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The nginx to compare with.
    #[arg(long, default_value = "nginx")]
    nginx: PathBuf,
    /// Measure the edge only.
    #[arg(long)]
    alone: bool,
    /// What the edge does about a click before it answers.
    #[arg(long, value_enum, default_value_t = Log::Synced)]
    log: Log,
    /// Ask with HEAD: the edge answers from memory and keeps nothing, which shows what HTTP alone costs.
    #[arg(long)]
    head: bool,
    /// Let the visitors sleep between answers. Their core is theirs: by default they look again at once, as if on another
    /// machine, and no server pays for waking them.
    #[arg(long)]
    sleepy: bool,
    /// The child process.
    #[arg(long, hide = true)]
    serve: Option<PathBuf>,
}

/// What becomes of a click before its answer: only `synced` is the service's own, the others show what a part costs.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Log {
    /// On disk, `fdatasync`.
    Synced,
    /// Written, synced within 50 ms.
    Buffered,
    /// Thrown away.
    None,
}

const WARM_UP: Duration = Duration::from_millis(500);
/// Pool links put in stock before a round, per second of it: more than anything here can ask for.
const LINKS_PER_SECOND: f64 = 250_000.0;

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = match &options.serve {
        Some(directory) => served::run(directory, options.log).map(|()| true),
        None => compare(&options),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// `false` when the edge's books do not balance.
fn compare(options: &Options) -> Result<bool, Box<dyn Error>> {
    let scratch = match &options.dir {
        Some(directory) => tempfile::tempdir_in(directory)?,
        None => tempfile::tempdir()?,
    };
    pin(options.server_core)?;
    let mut edge = EdgeChild::start(&scratch.path().join("journal"), options.log)?;
    let mut others = Vec::new();
    for (name, logs) in [("nginx", false), ("nginx+log", true)] {
        if !options.alone {
            others.push((name, Nginx::start(&options.nginx, &scratch.path().join(name), logs)?));
        }
    }
    pin(options.client_core)?;
    println!("edge: idle at {} MiB", resident_mib(edge.id()).unwrap_or(0));
    let mut visitors =
        Visitors::of(if options.head { "HEAD" } else { "GET" }, &[served::link_id().to_string()]);
    let mut answered = 0;
    println!("connections server       requests/s     p50 µs     p99 µs  CPU s/M  core busy  ratio");
    for &connections in &options.connections {
        let mut ours = Total::new()?;
        let mut theirs = others.iter().map(|_| Total::new()).collect::<Result<Vec<_>, _>>()?;
        for _ in 0..options.rounds {
            edge.stock(((options.seconds + WARM_UP.as_secs_f64()) * LINKS_PER_SECOND) as u64)?;
            let load = Load::connect(edge.address, connections, visitors, options.sleepy)?;
            let load = ours.round(load, edge.id(), options)?;
            answered += load.answered;
            visitors = load.into_visitors();
            for ((_, nginx), total) in others.iter().zip(&mut theirs) {
                let load = Load::connect(nginx.address, connections, visitors, options.sleepy)?;
                visitors = total.round(load, nginx.id(), options)?.into_visitors();
            }
        }
        println!("{connections:>11} {}", ours.line("edge"));
        for ((name, _), total) in others.iter().zip(&theirs) {
            println!("{connections:>11} {} {:>6.2}", total.line(name), ours.rate() / total.rate());
        }
    }
    println!("edge: {} MiB after {answered} visitors", resident_mib(edge.id()).unwrap_or(0));
    let books = edge.stop()?;
    if options.head || options.log == Log::None {
        return Ok(true);
    }
    println!("answered with 302: {answered}; in the journal afterwards: {books:?}");
    let balanced = (books.clicks, books.distinct, books.repeats) == (answered, answered, 0);
    println!(
        "{}",
        if balanced { "every answered click is in the journal" } else { "THE BOOKS DO NOT BALANCE" }
    );
    Ok(balanced)
}

/// All rounds of one server.
struct Total {
    rates: Vec<f64>,
    times: Histogram<u64>,
    count: f64,
    cpu: f64,
    wall: f64,
}

impl Total {
    fn new() -> std::io::Result<Self> {
        Ok(Self { rates: Vec::new(), times: client::histogram()?, count: 0.0, cpu: 0.0, wall: 0.0 })
    }

    fn round(&mut self, mut load: Load, server: u32, options: &Options) -> Result<Load, Box<dyn Error>> {
        load.run(WARM_UP, options.rate)?;
        let before = cpu_seconds(server)?;
        let run = load.run(Duration::from_secs_f64(options.seconds), options.rate)?;
        self.cpu += cpu_seconds(server)? - before;
        self.times.add(&run.times)?;
        // Counts of requests are far below 2^53.
        let (count, wall) = (run.count as f64, run.took.as_secs_f64());
        self.count += count;
        self.wall += wall;
        self.rates.push(count / wall);
        Ok(load)
    }

    /// The median of the rounds.
    fn rate(&self) -> f64 {
        let mut rates = self.rates.clone();
        rates.sort_by(f64::total_cmp);
        rates.get(rates.len() / 2).copied().unwrap_or(f64::NAN)
    }

    fn line(&self, name: &str) -> String {
        let micros = |quantile| self.times.value_at_quantile(quantile) as f64 / 1000.0;
        format!(
            "{name:<10} {:>12.0} {:>10.0} {:>10.0} {:>8.2} {:>9.0}%",
            self.rate(),
            micros(0.5),
            micros(0.99),
            self.cpu / self.count * 1e6,
            self.cpu / self.wall * 100.0
        )
    }
}
