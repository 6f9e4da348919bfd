//! Processes tell each other that a stock has got links: whoever found one empty asks again.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};

use sl_store::Result;
use tokio::sync::watch;

use crate::{cql::Cql, statements::statements};

/// How often a process looks for what others have said.
const LOOK: Duration = Duration::from_millis(500);

statements!(Statements {
    say: Write "INSERT INTO pool_news (part, writer, at) VALUES (0, ?, ?)";
    heard: Read "SELECT writer, at FROM pool_news WHERE part = 0";
});

/// Tells other processes of changed stocks, and hears of theirs.
pub(super) struct News {
    cql: Arc<Cql>,
    statements: Statements,
    /// The number of this process among the writers of `pool_news`.
    writer: i64,
    stocked: watch::Sender<u64>,
}

// === impl News ===

impl News {
    pub(super) async fn open(cql: Arc<Cql>) -> Result<Arc<Self>> {
        let statements = Statements::prepare(&cql).await?;
        let news = Self { writer: cql.micros(), cql, statements, stocked: watch::Sender::new(0) };
        let (heard, news) = (news.heard().await?, Arc::new(news));
        tokio::spawn(follow(Arc::downgrade(&news), heard));
        Ok(news)
    }

    pub(super) fn stocked(&self) -> watch::Receiver<u64> {
        self.stocked.subscribe()
    }

    /// A stock may have more links than before.
    pub(super) async fn say(&self) -> Result<()> {
        self.stocked.send_modify(|revision| *revision += 1);
        self.cql.run(&self.statements.say, (self.writer, self.cql.micros())).await
    }

    /// What the others said last.
    async fn heard(&self) -> Result<BTreeMap<i64, i64>> {
        let rows: Vec<(i64, i64)> = self.cql.rows(&self.statements.heard, ()).await?;
        Ok(rows.into_iter().filter(|(writer, _)| *writer != self.writer).collect())
    }
}

async fn follow(news: Weak<News>, mut known: BTreeMap<i64, i64>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(news) = news.upgrade() else { return };
        // What can't be read now is read at the next look.
        let Ok(heard) = news.heard().await else { continue };
        // A row that has left by itself says nothing new.
        if heard.iter().any(|(writer, at)| known.get(writer) != Some(at)) {
            news.stocked.send_modify(|revision| *revision += 1);
        }
        known = heard;
    }
}
