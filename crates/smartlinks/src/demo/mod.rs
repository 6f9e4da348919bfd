//! `smartlinks demo`: the service between simulators, and whether its numbers agree with theirs.
//!
//! * [`stage`]: everything started and set up, as a buyer would · [`client`]: the service asked over HTTP
//! * [`figures`]: what the service says · [`summary`]: both sides and every difference · [`view`]: for people

mod client;
mod figures;
mod stage;
mod summary;
mod view;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use sl_sim::traffic::{Target, Traffic, TrafficConfig, book::Pair};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use self::{
    client::Client,
    figures::Figures,
    stage::{Creator, Stage},
    summary::{Book, Credit, Deliveries, RedirectMs, Summary},
    view::View,
};
use crate::{
    cli, clock,
    failure::Failure,
    out::{say, tell},
    serve::Signals,
};

/// Between two lines of figures.
const LOOK: Duration = Duration::from_millis(500);
/// Longest time to settle: the first two waits of a retried delivery with their jitter, and room.
const SETTLE: Duration = Duration::from_secs(100);
/// Of those who subscribe, the share that does after the window: some of those who come in the first seconds of `--for 20s`.
const LATE: f64 = 0.25;
/// So many quiet looks in a row are an end: what one queue hands to the next is never in two of them.
const QUIET: u32 = 4;

/// Runs it, prints the summary.
///
/// # Errors
/// [`Failure::Run`] when something can't start, or the summary does not balance.
pub(crate) async fn run(args: &cli::Demo, json: bool) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let (dir, _temporary) = directory(args)?;
    let begun = Instant::now();
    View::starting();
    let mut stage = Stage::start(args, &dir).await?;
    View::welcome(&stage, args.run_for.is_some());
    let traffic = Arc::new(traffic(args, &stage)?);
    let mut view = View::new();
    let (stop, people) = (CancellationToken::new(), Arc::clone(&traffic));
    let people = tokio::spawn({
        let stop = stop.clone();
        async move { people.run(stop).await }
    });
    let watched = tokio::select! {
        failed = watch(&stage.client, &stage.creators, &mut view, begun) => failed,
        () = until(args.run_for) => Ok(()),
        () = signals.next() => Ok(()),
        failure = stage.service.failed() => Err(failure),
    };
    watched?;
    stop.cancel();
    let figures = tokio::select! {
        figures = settle(&stage, people, &mut view, begun) => figures?,
        () = signals.again() => return Err(Failure::Run("ended at once by a second signal".to_owned())),
    };
    view.done();
    if figures.subscribers == 0 {
        tell!("nobody has subscribed yet: there is little to compare; try --for 20s or longer");
    }
    let (summary, off) = account(&stage, &traffic, &figures, begun);
    let Stage { service, platform, ads, .. } = stage;
    service.shutdown().await?;
    platform.shutdown().await;
    ads.shutdown().await;
    if json {
        say!("{}", serde_json::to_string(&summary).map_err(Failure::run)?);
    } else {
        say!("{}", view::words(&summary, &off));
    }
    if off.is_empty() { Ok(()) } else { Err(Failure::Run(format!("not balanced: {}", off.join("; ")))) }
}

/// Where the data lies; a temporary directory lives as long as its guard.
fn directory(args: &cli::Demo) -> Result<(PathBuf, Option<TempDir>), Failure> {
    if let Some(dir) = &args.dir {
        return Ok((dir.clone(), None));
    }
    let temporary = tempfile::Builder::new().prefix("smartlinks-demo-").tempdir().map_err(Failure::run)?;
    Ok((temporary.path().to_owned(), Some(temporary)))
}

fn traffic(args: &cli::Demo, stage: &Stage) -> Result<Traffic, Failure> {
    let url = |text: String| text.parse().map_err(Failure::run);
    let mut targets = Vec::new();
    for creator in &stage.creators {
        for link in &creator.links {
            targets.push(Target {
                id: link.parse().map_err(Failure::run)?,
                account: creator.account.clone(),
                username: creator.username.clone(),
                window: stage::WINDOW,
            });
        }
    }
    let edge = url(format!("http://{}", stage.edge))?;
    let mut config = TrafficConfig::new(clock::system(), edge, url(stage.platform.url())?, targets);
    config.rate = args.rate;
    config.seed = args.seed;
    config.mix.late = LATE;
    Traffic::new(config).map_err(Failure::run)
}

/// Returns after `time`; never without one.
pub(crate) async fn until(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

/// Shows figures for ever.
async fn watch(
    client: &Client,
    creators: &[Creator],
    view: &mut View,
    begun: Instant,
) -> Result<(), Failure> {
    loop {
        let figures = figures::read(client, creators).await?;
        view.line(begun.elapsed().as_secs_f64(), "running", &figures);
        tokio::time::sleep(LOOK).await;
    }
}

/// Waits until everybody has left and every queue is empty, or for [`SETTLE`].
async fn settle(
    stage: &Stage,
    people: tokio::task::JoinHandle<()>,
    view: &mut View,
    begun: Instant,
) -> Result<Figures, Failure> {
    people.await.map_err(Failure::run)?;
    let (since, mut quiet) = (Instant::now(), 0);
    loop {
        let figures = figures::read(&stage.client, &stage.creators).await?;
        view.line(begun.elapsed().as_secs_f64(), "settling", &figures);
        let empty =
            figures.settled && figures.outbox.waiting == 0 && stage.platform.state().webhooks.waiting == 0;
        quiet = if empty { quiet + 1 } else { 0 };
        if quiet >= QUIET {
            return Ok(figures);
        }
        if since.elapsed() > SETTLE {
            view.done();
            tell!("not settled after {SETTLE:?}: the summary is of what is done");
            return Ok(figures);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Both sides, and what is off between them.
fn account(stage: &Stage, traffic: &Traffic, figures: &Figures, begun: Instant) -> (Summary, Vec<String>) {
    let expected = traffic.book().figures();
    let (ads, latency) = (stage.ads.state(), traffic.latency());
    let receivers = || ads.receivers.values();
    let mut summary = Summary {
        clicks: figures.clicks,
        pool: figures.pool,
        subscribers: credit(expected.subscribers, figures.subscribers),
        revenue_cents: credit(expected.revenue_cents, figures.revenue_cents),
        deliveries: Deliveries {
            due: figures.outbox.due(),
            accepted_by_receiver: receivers().map(|state| state.accepted).sum(),
            distinct_at_receiver: receivers().map(|state| state.distinct).sum(),
            parked: figures.outbox.parked,
            told: ads.receivers.iter().map(|(name, state)| (name.clone(), state.distinct)).collect(),
        },
        redirect_ms: RedirectMs { p50: latency.p50, p99: latency.p99, max: latency.max },
        seconds: (begun.elapsed().as_secs_f64() * 10.0).round() / 10.0,
        balanced: false,
    };
    let due = expected.deliveries(&stage.destinations());
    let book = Book {
        listed: figures.listed,
        deliveries: due.pixel + due.postback,
        refused: receivers().flat_map(|state| state.refused.values()).sum(),
        read_over: receivers().flat_map(|state| state.read_over.values()).sum(),
        changed: receivers().map(|state| state.changed).sum(),
        webhooks_waiting: stage.platform.state().webhooks.waiting as u64,
        expected,
    };
    let off = summary::differences(&summary, &book);
    summary.balanced = off.is_empty();
    (summary, off)
}

fn credit(book: Pair, attributed: i64) -> Credit {
    Credit { simulated: book.simulated, attributed, expected: book.expected }
}
