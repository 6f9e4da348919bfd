//! What a process hears: figures of all for whoever is shown them, webhooks for reconciliation.

use std::collections::HashMap;

use sl_core::ids::AccountId;
use sl_platform::ReconcileHandle;
use sl_store::Result;
use tokio::time::Instant;

use super::{ACCOUNTS, BACKLOG, CAME, Heartbeat, REFUSED, REPORTS, SILENT, WAITING};

impl Heartbeat {
    /// Tells reconciliation, if it runs here, of webhooks that came in elsewhere since the last look.
    pub(super) async fn hear_hooks(&mut self) -> Result<()> {
        let Some(reconcile) = self.standing.reconcile() else {
            self.heard = None;
            return Ok(());
        };
        let mut news = Vec::new();
        for subject in [REFUSED, CAME, ACCOUNTS] {
            for (sender, words) in self.heartbeats.beats(subject.0).await? {
                news.push(((subject.0, sender), words));
            }
        }
        // What came before is no news for a role that has just begun: it reads everything.
        if let Some(heard) = &self.heard {
            let is_new = |(from, words): &&(_, String)| heard.get(from) != Some(words);
            news.iter()
                .filter(is_new)
                .for_each(|((subject, sender), _)| pass_on(&reconcile, subject, sender));
        }
        self.heard = Some(news.into_iter().collect());
        Ok(())
    }

    /// Figures of a subject by sender, and whether that is silent.
    async fn figures(&mut self, subject: &'static str) -> Result<Vec<(String, u64, bool)>> {
        let (now, mut heard) = (Instant::now(), HashMap::new());
        let mut figures = Vec::new();
        for (sender, words) in self.heartbeats.beats(subject).await? {
            let key = (subject, sender.clone());
            let known = self.figures.remove(&key).filter(|(known, _)| *known == words);
            let since = known.map_or(now, |(_, since)| since);
            let figure = words.split(' ').next().and_then(|figure| figure.parse().ok());
            figures.push((sender, figure.unwrap_or(0), now.duration_since(since) > SILENT));
            heard.insert(key, (words, since));
        }
        self.figures.retain(|(of, _), _| *of != subject);
        self.figures.extend(heard);
        Ok(figures)
    }

    /// Takes over what the API shows of others.
    pub(super) async fn hear(&mut self, seldom: bool) -> Result<()> {
        let own = self.journal.name();
        let journals = self.figures(WAITING.0).await?.into_iter().filter(|(journal, ..)| *journal != own);
        let (mut unforwarded, mut silent) = (0, 0);
        for (_, waiting, is_silent) in journals {
            unforwarded += waiting;
            silent += u64::from(is_silent);
        }
        let matcher = self.figures(BACKLOG.0).await?;
        // Without a matcher nobody knows who has subscribed.
        let backlog =
            matcher.into_iter().map(|(_, backlog, is_silent)| backlog.max(u64::from(is_silent))).sum();
        self.standing.elsewhere(|elsewhere| {
            if unforwarded < elsewhere.unforwarded {
                elsewhere.forwarded_at = Some(Instant::now());
            }
            (elsewhere.unforwarded, elsewhere.silent, elsewhere.backlog) = (unforwarded, silent, backlog);
        });
        if seldom {
            let reports = self.heartbeats.beats(REPORTS.0).await?.into_iter();
            // Words of a newer version may mean nothing here.
            let reports =
                reports.filter_map(|(stock, words)| Some((stock, serde_json::from_str(&words).ok()?)));
            let reports = reports.collect();
            self.standing.elsewhere(|elsewhere| elsewhere.reports = reports);
        }
        Ok(())
    }
}

fn pass_on(reconcile: &ReconcileHandle, subject: &str, sender: &str) {
    if subject == REFUSED.0 {
        reconcile.webhook_refused();
    } else if subject == ACCOUNTS.0 {
        reconcile.accounts_changed();
    } else if let Some((_, account)) = sender.split_once(' ') {
        reconcile.webhook_came(&AccountId::from(account));
    }
}
