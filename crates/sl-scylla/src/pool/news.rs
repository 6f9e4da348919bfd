//! Processes tell each other that a stock has got links, so that whoever found one empty asks again, and that links were retired,
//! which nobody may hand out any more.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Weak},
    time::Duration,
};

use sl_store::Result;
use tokio::sync::watch;

use crate::{cql::Cql, statements::statements};

/// How often a process looks for what others have said.
const LOOK: Duration = Duration::from_millis(500);

statements!(Statements {
    say: Write "INSERT INTO pool_news (part, writer, at) VALUES (?, ?, ?)";
    heard: Read "SELECT part, writer, at FROM pool_news WHERE part IN (0, 1)";
});

/// Parts of `pool_news`; a process of an older version reads the first one only.
const STOCKED: i32 = 0;
const RETIRED: i32 = 1;

/// Part and writer of a row, and when it was written.
type Heard = BTreeMap<(i32, i64), i64>;

/// Tells other processes of changed stocks, and hears of theirs.
pub(super) struct News {
    cql: Arc<Cql>,
    statements: Statements,
    /// The number of this process among the writers of `pool_news`.
    writer: i64,
    stocked: watch::Sender<u64>,
    retirements: watch::Sender<u64>,
}

// === impl News ===

impl News {
    pub(super) async fn open(cql: Arc<Cql>) -> Result<Arc<Self>> {
        let statements = Statements::prepare(&cql).await?;
        let (stocked, retirements) = (watch::Sender::new(0), watch::Sender::new(0));
        let news = Self { writer: cql.micros(), cql, statements, stocked, retirements };
        let (heard, news) = (news.heard().await?, Arc::new(news));
        tokio::spawn(follow(Arc::downgrade(&news), heard));
        Ok(news)
    }

    pub(super) fn stocked(&self) -> watch::Receiver<u64> {
        self.stocked.subscribe()
    }

    pub(super) fn retirements(&self) -> watch::Receiver<u64> {
        self.retirements.subscribe()
    }

    /// A stock may have more links than before.
    pub(super) async fn say(&self) -> Result<()> {
        self.say_of(STOCKED).await
    }

    /// Links were retired.
    pub(super) async fn say_retired(&self) -> Result<()> {
        self.say_of(RETIRED).await
    }

    async fn say_of(&self, part: i32) -> Result<()> {
        self.has_changed(part);
        self.cql.run(&self.statements.say, (part, self.writer, self.cql.micros())).await
    }

    fn has_changed(&self, part: i32) {
        let sender = if part == RETIRED { &self.retirements } else { &self.stocked };
        sender.send_modify(|revision| *revision += 1);
    }

    /// What the others said last.
    async fn heard(&self) -> Result<Heard> {
        let rows: Vec<(i32, i64, i64)> = self.cql.rows(&self.statements.heard, ()).await?;
        let others = rows.into_iter().filter(|(_, writer, _)| *writer != self.writer);
        Ok(others.map(|(part, writer, at)| ((part, writer), at)).collect())
    }
}

async fn follow(news: Weak<News>, mut known: Heard) {
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(news) = news.upgrade() else { return };
        // What can't be read now is read at the next look.
        let Ok(heard) = news.heard().await else { continue };
        // A row that has left by itself says nothing new.
        let is_new = |(from, at): &(&(i32, i64), &i64)| known.get(*from) != Some(*at);
        let parts: BTreeSet<i32> = heard.iter().filter(is_new).map(|((part, _), _)| *part).collect();
        parts.into_iter().for_each(|part| news.has_changed(part));
        known = heard;
    }
}
