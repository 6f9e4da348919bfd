//! How long the service takes to start with many Smart Links and many remembered visitors.
//!
//! Fills a data directory (links and pool links into the store, clicks into the journal), lets the service attribute the
//! clicks once and stop in order; then starts it again and again and looks at the clock until a visitor of before is sent
//! where it was sent before.

mod filled;
mod service;

use std::{
    error::Error,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use sl_loadtest::service::Service;

/// Times the start with full memory.
#[derive(Parser)]
struct Options {
    /// Smart Links.
    #[arg(long, default_value_t = 1_000_000)]
    links: u64,
    /// Visitors of the last hours, each with a click and a pool link.
    #[arg(long, default_value_t = 1_000_000)]
    visitors: u64,
    /// Starts that are timed.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// The program.
    #[arg(long, default_value = "target/release/smartlinks")]
    program: PathBuf,
    /// Where the data directory goes: a real disk. The system's directory for temporary files by default.
    #[arg(long)]
    dir: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let scratch = match &options.dir {
        Some(directory) => tempfile::tempdir_in(directory)?,
        None => tempfile::tempdir()?,
    };
    let dir = scratch.path();
    // The first start makes directory, secrets and team.
    let (mut first, _) = start(options, dir)?;
    let key = first.owner_key.take().ok_or("the first start named no owner key")?;
    first.stop()?;
    eprintln!("filling: {} links, {} visitors", options.links, options.visitors);
    filled::fill(dir, options.links, options.visitors)?;
    let (running, _) = start(options, dir)?;
    eprintln!("attributing");
    service::until_attributed(&running, options.visitors, &key)?;
    running.stop()?;
    for _ in 0..options.rounds {
        let (running, took) = start(options, dir)?;
        let known = filled::known(options.visitors);
        let place = service::visit(&running, &known)?;
        if place != known.place {
            return Err(
                format!("visitor {} was sent to {place}, before to {}", known.number, known.place).into()
            );
        }
        println!("ready after {:.2} s, {} MiB", took.as_secs_f64(), running.resident_mib());
        running.stop()?;
        // The disk's caches settle.
        std::thread::sleep(Duration::from_millis(500));
    }
    Ok(())
}

fn start(options: &Options, dir: &Path) -> Result<(Service, Duration), Box<dyn Error>> {
    Service::start(&options.program, "all", dir, &[])
}
