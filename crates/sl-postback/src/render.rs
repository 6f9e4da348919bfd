//! From a job to the request that is stored: reads the rows the job names and writes the request once.

use std::sync::Arc;

use sl_core::{
    catalog::{Pixel, Postback, SmartLink},
    click::Click,
    conversion::Conversion,
    delivery::{DeliveryKind, Job, RenderedRequest},
    identity::Identity,
    ids::TeamId,
    lint::{self, Warning},
    platforms::{AdPlatform, Channel, Event, Skip, value},
    time::Timestamp,
};
use sl_store::Store;

use crate::generic;

/// What became of rendering a job.
pub(crate) enum Rendered {
    /// To be stored and sent.
    Request(RenderedRequest),
    /// A rule of ours says no; what is odd about the event may be why.
    Skip(Skip, Vec<Warning>),
    /// A row that the job names is gone (retention, or a deleted link).
    Gone(&'static str),
}

/// The rows of one job.
struct Rows {
    click: Option<Click>,
    conversion: Option<Conversion>,
    link: Option<SmartLink>,
}

async fn rows(store: &Store, job: &Job) -> sl_store::Result<Rows> {
    let team: TeamId = job.team;
    let click = match job.click {
        Some(id) => store.reports.click(team, id).await?.map(|row| Arc::unwrap_or_clone(row.click)),
        None => None,
    };
    let conversion = match job.conversion {
        Some(id) => store.reports.conversion(team, id).await?,
        None => None,
    };
    Ok(Rows { click, conversion, link: store.catalog.link(job.link).await? })
}

/// The event of a pixel.
pub(crate) async fn pixel_event(
    store: &Store,
    job: &Job,
    pixel: &Pixel,
    platform: &dyn AdPlatform,
    public_url: &str,
    now: Timestamp,
) -> sl_store::Result<Rendered> {
    let Some(name) = pixel.events.name(job.kind) else {
        return Ok(Rendered::Skip(Skip::EVENT_DISABLED, Vec::new()));
    };
    let Rows { click, conversion, .. } = rows(store, job).await?;
    let Some(click) = click else {
        // Subscribers of the overflow link have no click to tell of (decisions 55).
        let overflow = job.click.is_none();
        return Ok(if overflow {
            Rendered::Skip(Skip::INSUFFICIENT_USER_DATA, Vec::new())
        } else {
            Rendered::Gone("click")
        });
    };
    if job.conversion.is_some() && conversion.is_none() {
        return Ok(Rendered::Gone("conversion"));
    }
    let money = matches!(
        job.kind,
        DeliveryKind::NewSubscriber | DeliveryKind::FirstTransaction | DeliveryKind::NewTransaction
    );
    let amounts = conversion.as_ref().filter(|_| money);
    let transaction = conversion.as_ref().and_then(|conversion| conversion.transaction.as_ref());
    let transaction = transaction.filter(|_| job.kind != DeliveryKind::NewSubscriber);
    let event = Event {
        kind: job.kind,
        name,
        event_id: &job.event_id,
        occurred_at: job.occurred_at,
        value: amounts.map(|row| value(pixel, row.gross, row.net)),
        order_id: transaction.map(|facts| &*facts.id.0),
        renewal: transaction.is_some_and(|facts| facts.kind == "recurring_subscription"),
        channel: Channel::Live,
    };
    let click_url = format!("{}{}", public_url.trim_end_matches('/'), click.request.target);
    let source = pixel.external_id_source;
    let subject = lint::Subject {
        platform: pixel.platform,
        click: &click,
        person: &Identity::of(&click, source),
        source,
        name,
        occurred_at: job.occurred_at,
    };
    let lint = lint::event(&subject, now);
    Ok(match platform.build(pixel, &event, &click, &click_url) {
        Ok(request) => Rendered::Request(RenderedRequest { lint, ..request }),
        Err(skip) => Rendered::Skip(skip, lint.warnings),
    })
}

/// The request of a postback.
pub(crate) async fn postback(store: &Store, job: &Job, postback: &Postback) -> sl_store::Result<Rendered> {
    let Rows { click, conversion, link } = rows(store, job).await?;
    let (Some(conversion), Some(link)) = (conversion, link) else { return Ok(Rendered::Gone("conversion")) };
    let account = store.catalog.account(&link.account).await?;
    let fan = store.reports.fan(&conversion.account, &conversion.fan).await?.unwrap_or_default();
    let facts = generic::Facts {
        conversion: &conversion,
        kind: job.kind,
        link: &link,
        account: account.as_ref(),
        fan: &fan,
        click: click.as_ref(),
    };
    Ok(Rendered::Request(generic::request(postback, &facts)))
}
