//! Clicks and repeats, from messages; [`super::direct`] writes them.

use std::{net::IpAddr, time::Duration};

use sl_core::{
    click::{AdCookies, Click, Device, Params, Place, Repeat, RequestFacts},
    ids::{AccountId, ClickId, SmartLinkId, TeamId},
    time::Timestamp,
};

use super::{DecodeError, parts};
use crate::proto::{self, request_facts::Ip};

/// Moves a parameter list between the two types, which name its fields alike.
macro_rules! same_fields {
    ($from:expr => $into:path { $($field:ident),+ $(,)? }) => {{
        let from = $from;
        $into { $($field: from.$field),+ }
    }};
}

macro_rules! params {
    ($from:expr => $into:path) => {
        same_fields!($from => $into {
            ecid, fbclid, gclid, gbraid, wbraid, ttclid, sccid, twclid, rdt_cid, epik, msclkid, fbc, fbp, aff_s1, aff_s2,
            aff_s3, aff_s4, aff_s5, utm_source, utm_medium, utm_campaign, utm_content, utm_term,
        })
    };
}

pub(super) fn from_message(
    click: proto::Click,
    team: TeamId,
    account: &AccountId,
) -> Result<Click, DecodeError> {
    Ok(Click {
        id: ClickId::from_bytes(parts::need(click.id, "click.id")?),
        team: click.team.map_or(team, TeamId),
        account: click.account.map_or_else(|| account.clone(), AccountId::from),
        link: SmartLinkId::from_bytes(parts::need(click.link, "click.link")?),
        at: Timestamp(click.at),
        window: Duration::from_millis(click.window_ms),
        class: parts::class_back(click.class)?,
        rung: parts::rung_back(click.rung)?,
        pool_link: click.pool_link.map(parts::pool_link_back).transpose()?,
        sent_to: click.sent_to.map(String::into_boxed_str),
        visitor: parts::visitor_back(click.visitor)?,
        request: request_back(click.request.unwrap_or_default()),
        device: same_fields!(click.device.unwrap_or_default() => Device { kind, browser, family, platform }),
        place: same_fields!(click.place.unwrap_or_default() => Place { country, region, city, postal_code }),
        params: params!(click.params.unwrap_or_default() => Params),
        cookies: same_fields!(
            click.cookies.unwrap_or_default() => AdCookies { fbc, fbp, ttclid, ttp, scclid, scid }
        ),
    })
}

pub(super) fn repeat_from_message(repeat: &proto::Repeat) -> Result<Repeat, DecodeError> {
    Ok(Repeat {
        click: ClickId::from_bytes(parts::need(repeat.click, "repeat.click")?),
        link: SmartLinkId::from_bytes(parts::need(repeat.link, "repeat.link")?),
        at: Timestamp(repeat.at),
        pool_link: repeat.pool_link.map(parts::pool_link_back).transpose()?,
        visitor: parts::visitor_back(repeat.visitor)?,
    })
}

fn request_back(request: proto::RequestFacts) -> RequestFacts {
    RequestFacts {
        target: request.target,
        ip: request.ip.map(|ip| match ip {
            Ip::V4(bits) => IpAddr::V4(bits.into()),
            Ip::V6(bits) => IpAddr::V6(parts::narrow(bits).into()),
        }),
        user_agent: request.user_agent,
        referrer: request.referrer,
        accept_language: request.accept_language,
    }
}
