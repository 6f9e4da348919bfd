//! Who is told about what: chosen once, in the step (decisions 51).

use std::collections::HashMap;

use super::{Decider, derive};
use crate::{
    catalog::{EventMap, Pixel, PlatformKind, Postback, SmartLink},
    click::{Class, ClickRow},
    conversion::{Conversion, ConversionKind, Purchase},
    delivery::{DeliveryKind, Destination, Job},
    ids::{ClickId, DeliveryId, PixelId, SmartLinkId, TeamId},
    time::Timestamp,
};

/// The part of the catalog that decisions look at: of a million links only those that have something to tell.
#[derive(Debug, Clone, Default)]
pub struct Destinations {
    links: HashMap<SmartLinkId, LinkView>,
    pixels: HashMap<PixelId, PixelView>,
    postbacks: HashMap<TeamId, Vec<Postback>>,
}

#[derive(Debug, Clone)]
struct LinkView {
    team: TeamId,
    pixels: Box<[PixelId]>,
    list: Option<Box<str>>,
}

#[derive(Debug, Clone)]
struct PixelView {
    team: TeamId,
    platform: PlatformKind,
    events: EventMap,
}

impl Destinations {
    /// From rows of the catalog.
    #[must_use]
    pub fn new(links: &[SmartLink], pixels: &[Pixel], postbacks: &[Postback]) -> Self {
        let mut view = Self::default();
        links.iter().for_each(|link| view.set_link(link));
        view.set_pixels(pixels);
        view.set_postbacks(postbacks);
        view
    }

    /// A link that is new or has changed.
    pub fn set_link(&mut self, link: &SmartLink) {
        if link.pixels.is_empty() && link.user_list_id.is_none() {
            self.links.remove(&link.id);
            return;
        }
        let list = link.user_list_id.as_deref().map(Box::from);
        let view = LinkView { team: link.team, pixels: link.pixels.as_slice().into(), list };
        self.links.insert(link.id, view);
    }

    /// All pixels there are.
    pub fn set_pixels(&mut self, pixels: &[Pixel]) {
        let view = |pixel: &Pixel| PixelView {
            team: pixel.team,
            platform: pixel.platform,
            events: pixel.events.clone(),
        };
        self.pixels = pixels.iter().map(|pixel| (pixel.id, view(pixel))).collect();
    }

    /// All postbacks there are.
    pub fn set_postbacks(&mut self, postbacks: &[Postback]) {
        self.postbacks.clear();
        for postback in postbacks {
            self.postbacks.entry(postback.team).or_default().push(postback.clone());
        }
    }

    /// The list that new subscribers of a link are added to (contract B.6).
    pub(super) fn list(&self, link: SmartLinkId) -> Option<&str> {
        self.links.get(&link).and_then(|view| view.list.as_deref())
    }

    /// Those attached to a link. A pixel of another team than its link is left out.
    fn pixels(&self, link: SmartLinkId) -> impl Iterator<Item = (PixelId, PlatformKind, &EventMap)> {
        self.links.get(&link).into_iter().flat_map(move |link| {
            let attached = link.pixels.iter().filter_map(|id| Some((*id, self.pixels.get(id)?)));
            let own = attached.filter(move |(_, pixel)| pixel.team == link.team);
            own.map(|(id, pixel)| (id, pixel.platform, &pixel.events))
        })
    }

    fn postbacks(&self, team: TeamId) -> &[Postback] {
        self.postbacks.get(&team).map_or(&[], Vec::as_slice)
    }
}

/// What a conversion is to a pixel (contract G.2, decisions 28); `None`: nothing.
fn pixel_kind(conversion: &Conversion) -> Option<DeliveryKind> {
    match (conversion.kind, conversion.purchase) {
        (ConversionKind::NewSubscriber, _) => Some(DeliveryKind::NewSubscriber),
        (ConversionKind::NewTransaction, Purchase::First) => Some(DeliveryKind::FirstTransaction),
        (ConversionKind::NewTransaction, Purchase::Repeat) => Some(DeliveryKind::NewTransaction),
        (ConversionKind::NewTransaction, Purchase::None) => None,
        (ConversionKind::MessageReceived, _) => Some(DeliveryKind::MessageReceived),
        (ConversionKind::FanSent1Message, _) => Some(DeliveryKind::FanSent1Message),
        (ConversionKind::FanSent3Messages, _) => Some(DeliveryKind::FanSent3Messages),
    }
}

fn postback_kind(kind: ConversionKind) -> DeliveryKind {
    match kind {
        ConversionKind::NewSubscriber => DeliveryKind::NewSubscriber,
        ConversionKind::NewTransaction => DeliveryKind::NewTransaction,
        ConversionKind::MessageReceived => DeliveryKind::MessageReceived,
        ConversionKind::FanSent1Message => DeliveryKind::FanSent1Message,
        ConversionKind::FanSent3Messages => DeliveryKind::FanSent3Messages,
    }
}

/// The pixel's map decides, where the platform has one (contract G.2).
fn wants(platform: PlatformKind, events: &EventMap, kind: DeliveryKind) -> bool {
    if platform.facts().subscribers_only {
        return kind == DeliveryKind::NewSubscriber;
    }
    events.name(kind).is_some()
}

/// The id of the job that tells a destination of an event: the same cause makes the same id.
fn job_id(event_id: &str, destination: Destination, occurred_at: Timestamp) -> DeliveryId {
    let cause: [&[u8]; 2] = [event_id.as_bytes(), &destination.to_string().into_bytes()];
    DeliveryId(derive::ulid(occurred_at, &cause))
}

