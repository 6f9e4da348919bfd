//! `smartlinks journal`: looks at the files, also while the service runs.

use std::{
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use serde::Serialize;
use serde_json::{Value, json};
use sl_core::event::{Event, EventBody, Position};

use crate::{cli::Journal, failure::Failure, out::say};

/// Runs the command and prints.
///
/// # Errors
/// [`Failure::Run`] when the directory can't be read or, for `verify`, when something is damaged.
pub(crate) fn run(command: Journal, json: bool) -> Result<(), Failure> {
    match command {
        Journal::Verify { dir } => verify(&dir, json),
        Journal::Dump { dir, from } => dump(&dir, from),
    }
}

/// `DIR` is the data directory; its journal directory is understood, too.
fn journal_dir(dir: &Path) -> Result<PathBuf, Failure> {
    let inner = dir.join("journal");
    let found = if inner.is_dir() { inner } else { dir.to_owned() };
    if !found.is_dir() {
        return Err(Failure::Run(format!("DIR = {dir:?}: there is no such directory")));
    }
    if !sl_journal::is_journal(&found).map_err(Failure::run)? {
        let remedy = "give the data directory of a service, or its journal/";
        return Err(Failure::Run(format!("DIR = {dir:?}: there is no journal in it; {remedy}")));
    }
    Ok(found)
}

fn verify(dir: &Path, json: bool) -> Result<(), Failure> {
    let report = sl_journal::verify(&journal_dir(dir)?).map_err(Failure::run)?;
    for segment in &report.segments {
        let damages: Vec<_> = segment.damages.iter().map(|bytes| [bytes.start, bytes.end]).collect();
        if json {
            say!(
                "{}",
                json!({
                    "segment": segment.name, "bytes": segment.bytes, "epoch": segment.epoch,
                    "first": segment.sequences.start, "next": segment.sequences.end, "records": segment.records,
                    "undecodable": segment.undecodable, "damaged_bytes": damages, "header_damaged": segment.header_damaged,
                })
            );
        } else {
            let records = format!(
                "{} records, {} to {}",
                segment.records, segment.sequences.start, segment.sequences.end
            );
            say!("{}  {records}", segment.name);
            for [start, end] in damages {
                say!("  DAMAGED: bytes {start} to {end}");
            }
            if segment.header_damaged || segment.undecodable > 0 {
                say!(
                    "  DAMAGED: header {}, undecodable records {}",
                    segment.header_damaged,
                    segment.undecodable
                );
            }
        }
    }
    let sum =
        json!({ "records": report.records(), "segments": report.segments.len(), "sound": report.is_sound() });
    if json {
        say!("{sum}");
    } else {
        say!("{} records in {} segments", report.records(), report.segments.len());
    }
    if report.is_sound() {
        Ok(())
    } else {
        Err(Failure::Run(format!("the journal in {dir:?} is damaged; every other record can be read")))
    }
}

/// One line of `journal dump`.
#[derive(Serialize)]
struct Line<E> {
    position: Position,
    event: E,
}

/// One line of `journal dump`. The body of a webhook is its text, as `body`; one that is no text is `body_hex` instead.
fn line(position: Position, mut event: Event) -> serde_json::Result<String> {
    let EventBody::Webhook(webhook) = &mut event.body else {
        return serde_json::to_string(&Line { position, event });
    };
    let (key, text) = match String::from_utf8(std::mem::take(&mut webhook.body)) {
        Ok(text) => ("body", text),
        Err(error) => ("body_hex", hex::encode(error.as_bytes())),
    };
    let mut event = serde_json::to_value(event)?;
    if let Some(webhook) = event.pointer_mut("/body/Webhook").and_then(Value::as_object_mut) {
        webhook.remove("body");
        webhook.insert(key.to_owned(), text.into());
    }
    serde_json::to_string(&Line { position, event })
}

fn dump(dir: &Path, from: u64) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut failed = None;
    let from = Position { epoch: 0, offset: from };
    sl_journal::dump(&journal_dir(dir)?, from, |position, event| {
        if failed.is_none() {
            let line = line(position, event).map_err(io::Error::other);
            failed = line.and_then(|line| writeln!(out, "{line}")).err();
        }
    })
    .map_err(Failure::run)?;
    match failed.or_else(|| out.flush().err()) {
        // `| head` is no failure.
        Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::run(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use sl_core::{event::WebhookReceived, ids::TeamId, time::Timestamp};

    use super::*;

    #[test]
    fn the_body_of_a_webhook_is_dumped_as_the_text_it_is() {
        for (body, key, shown) in
            [(&b"{\"event\":\"x\"}"[..], "body", "{\"event\":\"x\"}"), (&[0xFF, 0x0A], "body_hex", "ff0a")]
        {
            let webhook = WebhookReceived {
                event: "x".to_owned(),
                key: "1".to_owned(),
                received_at: Timestamp(0),
                body: body.to_vec(),
                retry_of: None,
            };
            let body = EventBody::Webhook(webhook);
            let event = Event { team: TeamId(1), account: "acct_1".into(), at: Timestamp(0), body };
            let line = line(Position { epoch: 0, offset: 7 }, event).unwrap();
            let line: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(line["position"]["offset"], 7);
            let webhook = line["event"]["body"]["Webhook"].as_object().unwrap();
            assert_eq!(webhook[key], shown);
            let bodies: Vec<_> = webhook.keys().filter(|key| key.starts_with("body")).collect();
            assert_eq!(bodies, [key]);
        }
    }
}
