//! `smartlinks migrate`: everything an embedded store holds, into an empty cluster, with the service stopped.
//!
//! * [`source`]: the directory that is moved, and why it may not be · [`marker`]: the note that it was
//! * [`target`]: the servers, and why they may not be filled · [`route`]: what belongs to which partition
//! * [`copy`]: kind by kind, page by page, on from where a run before came to · [`view`]: the running total
//! * [`verify`]: both sides read back and compared
//!
//! **The journal's tail.** Only a store that has applied all of its journal is moved. The rest could travel as the ordinary
//! forwarder takes it to Kafka, but only from the very directory it lies in: whoever starts the cluster on other machines
//! would lose it without a word. An orderly stop leaves none, so it costs one start and stop at most. What was applied is
//! known to every partition by journal and sequence, so a cluster's edge that is started on this directory, whose
//! forwarder sends all of the journal again, doubles nothing (decisions 47).

mod copy;
pub(crate) mod marker;
mod route;
mod source;
mod target;
mod verify;
mod view;

use serde_json::{Value, json};
use sl_core::time::Clock;
use sl_scylla::Move;

use self::{route::Router, source::Opened, target::Target, view::View};
use crate::{
    cli::Migrate,
    clock,
    config::{Backend, Config},
    failure::Failure,
    out::say,
};

/// Whether the words name the one move there is.
///
/// # Errors
/// [`Failure::Usage`].
pub(crate) fn check(command: &Migrate) -> Result<(), Failure> {
    let Migrate { from, to } = command;
    for (flag, word) in [("--from", from), ("--to", to)] {
        if !["embedded", "cluster"].contains(&word.as_str()) {
            return Err(Failure::Usage(format!(
                "error: {flag} {word:?}: there is no such storage; it is embedded or cluster"
            )));
        }
    }
    if from == "embedded" && to == "cluster" {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "error: --from {from} --to {to}: only an embedded store can be moved, and only into a cluster; use --from embedded --to cluster"
    )))
}

/// Moves and verifies.
///
/// # Errors
/// [`Failure`], naming what is in the way and the remedy.
pub(crate) async fn run(config: &Config, json: bool) -> Result<(), Failure> {
    if config.storage.backend != Backend::Cluster {
        return Err(Failure::Usage(
            "error: storage.backend = \"embedded\": give the configuration that the cluster is going to run with \
             (storage.backend = \"cluster\", kafka.*, scylla.*, secrets.*); its data_dir is the directory that is moved"
                .to_owned(),
        ));
    }
    let clock = clock::system();
    let mut view = View::new();
    let source = Opened::open(config).await?;
    let target = Target::connect(config, &*clock).await?;
    let (this, resumed) = match begin(config, &source, &target, &*clock).await? {
        Begun::New(this) => (this, false),
        Begun::Again(this) => (this, true),
        Begun::Finished(this) => {
            let at = this.finished.unwrap_or(this.begun).iso();
            let text = format!("data_dir = {:?} was moved to this cluster already, at {at}", config.data_dir);
            answer(json, &json!({ "finished_at": at, "moved_before": true }), &text);
            return Ok(());
        }
    };
    if resumed {
        view.note("going on where the last run came to");
    }
    let mover = target.scylla.mover(&this).await.map_err(Failure::run)?;
    let router = Router::new(config, &source, this.partitions).await?;
    let moved = copy::all(&source, &mover, &router, &mut view).await?;
    view.note("everything is written; reading both sides back");
    let found = verify::all(config, &source, &target, &router, &*clock, &mut view).await?;
    let summary = summary(&moved, &found, resumed, view.seconds());
    if !found.differences.is_empty() {
        answer(json, &summary, &found.to_string());
        return Err(Failure::Run(format!(
            "{} differences between the two sides; the cluster refuses to serve. Empty it and move again: nothing of {:?} \
             was changed",
            found.differences.len(),
            config.data_dir
        )));
    }
    // First here: from the next line on the cluster may serve.
    marker::done(&config.data_dir, &this.id)?;
    mover.end(&this, clock.now()).await.map_err(Failure::run)?;
    source.close().await?;
    answer(json, &summary, &format!("{moved}{found}{}", farewell(config)));
    Ok(())
}

/// How a run stands to those before it.
enum Begun {
    New(Move),
    Again(Move),
    Finished(Move),
}

/// Finds out whether this directory may be moved into that cluster, and leaves notes on both sides that it is.
async fn begin(
    config: &Config,
    source: &Opened,
    target: &Target,
    clock: &dyn Clock,
) -> Result<Begun, Failure> {
    let (dir, noted) = (&config.data_dir, marker::read(&config.data_dir)?);
    if let Some(known) = target.scylla.moved().await.map_err(Failure::run)? {
        return goes_on(known, noted.as_ref().map(|note| note.id.as_str()), source, target);
    }
    if noted.as_ref().is_some_and(|note| note.is_done) {
        // Two clusters that go on from here would tell receivers everything twice.
        return Err(Failure::Run(format!(
            "data_dir = {dir:?}: its store was moved to another cluster already, which may have served since; to move it \
             again, be sure that it serves no more, and remove {:?}",
            dir.join(marker::NAME)
        )));
    }
    target.must_be_empty(config).await?;
    let id = match noted {
        // Begun, and ended before the cluster heard of it.
        Some(note) => note.id,
        None => marker::write(dir)?,
    };
    let (partitions, source) = (target.partitions, source.words());
    Ok(Begun::New(Move { id, begun: clock.now(), partitions, source, finished: None }))
}

fn goes_on(known: Move, noted: Option<&str>, source: &Opened, target: &Target) -> Result<Begun, Failure> {
    let begun = known.begun.iso();
    if noted != Some(known.id.as_str()) {
        return Err(Failure::Run(format!(
            "scylla.keyspace holds what another move brought, begun at {begun}; choose another keyspace and \
             kafka.topic_prefix, or remove these"
        )));
    }
    if known.finished.is_some() {
        return Ok(Begun::Finished(known));
    }
    if known.source != source.words() {
        return Err(Failure::Run(format!(
            "the move was begun at {begun} and the embedded service has run since: what was moved is no longer what is \
             here. Remove scylla.keyspace and the topics of kafka.topic_prefix, and move again"
        )));
    }
    if known.partitions != target.partitions {
        return Err(Failure::Run(format!(
            "kafka.partitions = {}: the move was begun with {}, and accounts lie where that says; set it back",
            target.partitions, known.partitions
        )));
    }
    Ok(Begun::Again(known))
}

fn summary(moved: &copy::Moved, found: &verify::Found, resumed: bool, seconds: f64) -> Value {
    json!({
        "from": "embedded", "to": "cluster", "resumed": resumed, "seconds": seconds,
        "rows": moved.rows, "verified": found.figures(), "differences": found.differences,
    })
}

/// On stdout: for programs, or for people.
fn answer(json: bool, value: &Value, text: &str) {
    if json {
        say!("{value}");
    } else {
        say!("{}", text.trim_end());
    }
}

fn farewell(config: &Config) -> String {
    let dir = config.data_dir.display();
    format!(
        "\nmoved: both sides say the same. Start the cluster with this configuration.\n\
         {dir} was only read, and serves no longer while {dir}/{} is there. Until the cluster has served traffic you can go \
         back: remove that file, and run with storage.backend = \"embedded\".\n\
         Started on {dir} with roles, the cluster goes on with its journal: visitors of the last hours are known.\n",
        marker::NAME
    )
}

#[cfg(test)]
mod tests;
