//! What a process says: figures, reports, webhooks that came, and whose its journal is.

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sl_store::Result;
use tokio::time::Instant;

use super::{ACCOUNTS, AT_ONCE, CAME, CLAIMS, Heartbeat, JOURNALS, REFUSED, REPORTS, Subject};
use crate::service::standing::Hooks;

impl Heartbeat {
    /// Says a figure that is news, or has not been said for long.
    pub(super) async fn say_figure(
        &mut self,
        Subject(subject, lasting, again): Subject,
        sender: String,
        figure: u64,
    ) -> Result<()> {
        let (now, figure, key) = (Instant::now(), figure.to_string(), (subject, sender));
        let said = self.said.get(&key);
        if said.is_some_and(|(said, at)| *said == figure && now.duration_since(*at) < again) {
            return Ok(());
        }
        self.count += 1;
        self.heartbeats.beat(subject, &key.1, &format!("{figure} {}", self.count), lasting).await?;
        self.said.insert(key, (figure, now));
        Ok(())
    }

    /// Says what is news, or has not been said for long.
    async fn say(
        &mut self,
        Subject(subject, lasting, again): Subject,
        words: Vec<(String, String)>,
    ) -> Result<()> {
        let now = Instant::now();
        let is_news = |sender: &String, words: &String| {
            let said = self.said.get(&(subject, sender.clone()));
            said.is_none_or(|(said, at)| said != words || now.duration_since(*at) >= again)
        };
        let news: Vec<_> = words.into_iter().filter(|(sender, words)| is_news(sender, words)).collect();
        let saying = stream::iter(news.clone()).map(|(sender, words)| {
            let heartbeats = Arc::clone(&self.heartbeats);
            async move { heartbeats.beat(subject, &sender, &words, lasting).await }
        });
        saying.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        self.said.extend(news.into_iter().map(|(sender, words)| ((subject, sender), (words, now))));
        Ok(())
    }

    /// Says whose the journal is and how far it has come, for a start that has an older copy of it.
    pub(super) async fn claim(&mut self) -> Result<()> {
        let own = self.journal.name();
        if self.is_claimed {
            let said =
                self.heartbeats.beats(JOURNALS).await?.into_iter().find(|(journal, _)| *journal == own);
            let owner = said.and_then(|(_, words)| words.split(' ').nth(1).map(str::to_owned));
            self.other = owner.filter(|owner| *owner != self.me);
        }
        let acknowledged = *self.journal.acknowledged.borrow();
        if let (None, Some(has)) = (&self.other, acknowledged) {
            self.say(CLAIMS, vec![(own, format!("{} {}", has.end, self.me))]).await?;
            self.is_claimed = true;
        }
        Ok(())
    }

    pub(super) async fn tell_reports(&mut self) -> Result<()> {
        let reports = self.standing.own_reports().into_iter();
        let words = reports
            .filter_map(|(stock, report)| Some((stock.to_string(), serde_json::to_string(&report).ok()?)));
        self.say(REPORTS, words.collect()).await
    }

    pub(super) async fn tell_hooks(&mut self) -> Result<()> {
        let Hooks { came, refused, accounts } = self.standing.hooks();
        let (journal, me) = (self.journal.name(), self.me.clone());
        let came = came
            .into_iter()
            .map(|(account, count)| (format!("{journal} {account}"), format!("{count} {me}")));
        self.say(CAME, came.collect()).await?;
        for (subject, count) in [(REFUSED, refused), (ACCOUNTS, accounts)] {
            if count > 0 {
                self.say(subject, vec![(self.me.clone(), count.to_string())]).await?;
            }
        }
        Ok(())
    }
}
