//! How often each rule had something to decide.

use sl_core::conversion::{ConversionKind, Purchase, is_reversal};

use super::Account;

impl Account {
    /// What happened, and how often.
    pub(crate) fn tally(&self) -> [(&'static str, u64); 14] {
        let lines = |test: &dyn Fn(&super::Line) -> bool| {
            self.outcome.lines.iter().filter(|line| test(line)).count() as u64
        };
        let asked =
            |line: &super::Line| line.transaction.as_ref().is_some_and(|(id, ..)| id.starts_with('?'));
        let reversed =
            |line: &super::Line| line.transaction.as_ref().is_some_and(|(_, _, status)| is_reversal(status));
        let rows =
            |test: &dyn Fn(&super::Row) -> bool| self.rows.iter().filter(|row| test(row)).count() as u64;
        let moved = self.touches.iter().filter(|touch| !touch.subscription).count() as u64;
        [
            ("bots", self.bots.len() as u64),
            ("duplicates", rows(&|row| row.original.is_some())),
            ("repeated rows", rows(&|row| row.gross > 1)),
            (
                "subscribers with a click",
                lines(&|line| line.kind == ConversionKind::NewSubscriber && line.click.is_some()),
            ),
            (
                "overflow subscribers",
                lines(&|line| line.kind == ConversionKind::NewSubscriber && line.click.is_none()),
            ),
            ("hits that touch a fan", moved),
            ("subscribers without a click so far", self.pending.len() as u64),
            ("money credited", lines(&|line| line.transaction.is_some() && !asked(line))),
            ("money taken back", lines(&reversed)),
            ("money given up or waiting", self.held.len() as u64),
            ("first purchases", lines(&|line| line.purchase == Purchase::First)),
            ("repeat purchases", lines(&|line| line.purchase == Purchase::Repeat && !asked(line))),
            ("messages", lines(&|line| line.kind == ConversionKind::MessageReceived)),
            ("third messages", lines(&|line| line.kind == ConversionKind::FanSent3Messages)),
        ]
    }
}
