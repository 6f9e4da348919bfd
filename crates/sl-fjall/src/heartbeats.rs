//! Heartbeats: one process has the directory, so only its own roles hear them.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use parking_lot::Mutex;
use sl_store::{Heartbeats, Result};

/// What was said, by subject and sender: the words, and until when they count.
#[derive(Default)]
pub(crate) struct FjallHeartbeats(Mutex<BTreeMap<(String, String), (String, Instant)>>);

#[async_trait]
impl Heartbeats for FjallHeartbeats {
    async fn beat(&self, subject: &str, sender: &str, words: &str, lasting: Duration) -> Result<()> {
        let until = Instant::now() + lasting.max(Duration::from_secs(1));
        self.0.lock().insert((subject.to_owned(), sender.to_owned()), (words.to_owned(), until));
        Ok(())
    }

    async fn beats(&self, subject: &str) -> Result<Vec<(String, String)>> {
        let mut beats = self.0.lock();
        let now = Instant::now();
        beats.retain(|_, (_, until)| now < *until);
        let of_subject = beats.iter().filter(|((of, _), _)| of == subject);
        Ok(of_subject.map(|((_, sender), (words, _))| (sender.clone(), words.clone())).collect())
    }
}
