//! Memory, and the time to the first request, with jobs that wait for somebody who never answers.

use std::{
    io::Read,
    net::TcpListener,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use sl_core::{delivery::Destination, ids::PostbackId};
use tokio_util::sync::CancellationToken;

use crate::{
    Outcome,
    house::{EACH, House},
    process,
};

/// Jobs of one step.
const AT_ONCE: u64 = 1_000;
/// How long the worker goes on before its memory is looked at.
const A_WHILE: Duration = Duration::from_secs(3);
/// Nobody is there; the child puts somebody who never answers in its place.
const NOBODY: &str = "http://127.0.0.1:1";

/// A directory with so many jobs that are due; closed in order, or left as a killed process leaves it.
pub(crate) fn filled(dir: &Path, jobs: u64, killed: bool) -> Outcome<()> {
    let mut child = Command::new(std::env::current_exe()?);
    child.arg("fill").arg(dir).arg(jobs.to_string());
    if killed {
        child.arg("--killed");
    }
    let done = child.output()?;
    // What a killed one says is nothing.
    let as_asked = if killed { !done.status.success() } else { done.status.success() };
    if as_asked { Ok(()) } else { Err(String::from_utf8_lossy(&done.stderr).into_owned().into()) }
}

/// The child: fills a directory.
pub(crate) fn fill(dir: &Path, jobs: u64, killed: bool) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let house = House::open(dir)?;
        house.furnish(NOBODY, NOBODY).await?;
        let mut first = 0;
        while first < jobs {
            let end = (first + AT_ONCE).min(jobs);
            house.wait(first..end, Destination::Postback(PostbackId(EACH))).await?;
            first = end;
        }
        if killed {
            // Nothing is closed, flushed or dropped.
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)?;
        }
        let stop = CancellationToken::new();
        house.close(stop, tokio::spawn(async {})).await
    })
}

/// Starts a process on the directory and says what it says.
pub(crate) fn report(dir: &Path, jobs: u64) -> Outcome<()> {
    let said = Command::new(std::env::current_exe()?).arg("start").arg(dir).output()?;
    if !said.status.success() {
        return Err(String::from_utf8_lossy(&said.stderr).into_owned().into());
    }
    println!("{jobs} waiting: {}", String::from_utf8_lossy(&said.stdout).trim());
    Ok(())
}

/// The child: opens the store, works until the first request is there and a while longer.
pub(crate) fn start(dir: &Path) -> Outcome<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let begun = Instant::now();
    let house = House::open(dir)?;
    let opened = begun.elapsed();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(house.move_last(&format!("http://{}", listener.local_addr()?)))?;
    let stop = CancellationToken::new();
    let worker = runtime.spawn(house.worker(NOBODY)?.run(stop.clone()));
    let (mut first, _) = listener.accept()?;
    first.read_exact(&mut [0; 4])?;
    let asked = begun.elapsed();
    std::thread::sleep(A_WHILE);
    println!(
        "open after {:.2} s, first request after {:.2} s, {} MiB then",
        opened.as_secs_f64(),
        asked.as_secs_f64(),
        process::resident_mib()
    );
    drop((first, listener));
    stop.cancel();
    worker.abort();
    // The directory is thrown away.
    std::process::exit(0);
}
