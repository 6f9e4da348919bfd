//! Deliveries against the simulated ad platforms, which run as a process of their own and validate every request.
//!
//! * lag from conversion to acceptance at a steady rate, and that of the others while one destination never answers
//! * a receiver that is down for a day of simulated time (`--outage`)
//! * memory, and time from the start to the first request, with few and with many waiting jobs

mod backlog;
mod house;
mod lag;
mod outage;
mod process;
mod receivers;
mod waiting;

use std::{error::Error, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};

use lag::Last;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Measures deliveries.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    child: Option<Child>,
    /// Deliveries per second, all destinations together.
    #[arg(long, default_value_t = 2_000)]
    rate: u64,
    /// How long conversions come in, seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Runs of each kind: all destinations answer, one stalls, one is absent.
    #[arg(long, default_value_t = 2)]
    rounds: usize,
    /// Waiting jobs at the start, in the runs that look at memory and start-up.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 1_000_000])]
    waiting: Vec<u64>,
    /// The process that filled the directory was killed: what it had not put into tables is read from the log.
    #[arg(long)]
    killed: bool,
    /// Nothing but this: a receiver is down for so many hours of simulated time (at most 120), then everything is delivered.
    #[arg(long, value_name = "HOURS", num_args = 0..=1, default_missing_value = "24",
          value_parser = clap::value_parser!(u64).range(1..=120))]
    outage: Option<u64>,
    /// Events a second of the outage.
    #[arg(long, default_value_t = 100)]
    outage_rate: u64,
    /// Most events in one request, where a platform takes several and a queue waits for it; several for several runs of
    /// `--backlog`.
    #[arg(long, value_delimiter = ',', default_values_t = [200])]
    max_batch: Vec<usize>,
    /// Nothing but this: so many events wait for one pixel, and its queue is drained.
    #[arg(long, value_name = "EVENTS", num_args = 0..=1, default_missing_value = "20000")]
    backlog: Option<u64>,
    /// How long the receiver of the backlog takes to answer, milliseconds.
    #[arg(long, value_delimiter = ',', default_values_t = [0, 100])]
    latency: Vec<u64>,
    /// Where data directories go: a real disk. The system's directory for temporary files by default.
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Processes of this program.
#[derive(Subcommand)]
enum Child {
    /// The simulated ad platforms, until the input ends.
    #[command(hide = true)]
    Sim,
    /// Fills a directory with waiting jobs.
    #[command(hide = true)]
    Fill {
        dir: PathBuf,
        jobs: u64,
        #[arg(long)]
        killed: bool,
    },
    /// A worker on a directory with waiting jobs, until one is under way.
    #[command(hide = true)]
    Start { dir: PathBuf },
}

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match &options.child {
        Some(Child::Sim) => receivers::simulate(),
        Some(Child::Fill { dir, jobs, killed }) => waiting::fill(dir, *jobs, *killed),
        Some(Child::Start { dir }) => waiting::start(dir),
        None => run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Outcome<()> {
    let max_batch = options.max_batch.first().copied().unwrap_or(1);
    if let Some(hours) = options.outage {
        let scratch = scratch(options)?;
        let outage = outage::Outage { hours, per_second: options.outage_rate, max_batch };
        return outage::measure(scratch.path(), outage);
    }
    if let Some(events) = options.backlog {
        return drain(options, events);
    }
    let mut sums = [lag::Lags::new()?, lag::Lags::new()?, lag::Lags::new()?];
    let span = Duration::from_secs(options.seconds);
    for round in 0..options.rounds {
        // In turns, and each in turn first, so that what the machine does beside is spread over all.
        for nth in 0..Last::ALL.len() {
            let which = (nth + round) % Last::ALL.len();
            let (Some(&last), Some(sum)) = (Last::ALL.get(which), sums.get_mut(which)) else { continue };
            let scratch = scratch(options)?;
            let lags = lag::measure(scratch.path(), options.rate, span, last)?;
            lags.print(last.name());
            sum.add(&lags)?;
        }
    }
    if options.rounds > 0 {
        for (sum, last) in sums.iter().zip(Last::ALL) {
            sum.print(&format!("in all, {}", last.name()));
        }
        let [calm, stalled, absent] = &sums;
        stalled.compare(calm, Last::Answers);
        stalled.compare(absent, Last::Absent);
    }
    for &jobs in &options.waiting {
        let scratch = scratch(options)?;
        waiting::filled(scratch.path(), jobs, options.killed)?;
        waiting::report(scratch.path(), jobs)?;
    }
    Ok(())
}

/// The same backlog in every way asked for, in turns.
fn drain(options: &Options, events: u64) -> Outcome<()> {
    for &latency in &options.latency {
        let mut rates = vec![0.0; options.max_batch.len()];
        for _ in 0..options.rounds {
            for (sum, &max_batch) in rates.iter_mut().zip(&options.max_batch) {
                let scratch = scratch(options)?;
                *sum += backlog::measure(scratch.path(), backlog::Backlog { events, max_batch, latency })?;
            }
        }
        if let [single, others @ ..] = rates.as_slice() {
            for (rate, max_batch) in others.iter().zip(options.max_batch.iter().skip(1)) {
                println!(
                    "answers after {latency} ms: {max_batch} in a request to the first: {:.1}",
                    rate / single
                );
            }
        }
    }
    Ok(())
}

fn scratch(options: &Options) -> Outcome<tempfile::TempDir> {
    Ok(match &options.dir {
        Some(directory) => tempfile::tempdir_in(directory)?,
        None => tempfile::tempdir()?,
    })
}
