//! The body of create and update (contract A.9.1).

use serde_json::Value;
use sl_core::{
    catalog::{HeaderTemplate, Postback, PostbackMethod, PostbackScope},
    conversion::ConversionKind,
    ids::SmartLinkId,
    template::begun,
};

use crate::{
    body::{Body, Given, has_control},
    error::{Result, shown},
    parts::App,
    x::settings::sending,
};

const URL_LIMIT: usize = 4000;
/// Longest template of a body, in bytes; upstream names no bound.
const BODY_LIMIT: usize = 65_536;
const HEADER_NAME_LIMIT: usize = 100;
const HEADER_VALUE_LIMIT: usize = 2000;
/// Most headers of a postback: more can only be a mistake.
const HEADERS_LIMIT: usize = 50;

const ANSWER_TEXT_LIMIT: usize = 200;
const ANSWER_TEXTS_LIMIT: usize = 10;

/// Takes over what the body says: required fields always, the others when they are sent.
pub(crate) async fn read(app: &App, body: &mut Body, postback: &mut Postback) -> Result<()> {
    if let Some(url) = body.required("url", URL_LIMIT) {
        match destination(app, &url).err().or_else(|| unclosed(&url)) {
            None => postback.url = url,
            Some(what) => body.wrong("url", what),
        }
    }
    if let Some(scope) = scope(app, body, postback).await? {
        postback.scope = scope;
    }
    if let Some(kinds) = conversion_types(body) {
        postback.conversion_types = kinds;
    }
    if body.raw("http_method").is_some_and(|value| !value.is_null()) {
        let method = body.choice("http_method", "GET, POST", |word| match word {
            "GET" => Some(PostbackMethod::Get),
            "POST" => Some(PostbackMethod::Post),
            _ => None,
        });
        postback.method = method.unwrap_or(postback.method);
    }
    match body.raw("body") {
        // `null` clears a field of a pixel only (contract A.4.2).
        None | Some(Value::Null) => {}
        Some(Value::String(text)) if text.is_empty() => postback.body = None,
        // A template keeps its blanks.
        Some(Value::String(text)) if text.len() <= BODY_LIMIT => postback.body = Some(text.clone()),
        Some(Value::String(_)) => body.wrong("body", format!("must not be longer than {BODY_LIMIT} bytes.")),
        Some(other) => {
            let what = format!("must be a string, not {}.", shown(&other.to_string()));
            body.wrong("body", what);
        }
    }
    if let Some(items) = body.array("headers") {
        postback.headers = headers(body, items);
    }
    sending(body, &mut postback.in_order, &mut postback.pace);
    for (key, texts) in
        [("success_texts", &mut postback.answers.success), ("failure_texts", &mut postback.answers.failure)]
    {
        let given = body.strings(key, ANSWER_TEXT_LIMIT);
        if given.as_ref().is_some_and(|given| given.len() > ANSWER_TEXTS_LIMIT) {
            body.wrong(key, format!("must not hold more than {ANSWER_TEXTS_LIMIT} texts."));
        }
        *texts = given.unwrap_or_else(|| std::mem::take(texts));
    }
    Ok(())
}

/// What a variable that is certainly not closed is refused with. Braces of a body may be its own: there it is a warning.
fn unclosed(template: &str) -> Option<String> {
    let variable = begun(template).find(|variable| variable.is_open)?;
    let name = variable.name;
    Some(format!("has a variable without its closing brace: {{{name}. Write {{{name}}}."))
}

