//! Who is told: the catalog of `history`, written out.

use sl_core::{
    click::Click,
    conversion::{ConversionKind as K, Purchase},
};

use super::{
    Account,
    outcome::{Line, event_of},
};
use crate::history::{A, B, C};

impl Account {
    /// A new conversion: its row, and who is told.
    pub(super) fn convert(&mut self, line: Line) {
        let word = match (line.kind, line.purchase) {
            (K::NewSubscriber, _) => "new_subscriber",
            (K::NewTransaction, Purchase::First) => "first_transaction",
            (K::NewTransaction, Purchase::Repeat) => "new_transaction",
            (K::NewTransaction, Purchase::None) => "",
            (K::MessageReceived, _) => "message_received",
            (K::FanSent1Message, _) => "fan_sent_1_message",
            (K::FanSent3Messages, _) => "fan_sent_3_messages",
        };
        let meta = [
            "new_subscriber",
            "first_transaction",
            "new_transaction",
            "fan_sent_1_message",
            "fan_sent_3_messages",
        ];
        let tiktok = ["first_transaction", "new_transaction", "message_received"];
        let no_click = line.click.is_none();
        let mut told = Vec::new();
        if [A, C].contains(&line.link) && meta.contains(&word) {
            told.push(("pixel:1", word, no_click.then_some("insufficient_user_data")));
        }
        if line.link == A && word == "new_subscriber" {
            told.push(("pixel:2", word, no_click.then_some("missing_click_id")));
        }
        if line.link == B && tiktok.contains(&word) {
            told.push(("pixel:3", word, no_click.then_some("insufficient_user_data")));
        }
        if [K::NewSubscriber, K::NewTransaction].contains(&line.kind) {
            told.push(("postback:1", line.kind.as_str(), None));
        }
        let second = [K::NewTransaction, K::MessageReceived, K::FanSent3Messages];
        if [B, C].contains(&line.link) && second.contains(&line.kind) {
            told.push(("postback:2", line.kind.as_str(), None));
        }
        for (to, word, skip) in told {
            let fan = Some(&line.fan);
            let job =
                (to, word, line.link, line.click, fan, line.at, sl_core::time::Timestamp(self.at), skip);
            self.outcome.jobs.push(format!("{job:?}"));
        }
        self.outcome.lines.push(line);
    }

    /// A person's click that is no duplicate.
    pub(super) fn tell_click(&mut self, click: &Click) {
        if [A, C].contains(&click.link) {
            let at = sl_core::time::Timestamp(self.at);
            let job = ("pixel:1", "click", click.link, Some(click.id), event_of(click), click.at, at);
            self.outcome.jobs.push(format!("{job:?}"));
        }
    }
}
