//! What follows from a history, in a form that can be compared.

use std::collections::BTreeMap;

use sl_core::{
    click::Click,
    conversion::{ConversionKind, Purchase},
    ids::{ClickId, FanId, SmartLinkId},
    money::Cents,
    time::Timestamp,
};

/// A conversion without its id. Transaction: id, type, status.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub(crate) kind: ConversionKind,
    pub(crate) fan: FanId,
    pub(crate) link: SmartLinkId,
    pub(crate) click: Option<ClickId>,
    pub(crate) at: Timestamp,
    pub(crate) gross: Cents,
    pub(crate) net: Cents,
    pub(crate) purchase: Purchase,
    pub(crate) transaction: Option<(String, String, String)>,
}

/// A fan under a link.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Standing {
    pub(crate) click: Option<ClickId>,
    pub(crate) converted_at: Timestamp,
    pub(crate) is_subscriber: bool,
    pub(crate) gross: Cents,
    pub(crate) net: Cents,
    pub(crate) messages: u32,
}

/// Everything that follows, in order.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) lines: Vec<Line>,
    /// Money that came or went: link, fan, when, gross, net.
    pub(crate) moves: Vec<(SmartLinkId, FanId, Timestamp, Cents, Cents)>,
    /// Messages credited, with the binding each belongs to.
    pub(super) messages: Vec<(FanId, i64, SmartLinkId)>,
    /// Jobs as text, see `told`.
    pub(crate) jobs: Vec<String>,
    /// Fans put on the list of link A.
    pub(crate) lists: Vec<FanId>,
}

impl Outcome {
    pub(super) fn move_money(
        &mut self,
        link: SmartLinkId,
        fan: &FanId,
        on: Timestamp,
        gross: Cents,
        net: Cents,
    ) {
        self.moves.push((link, fan.clone(), on, gross, net));
    }

    /// Fans with a conversion under a link (decisions 30).
    pub(crate) fn standings(&self) -> BTreeMap<(SmartLinkId, FanId), Standing> {
        let mut standings: BTreeMap<(SmartLinkId, FanId), Standing> = BTreeMap::new();
        for line in &self.lines {
            let standing = standings.entry((line.link, line.fan.clone())).or_insert_with(|| Standing {
                click: line.click,
                converted_at: line.at,
                is_subscriber: false,
                gross: Cents::ZERO,
                net: Cents::ZERO,
                messages: 0,
            });
            standing.is_subscriber |= line.kind == ConversionKind::NewSubscriber;
            standing.messages += u32::from(line.kind == ConversionKind::MessageReceived);
        }
        for (link, fan, _, gross, net) in &self.moves {
            if let Some(standing) = standings.get_mut(&(*link, fan.clone())) {
                standing.gross += *gross;
                standing.net += *net;
            }
        }
        standings
    }
}

/// Whether a click counts as a job of its own; see `told`.
pub(super) fn event_of(click: &Click) -> String {
    format!("clk_{}", click.id)
}
