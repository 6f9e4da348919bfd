//! Who asks, and may they (contract A.1, F; decisions 13).

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, header, request::Parts};
use sl_core::{
    apikey::KeySecret,
    catalog::{ApiKey, SmartLink},
    ids::TeamId,
    time::Timestamp,
};
use tracing::{Instrument, field::Empty};

use crate::{
    body::BODY_LIMIT,
    error::{ApiError, Result},
    parts::App,
    turn,
};

/// Which key a request to an endpoint must carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// No key, or the endpoint checks one itself.
    Open,
    /// Any valid key.
    AnyKey,
    /// A key with this permission of contract F.
    Needs(&'static str),
}

/// The key behind a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller(pub(crate) ApiKey);

impl Caller {
    pub(crate) fn team(&self) -> TeamId {
        self.0.team
    }

    /// # Errors
    /// 403 naming the permission.
    pub(crate) fn must(&self, permission: &'static str) -> Result<()> {
        if self.may(permission) { Ok(()) } else { Err(ApiError::Forbidden(permission)) }
    }

    pub(crate) fn may(&self, permission: &str) -> bool {
        self.0.permissions.iter().any(|own| own == permission)
    }
}

/// Layer of every route: checks the key, then hands the [`Caller`] on.
pub(crate) async fn guard(
    State((app, access)): State<(App, Access)>,
    request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let span = tracing::trace_span!(
        target: "otel",
        "api.request",
        http.request.method = %request.method(),
        http.route = route,
        http.response.status_code = Empty,
    );
    let answered = span.clone();
    async move {
        let response = admit(app, access, request, next).await;
        answered.record("http.response.status_code", response.status().as_u16());
        response
    }
    .instrument(span)
    .await
}

async fn admit(app: App, access: Access, mut request: Request, next: Next) -> Response {
    if access == Access::Open {
        return next.run(request).await;
    }
    match admitted(&app, access, request.headers()).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            if request.method().is_safe() || request.uri().path().ends_with(SENDS_FIRST) {
                next.run(request).await
            } else {
                run_alone(&app, request, next).await
            }
        }
        Err(error) => error.into_response(),
    }
}

/// A whole body, at most `limit` bytes, within [`crate::ApiSettings::body_time`].
pub(crate) async fn whole(app: &App, body: Body, limit: usize) -> Result<Bytes> {
    match tokio::time::timeout(app.settings.body_time, axum::body::to_bytes(body, limit)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => Err(ApiError::TooLarge(limit)),
        Err(_) => Err(ApiError::TooSlow),
    }
}

/// A test event waits for an ad platform and changes nothing here.
const SENDS_FIRST: &str = "/test-event";

/// Runs a call that changes something while no other does. The body is read before, so that a slow client keeps nobody
/// waiting.
async fn run_alone(app: &App, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let body = match whole(app, body, BODY_LIMIT).await {
        Ok(body) => body,
        Err(error) => return error.into_response(),
    };
    let alone = Arc::clone(&app.writes).lock_owned().await;
    let call = next.run(Request::from_parts(parts, body.into()));
    let Some(process) = app.process.clone() else { return call.await };
    // In a task of its own: a client that goes away must not leave the turn taken.
    let leases = Arc::clone(&app.store.leases);
    let done = tokio::spawn(async move {
        let _alone = alone;
        turn::alone(&*leases, &process, call).await
    });
    match done.await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => ApiError::from(error).into_response(),
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

async fn admitted(app: &App, access: Access, headers: &HeaderMap) -> Result<Caller> {
    let secret =
        bearer(headers).and_then(|text| KeySecret::parse(text).ok()).ok_or(ApiError::Unauthorized)?;
    let caller = caller(app, secret.hash()).await?;
    if let Access::Needs(permission) = access {
        caller.must(permission)?;
    }
    Ok(caller)
}

/// The caller of a key that is known and not revoked. Notes its use, to the minute.
pub(crate) async fn caller(app: &App, hash: [u8; 32]) -> Result<Caller> {
    let key = app.store.catalog.key_by_hash(hash).await?.ok_or(ApiError::Unauthorized)?;
    if key.revoked_at.is_some() {
        return Err(ApiError::Unauthorized);
    }
    // Not before it was made.
    let minute = Timestamp(app.now().0.div_euclid(60_000) * 60_000).max(key.created_at);
    if key.last_used_at.is_none_or(|last| last < minute) {
        app.store.catalog.touch_key(key.id, minute).await?;
    }
    Ok(Caller(key))
}

/// The token of `Authorization: Bearer …`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

impl FromRequestParts<App> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
        parts.extensions.get::<Self>().cloned().ok_or(ApiError::Unauthorized)
    }
}

/// The live Smart Link of the path, of the caller's own team, and of the account where the path names one; anything else is 404
/// (contract A.3).
#[derive(Debug)]
pub(crate) struct OwnLink(pub(crate) SmartLink);

impl FromRequestParts<App> for OwnLink {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let caller = Caller::from_request_parts(parts, app).await?;
        let params = path_parts(parts, app).await?;
        let part = |name: &str| params.iter().find(|(key, _)| *key == name).map(|(_, value)| value);
        let id = part("smart_link_id").ok_or(ApiError::NotFound("path"))?;
        let link = own_link(app, caller.team(), id).await?;
        // The older paths (contract A.1): what they answer must be of the account they ask for.
        let is_of_account = part("account").is_none_or(|account| account == link.account.as_str());
        if is_of_account { Ok(Self(link)) } else { Err(ApiError::NotFound("smart link")) }
    }
}

/// The id in a path that has no other part. One that is no text is no id: 404, as any that does not exist (contract A.3).
#[derive(Debug)]
pub(crate) struct PathId(pub(crate) String);

impl FromRequestParts<App> for PathId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let params = path_parts(parts, app).await?;
        params.iter().next().map(|(_, id)| Self(id.to_owned())).ok_or(ApiError::NotFound("path"))
    }
}

async fn path_parts(parts: &mut Parts, app: &App) -> Result<RawPathParams> {
    RawPathParams::from_request_parts(parts, app).await.map_err(|_| ApiError::NotFound("path"))
}

/// A live link of `team`.
pub(crate) async fn own_link(app: &App, team: TeamId, id: &str) -> Result<SmartLink> {
    let missing = || ApiError::NotFound("smart link");
    let id = id.parse().map_err(|_| missing())?;
    app.store
        .catalog
        .link(id)
        .await?
        .filter(|link| link.team == team && link.deleted_at.is_none())
        .ok_or_else(missing)
}
