//! The service over a real Kafka broker and a real CQL server: what an edge loses by it, how long a click takes until it is
//! attributed, what it costs on the way, and when every edge knows of a change.
//!
//! * [`edges`]: one edge on cluster storage against one on embedded storage, in turns · [`lag`]: from the click to its
//!   attribution at steady rates · [`costs`]: CPU, bytes and rows · [`books`]: every answered click once ·
//!   [`changes`]: from the API to every edge

mod books;
mod changes;
mod costs;
mod edges;
mod filled;
mod lag;
mod places;
mod servers;

use std::{error::Error, path::PathBuf, process::ExitCode};

use clap::{Parser, ValueEnum};

use crate::servers::Servers;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Measures the service over Kafka and a CQL server: those of SMARTLINKS_TEST_KAFKA and SMARTLINKS_TEST_CQL, else a dev cluster of
/// its own (deploy/dev-cluster). Exit status 1 when an answered click is missing somewhere or is there twice.
#[derive(Parser)]
struct Options {
    /// What is measured.
    #[arg(long, value_delimiter = ',', default_value = "edges,lag")]
    what: Vec<What>,
    /// Clicks per second of the runs that look at lag, one run after the other; the first that misses 2 s ends them.
    #[arg(long, value_delimiter = ',', default_value = "1000,2000,3000,5000")]
    rates: Vec<f64>,
    /// Seconds of such a run.
    #[arg(long, default_value_t = 15.0)]
    seconds: f64,
    /// Seconds at the first rate before it, so that the servers have compiled what they need.
    #[arg(long, default_value_t = 10.0)]
    warm_up: f64,
    /// Creators, each with a Smart Link: clicks come to them in turns.
    #[arg(long, default_value_t = 48)]
    creators: u64,
    /// Links of their own in stock for the visitors of each creator; without them they get the shared one.
    #[arg(long, default_value_t = 0)]
    stock: u64,
    /// Partitions of the stream. The default is the service's.
    #[arg(long, default_value_t = 48)]
    partitions: u32,
    /// Connections, kept alive.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Rounds of each edge, in turns.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of such a round, after half a second of warming up.
    #[arg(long, default_value_t = 2.0)]
    round_seconds: f64,
    /// Clicks per second of the rounds that look at an edge's times; beside them it is asked as fast as it answers.
    #[arg(long, default_value_t = 10_000.0)]
    round_rate: f64,
    /// Smart Links that are made and deleted again, to see when edges know.
    #[arg(long, default_value_t = 20)]
    changes: u32,
    /// Core of the edge being compared; everything else of that comparison is on the other one.
    #[arg(long, default_value_t = 0)]
    edge_core: usize,
    /// That other core.
    #[arg(long, default_value_t = 1)]
    other_core: usize,
    /// The service.
    #[arg(long, default_value = "target/release/smartlinks")]
    program: PathBuf,
    /// Where data directories go: a real disk. The system's directory for temporary files by default.
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// An edge against an embedded one.
    Edges,
    /// Lag and costs at steady rates.
    Lag,
    /// How soon edges know of a change.
    Changes,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// `false` when the books do not balance.
fn run(options: &Options) -> Outcome<bool> {
    let scratch = match &options.dir {
        Some(directory) => tempfile::tempdir_in(directory)?,
        None => tempfile::tempdir()?,
    };
    let servers = Servers::find(scratch.path())?;
    let mut balanced = true;
    if options.what.contains(&What::Edges) {
        balanced &= edges::run(options, &servers, scratch.path())?;
    }
    if options.what.contains(&What::Lag) {
        balanced &= lag::run(options, &servers, scratch.path())?;
    }
    if options.what.contains(&What::Changes) {
        changes::run(options, &servers, scratch.path())?;
    }
    if options.what.iter().any(|what| *what != What::Changes) {
        println!("{}", if balanced { "the books balance" } else { "THE BOOKS DO NOT BALANCE" });
    }
    Ok(balanced)
}
