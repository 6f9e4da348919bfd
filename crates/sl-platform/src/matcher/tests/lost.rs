//! Links that visitors have and no list shows: one line in the log for all of them.

use std::{io::Write, sync::Arc, time::Duration};

use parking_lot::Mutex;

use super::rig::{HOUR, Rig, work};

/// What is logged, in lines.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// Those that tell of lost links since this was last called.
    fn of_lost(&self) -> Vec<String> {
        let text = String::from_utf8(std::mem::take(&mut *self.0.lock())).unwrap();
        text.lines().filter(|line| line.contains("does not list")).map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn many_deleted_links_are_one_line_that_has_their_number() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::WARN)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let mut rig = Rig::new(100).await;
    rig.give_now(40..100).await;
    rig.platform.gone.lock().extend(60..100);
    let mut role = rig.role();
    rig.clock.advance(HOUR);
    work(&mut role).await;
    let told = lines.of_lost();
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].contains("acct_1") && told[0].contains("links=40"), "{told:?}");
    rig.clock.advance(Duration::from_secs(60));
    work(&mut role).await;
    assert_eq!(lines.of_lost(), [] as [&str; 0], "nothing is said of none");
}
