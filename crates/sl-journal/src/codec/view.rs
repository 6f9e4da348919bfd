//! A click whose parts still lie where the request was read: it goes into the journal without being put together first.

use std::{net::IpAddr, time::Duration};

use sl_core::{
    click::{AdCookies, Class, Click, Device, Params, Place, RequestFacts, Rung, VisitorKeys},
    event::{Event, EventBody},
    ids::{AccountId, ClickId, PoolLinkId, SmartLinkId, TeamId},
    time::Timestamp,
};

/// A [`Click`] in borrowed parts; its fields are explained there.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the fields of `Click`, which explains them")]
pub struct ClickView<'a> {
    pub id: ClickId,
    pub team: TeamId,
    pub account: &'a AccountId,
    pub link: SmartLinkId,
    pub at: Timestamp,
    pub window: Duration,
    pub class: Class,
    pub rung: Rung,
    pub pool_link: Option<PoolLinkId>,
    pub sent_to: Option<&'a str>,
    pub visitor: VisitorKeys,
    /// From here on the request's facts, as in `RequestFacts`.
    pub target: &'a str,
    pub ip: Option<IpAddr>,
    pub user_agent: &'a str,
    pub referrer: Option<&'a str>,
    pub accept_language: Option<&'a str>,
    pub device: &'a Device,
    pub place: &'a Place,
    pub params: &'a Params<&'a str>,
    pub cookies: &'a AdCookies<&'a str>,
}

impl<'a> ClickView<'a> {
    /// Looks at a click, of whose parameters and cookies the texts are known.
    fn of(click: &'a Click, params: &'a Params<&'a str>, cookies: &'a AdCookies<&'a str>) -> Self {
        Self {
            id: click.id,
            team: click.team,
            account: &click.account,
            link: click.link,
            at: click.at,
            window: click.window,
            class: click.class,
            rung: click.rung,
            pool_link: click.pool_link,
            sent_to: click.sent_to.as_deref(),
            visitor: click.visitor,
            target: &click.request.target,
            ip: click.request.ip,
            user_agent: &click.request.user_agent,
            referrer: click.request.referrer.as_deref(),
            accept_language: click.request.accept_language.as_deref(),
            device: &click.device,
            place: &click.place,
            params,
            cookies,
        }
    }

    /// Shows a click to `look`.
    pub fn with<R>(click: &Click, look: impl FnOnce(&ClickView<'_>) -> R) -> R {
        let (params, cookies) = (click.params.map(String::as_str), click.cookies.map(String::as_str));
        look(&ClickView::of(click, &params, &cookies))
    }

    /// The event that appends this click: of its own team and account, at its own time.
    #[must_use]
    pub fn to_event(&self) -> Event {
        let click = Click {
            id: self.id,
            team: self.team,
            account: self.account.clone(),
            link: self.link,
            at: self.at,
            window: self.window,
            class: self.class,
            rung: self.rung,
            pool_link: self.pool_link,
            sent_to: self.sent_to.map(Box::from),
            visitor: self.visitor,
            request: RequestFacts {
                target: self.target.to_owned(),
                ip: self.ip,
                user_agent: self.user_agent.to_owned(),
                referrer: self.referrer.map(str::to_owned),
                accept_language: self.accept_language.map(str::to_owned),
            },
            device: self.device.clone(),
            place: self.place.clone(),
            params: self.params.map(|text| (*text).to_owned()),
            cookies: self.cookies.map(|text| (*text).to_owned()),
        };
        Event { team: self.team, account: self.account.clone(), at: self.at, body: EventBody::click(click) }
    }
}
