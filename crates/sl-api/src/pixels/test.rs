//! Test events (contract A.8.3).

use axum::extract::{Path, State};
use serde_json::json;
use sl_core::platforms::{TestRefused, Tests};

use crate::{
    access::OwnLink,
    body::Body,
    error::{ApiError, Problems, Result},
    parts::{App, TestEvent},
    pixels::attached,
    reply::Reply,
};

/// The free and paid split exists only here.
const TYPES: [&str; 8] = [
    "event_click",
    "event_new_subscriber_free",
    "event_new_subscriber_paid",
    "event_first_transaction",
    "event_new_transaction",
    "event_message_received_from_fan",
    "event_fan_sent_1_message",
    "event_fan_sent_3_messages",
];

pub(crate) async fn test_event(
    State(app): State<App>,
    OwnLink(link): OwnLink,
    Path(path): Path<Vec<(String, String)>>,
    mut body: Body,
) -> Result<Reply> {
    let pixel = attached(&app, &link, &path).await?;
    let known = TYPES.join(", ");
    let event_type = body.choice("event_type", &known, |word| TYPES.contains(&word).then(|| word.to_owned()));
    let test_event_code = match pixel.platform.facts().tests {
        Tests::WithCode => body.required("test_event_code", 100),
        Tests::Apart => None,
        Tests::None => {
            let platform = pixel.platform.facts().name;
            body.wrong("event_type", format!("cannot be sent: {platform} knows no test events."));
            None
        }
    };
    body.finish()?;
    let tester = app.pixel_tester.as_ref().ok_or_else(|| {
        ApiError::Unavailable("Test events need the role postback in this process.".to_owned())
    })?;
    let event = TestEvent { event_type: event_type.unwrap_or_default(), test_event_code };
    match tester.test(&pixel, event).await {
        Ok(()) => Ok(Reply::data(json!({ "success": true }))),
        // What the platform says against it is the caller's to mend (contract I.18).
        Err(refused @ TestRefused::Event(_)) => {
            Err(Problems::one("event_type", format!("was refused: {refused}")))
        }
        Err(refused @ TestRefused::Token(_)) => Err(Problems::one(
            "pixel_access_token",
            format!("was refused: {refused}; save the pixel with a new one."),
        )),
    }
}
