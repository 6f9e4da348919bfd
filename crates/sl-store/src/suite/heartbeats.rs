//! Heartbeats.

use std::time::Duration;

use super::Backend;

/// Longest that a test waits for something to be forgotten after one second.
const PATIENCE: Duration = Duration::from_secs(30);

/// Every process sees the last word of each sender on a subject, until that is silent for too long.
pub async fn the_last_word_of_each_sender_is_known_until_it_is_silent(backend: &dyn Backend) {
    const LONG: Duration = Duration::from_secs(600);
    let (one, other) = (backend.open().await.heartbeats, backend.open().await.heartbeats);
    assert_eq!(one.beats("waiting").await.unwrap(), []);
    one.beat("waiting", "b", "7", LONG).await.unwrap();
    one.beat("waiting", "a", "", LONG).await.unwrap();
    other.beat("waiting", "a", "3 \u{e9}", LONG).await.unwrap();
    other.beat("another", "c", "x", LONG).await.unwrap();
    let known = [("a", "3 \u{e9}"), ("b", "7")].map(|(sender, words)| (sender.to_owned(), words.to_owned()));
    assert_eq!(one.beats("waiting").await.unwrap(), known);
    assert_eq!(other.beats("waiting").await.unwrap(), known);

    one.beat("waiting", "b", "8", Duration::from_millis(1)).await.unwrap();
    let forgotten = async {
        while other.beats("waiting").await.unwrap().len() > 1 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, forgotten).await.unwrap();
    assert_eq!(one.beats("waiting").await.unwrap(), known[..1], "the other goes on");
}