/// What can be told before the template is filled in: scheme, userinfo, a literal private address (decisions 18).
fn destination(app: &App, template: &str) -> std::result::Result<(), String> {
    // A variable there would let whoever clicks choose the host (ad-platforms 6).
    let origin_end = template.find("://").map_or(0, |at| at + 3);
    let path = template.get(origin_end..).and_then(|rest| rest.find(['/', '?', '#']));
    let origin = path.and_then(|at| template.get(..origin_end + at)).unwrap_or(template);
    if origin.contains('{') {
        return Err("must not hold a variable in its scheme, host or port.".to_owned());
    }
    let url = url::Url::parse(template).map_err(|error| {
        format!("must be an absolute URL such as https://tracker.example/postback: {error}.")
    })?;
    if !["http", "https"].contains(&url.scheme()) {
        return Err(format!("must begin with https:// or http://, not {}.", shown(url.scheme())));
    }
    // However many slashes come before it, the host is what a URL says it is.
    if url.host_str().is_none_or(|host| host.contains(['{', '}'])) {
        return Err("must not hold a variable in its scheme, host or port.".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user name or password; use a header instead.".to_owned());
    }
    (app.settings.egress_check)(&url).map_err(|reason| format!("is not allowed as a destination: {reason}"))
}

async fn scope(app: &App, body: &mut Body, postback: &Postback) -> Result<Option<PostbackScope>> {
    let word = body.choice("smart_link_scope", "global, campaign_specific", |word| {
        ["global", "campaign_specific"].contains(&word).then(|| word == "global")
    });
    match word {
        None => Ok(None),
        Some(true) => Ok(Some(PostbackScope::Global)),
        Some(false) => Ok(Some(PostbackScope::Links(links(app, body, postback).await?))),
    }
}

/// Links of another team are as unknown as those that do not exist. One that was deleted may stay where it is, so that what an
/// answer said can be sent back.
async fn links(app: &App, body: &mut Body, postback: &Postback) -> Result<Vec<SmartLinkId>> {
    let has = |id: SmartLinkId| matches!(&postback.scope, PostbackScope::Links(known) if known.contains(&id));
    let given = body.strings("smart_link_ids", 26);
    let missing = given.as_ref().map_or_else(|| body.is_null("smart_link_ids"), Vec::is_empty);
    let texts = given.unwrap_or_default();
    if missing {
        body.wrong("smart_link_ids", "is required when smart_link_scope is campaign_specific.");
    }
    let mut ids = Vec::with_capacity(texts.len());
    for (at, text) in texts.iter().enumerate() {
        let found = match text.parse::<SmartLinkId>() {
            Ok(id) => app.store.catalog.link(id).await?,
            Err(_) => None,
        };
        let found = found.filter(|link| link.team == postback.team);
        match found.filter(|link| link.deleted_at.is_none() || has(link.id)) {
            Some(link) if !ids.contains(&link.id) => ids.push(link.id),
            Some(_) => {}
            None => {
                let what = format!("names no Smart Link of this team: {}.", shown(text));
                body.wrong(format!("smart_link_ids.{at}"), what);
            }
        }
    }
    Ok(ids)
}

fn conversion_types(body: &mut Body) -> Option<Vec<ConversionKind>> {
    if body.is_null("conversion_types") {
        return body.missing("conversion_types");
    }
    let words = body.strings("conversion_types", 64)?;
    if words.is_empty() {
        body.wrong("conversion_types", "must name at least one conversion type.");
    }
    let mut kinds = Vec::with_capacity(words.len());
    for (at, word) in words.iter().enumerate() {
        match ConversionKind::from_slug(word) {
            Some(kind) if !kinds.contains(&kind) => kinds.push(kind),
            Some(_) => {}
            None => {
                let known = ConversionKind::ALL.map(ConversionKind::as_str).join(", ");
                let what = format!("must be one of {known}, not {}.", shown(word));
                body.wrong(format!("conversion_types.{at}"), what);
            }
        }
    }
    Some(kinds)
}

/// Pairs without name and value are left out, as forms send them.
fn headers(body: &mut Body, items: Vec<Value>) -> Vec<HeaderTemplate> {
    if items.len() > HEADERS_LIMIT {
        body.wrong("headers", format!("must not hold more than {HEADERS_LIMIT} headers."));
    }
    let mut headers = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        if !item.is_object() {
            body.wrong(format!("headers.{at}"), "must be an object with name and value.");
            continue;
        }
        let mut part = |key: &str, max: usize| match item.get(key) {
            None | Some(Value::Null) => Given::Null,
            // As forms send what was left empty.
            Some(Value::String(text)) if text.is_empty() => Given::Null,
            Some(Value::String(text)) if text.chars().count() <= max && !has_control(text) => {
                Given::Value(text.clone())
            }
            Some(_) => {
                let what = format!("must be a string of at most {max} characters on one line.");
                body.wrong(format!("headers.{at}.{key}"), what);
                Given::Absent
            }
        };
        let name = part("name", HEADER_NAME_LIMIT);
        let value = part("value", HEADER_VALUE_LIMIT);
        match (name, value) {
            (Given::Absent, _) | (_, Given::Absent) | (Given::Null, Given::Null) => {}
            (Given::Null, Given::Value(_)) => {
                body.wrong(format!("headers.{at}.name"), "is required when value is present.");
            }
            (Given::Value(name), _) if sl_core::template::is_reserved_header(&name) => {
                let what = format!("is set by us: {}. Leave it out.", shown(&name));
                body.wrong(format!("headers.{at}.name"), what);
            }
            (Given::Value(name), value) if is_token(&name) => {
                let value = value.value().unwrap_or_default();
                if let Some(what) = unclosed(&value) {
                    body.wrong(format!("headers.{at}.value"), what);
                }
                headers.push(HeaderTemplate { name, value });
            }
            (Given::Value(_), _) => {
                body.wrong(
                    format!("headers.{at}.name"),
                    "format is invalid: use letters, digits and ! # $ % & ' * + - . ^ _ ` | ~ only.",
                );
            }
        }
    }
    headers
}

/// RFC 7230 token.
fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