/// A destination that was added later and is to hear of earlier conversions.
#[derive(Debug, Clone)]
pub enum Hearer {
    /// A pixel; whether it is on the link of the conversion is for the caller to see.
    Pixel(Box<Pixel>),
    /// A postback.
    Postback(Box<Postback>),
}

impl Hearer {
    /// Whether it has a name for this kind of event.
    #[must_use]
    pub fn wants(&self, kind: DeliveryKind) -> bool {
        match self {
            Self::Pixel(pixel) => wants(pixel.platform, &pixel.events, kind),
            Self::Postback(postback) => postback.conversion_types.iter().any(|of| postback_kind(*of) == kind),
        }
    }
}

/// The job of a click of before, as [`retell`]: of people's clicks only, as attribution tells them (contract I.26).
#[must_use]
pub fn retell_click(row: &ClickRow, to: &Hearer, now: Timestamp) -> Option<Job> {
    let Hearer::Pixel(pixel) = to else { return None };
    let click = &row.click;
    let counts = click.class == Class::Person && !row.is_duplicate;
    if !counts || !to.wants(DeliveryKind::Click) {
        return None;
    }
    let (destination, event_id) = (Destination::Pixel(pixel.id), click_event(click.id));
    Some(Job {
        id: job_id(&event_id, destination, click.at),
        team: click.team,
        account: click.account.clone(),
        link: click.link,
        destination,
        kind: DeliveryKind::Click,
        event_id,
        conversion: None,
        click: Some(click.id),
        fan: None,
        occurred_at: click.at,
        created_at: now,
        skip: None,
    })
}

/// The id under which a click is told.
fn click_event(click: ClickId) -> String {
    format!("clk_{click}")
}

/// The job of a conversion of before for somebody who may not have been told then, made at `now`: the very job that
/// attribution would have made. `None` when it is nothing to them.
#[must_use]
pub fn retell(conversion: &Conversion, to: &Hearer, now: Timestamp) -> Option<Job> {
    let (destination, kind, skip) = match to {
        Hearer::Pixel(pixel) => {
            let kind = pixel_kind(conversion).filter(|kind| wants(pixel.platform, &pixel.events, *kind))?;
            let skip = conversion.click.is_none().then(|| pixel.platform.facts().without_click.to_owned());
            (Destination::Pixel(pixel.id), kind, skip)
        }
        Hearer::Postback(postback) => {
            let covered = postback.scope.covers(conversion.link);
            (covered && postback.conversion_types.contains(&conversion.kind)).then_some(())?;
            (Destination::Postback(postback.id), postback_kind(conversion.kind), None)
        }
    };
    let event_id = conversion.id.to_string();
    Some(Job {
        id: job_id(&event_id, destination, conversion.at),
        team: conversion.team,
        account: conversion.account.clone(),
        link: conversion.link,
        destination,
        kind,
        event_id,
        conversion: Some(conversion.id),
        click: conversion.click,
        fan: Some(conversion.fan.clone()),
        occurred_at: conversion.at,
        created_at: now,
        skip,
    })
}

impl Decider<'_> {
    /// Jobs of a click by a person (contract I.26: never of bots and duplicates).
    pub(super) fn tell_click(&mut self, click: ClickId, link: SmartLinkId, at: Timestamp) {
        let destinations = self.destinations;
        for (pixel, platform, events) in destinations.pixels(link) {
            if wants(platform, events, DeliveryKind::Click) {
                let job =
                    self.job(link, Destination::Pixel(pixel), DeliveryKind::Click, click_event(click), at);
                self.effects.job(Job { click: Some(click), ..job });
            }
        }
    }

    /// Jobs of a new conversion.
    pub(super) fn tell(&mut self, conversion: &Conversion) {
        let destinations = self.destinations;
        let mut told = Vec::new();
        if let Some(kind) = pixel_kind(conversion) {
            let pixels = destinations.pixels(conversion.link);
            let wanting = pixels.filter(|(_, platform, events)| wants(*platform, events, kind));
            told.extend(wanting.map(|(pixel, platform, _)| {
                let skip = conversion.click.is_none().then(|| platform.facts().without_click.to_owned());
                (Destination::Pixel(pixel), kind, skip)
            }));
        }
        for postback in destinations.postbacks(conversion.team) {
            if postback.scope.covers(conversion.link) && postback.conversion_types.contains(&conversion.kind)
            {
                told.push((Destination::Postback(postback.id), postback_kind(conversion.kind), None));
            }
        }
        for (destination, kind, skip) in told {
            let job = self.job(conversion.link, destination, kind, conversion.id.to_string(), conversion.at);
            self.effects.job(Job {
                conversion: Some(conversion.id),
                click: conversion.click,
                fan: Some(conversion.fan.clone()),
                skip,
                ..job
            });
        }
    }

    fn job(
        &self,
        link: SmartLinkId,
        destination: Destination,
        kind: DeliveryKind,
        event_id: String,
        occurred_at: Timestamp,
    ) -> Job {
        Job {
            id: job_id(&event_id, destination, occurred_at),
            team: self.team,
            account: self.account.clone(),
            link,
            destination,
            kind,
            event_id,
            conversion: None,
            click: None,
            fan: None,
            occurred_at,
            created_at: self.at,
            skip: None,
        }
    }
}
