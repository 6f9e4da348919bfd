//! Signing in with an API key. The session is the cookie itself, sealed: the key's hash and the end of the session. A
//! revoked key ends it at once, and every process that has `secrets.key` understands it.

use axum::{
    extract::{FromRequest, FromRequestParts, Request, State},
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use serde_json::json;
use sha2::{Digest, Sha256};
use sl_core::{
    apikey::KeySecret,
    seal::{SESSION, Secret},
    time::Timestamp,
};
use subtle::ConstantTimeEq;

use crate::{
    access::{Caller, caller},
    body::raw,
    dashboard::{failed, render},
    error::{ApiError, Result},
    parts::App,
};

const COOKIE: &str = "smartlinks_session";
/// A working day.
const LIFETIME_SECONDS: i64 = 12 * 3600;

/// Somebody signed in.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) caller: Caller,
    /// Goes into every form. Only who sees the page can know it, since the cookie is `HttpOnly`.
    pub(crate) csrf: String,
}

impl FromRequestParts<App> for Session {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> std::result::Result<Self, Response> {
        Self::open(app, &parts.headers).await.map_err(|error| failed(app, None, &error))
    }
}

impl Session {
    async fn open(app: &App, headers: &HeaderMap) -> Result<Self> {
        let cookie = cookie(headers).ok_or(ApiError::Unauthorized)?;
        let sealed = hex::decode(cookie).map_err(|_| ApiError::Unauthorized)?;
        let plain = app.seal_keys.open(SESSION, &sealed).map_err(|_| ApiError::Unauthorized)?;
        let (hash, ends_at) = plain.expose().split_once(' ').ok_or(ApiError::Unauthorized)?;
        let mut key_hash = [0; 32];
        hex::decode_to_slice(hash, &mut key_hash).map_err(|_| ApiError::Unauthorized)?;
        if ends_at.parse::<i64>().unwrap_or(0) <= app.now().seconds() {
            return Err(ApiError::Unauthorized);
        }
        let csrf = hex::encode(Sha256::new().chain_update(b"form ").chain_update(cookie).finalize());
        Ok(Self { caller: caller(app, key_hash).await?, csrf })
    }

    /// The form was on a page of ours.
    ///
    /// # Errors
    /// 400 otherwise.
    pub(crate) fn check_form(&self, form: &Form) -> Result<()> {
        let given = form.get("csrf").unwrap_or_default();
        if bool::from(given.as_bytes().ct_eq(self.csrf.as_bytes())) {
            Ok(())
        } else {
            Err(ApiError::BadRequest("This form is too old; load the page again and repeat.".to_owned()))
        }
    }

    /// # Errors
    /// 403 naming the permission.
    pub(crate) fn must(&self, permission: &'static str) -> Result<()> {
        self.caller.must(permission)
    }
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value)
}

/// A form as browsers send it.
pub(crate) struct Form(Vec<(String, String)>);

impl FromRequest<App> for Form {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> std::result::Result<Self, Response> {
        let bytes = raw(request, app).await.map_err(|error| failed(app, None, &error))?;
        Ok(Self(form_urlencoded::parse(&bytes).into_owned().collect()))
    }
}

impl Form {
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

pub(crate) async fn form(State(app): State<App>) -> Response {
    render(&app, StatusCode::OK, "login.html", None, &json!({ "title": "Sign in" }))
}

pub(crate) async fn login(State(app): State<App>, headers: HeaderMap, form: Form) -> Response {
    let secret = form.get("key").and_then(|text| KeySecret::parse(text.trim()).ok());
    let known = match secret {
        Some(secret) => caller(&app, secret.hash()).await,
        None => Err(ApiError::Unauthorized),
    };
    match known {
        Ok(caller) => {
            let ends_at = app.now().seconds() + LIFETIME_SECONDS;
            signed_in(&app, &caller, Timestamp::from_seconds(ends_at), is_https(&headers))
        }
        Err(ApiError::Unauthorized) => {
            let page = json!({ "title": "Sign in", "wrong": true });
            render(&app, StatusCode::UNAUTHORIZED, "login.html", None, &page)
        }
        Err(error) => failed(&app, None, &error),
    }
}

fn signed_in(app: &App, caller: &Caller, ends_at: Timestamp, https: bool) -> Response {
    let plain = Secret::new(format!("{} {}", hex::encode(caller.0.hash), ends_at.seconds()));
    let value = hex::encode(app.seal_keys.seal(SESSION, &plain, app.nonce()));
    with_cookie(Redirect::to("/"), &value, LIFETIME_SECONDS, https)
}

pub(crate) async fn logout(
    State(app): State<App>,
    session: Session,
    headers: HeaderMap,
    form: Form,
) -> Response {
    if let Err(error) = session.check_form(&form) {
        return failed(&app, Some(&session), &error);
    }
    with_cookie(Redirect::to("/login"), "", 0, is_https(&headers))
}

fn with_cookie(to: Redirect, value: &str, seconds: i64, https: bool) -> Response {
    let secure = if https { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    let mut response = to.into_response();
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Behind a proxy that ends TLS; on plain loopback `Secure` would keep the browser from sending the cookie back.
fn is_https(headers: &HeaderMap) -> bool {
    headers.get("x-forwarded-proto").is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"https"))
}
