//! `POST /auth/refresh`

use axum::extract::State;
use chrono::{DateTime, Utc};
use halyard_auth::{
    AuthnFailure,
    token::{RefreshToken, RefreshVerdict},
    verifier::bearer_token,
};
use halyard_cloud::sessions::{SessionError, Stored};
use halyard_domain::{authz::Grants, session::Session, user::AccountStatus};
use halyard_http::{
    ApiResult, MaybeValid, Problem, RequestInfo, Success, Throttle, Validate, Violations, openapi::Operation,
};
use halyard_store::users;
use http::{HeaderMap, header};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::{
    audited,
    error::AuthError,
    sign_in::{self, Tokens},
    state::AppState,
};

/// How often a refresh that met another one looks again.
const ATTEMPTS: usize = 4;

/// The body, if there is one.
#[derive(Deserialize, JsonSchema)]
pub struct Request {
    refresh_token: Option<String>,
}

impl Validate for Request {
    fn validate(&self, _: &mut Violations) {}
}

/// Rotates the refresh token: takes it from the body if it is there, else from the `Authorization` header.
pub async fn handler(
    State(state): State<AppState>,
    throttle: Throttle,
    info: RequestInfo,
    headers: HeaderMap,
    MaybeValid(body): MaybeValid<Request>,
) -> ApiResult<Success<Tokens>> {
    let given = body.and_then(|body| body.refresh_token);
    let token = match present(given.as_deref(), &headers) {
        Ok(token) => token,
        Err(failure) => {
            // Guesses are limited by the address alone.
            throttle.account("").await?;
            return Err(Problem::unauthorized(failure));
        }
    };
    throttle.account(&token.session_id.to_string()).await?;
    Ok(refresh(&state, &token, &info).await?)
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("refresh", "Exchange a refresh token for new tokens")
        .detail("The refresh token stands in the body or in the `Authorization` header. Each is good once: whoever sends one \
                 that was used before ends the session. A client that lost the answer may repeat the request within a short \
                 while.")
        .verifies(&["refreshToken"], true);
    sign_in::describe(op).example(json!({"refresh_token": "hr_..."}));
}

fn present(body: Option<&str>, headers: &HeaderMap) -> Result<RefreshToken, AuthnFailure> {
    if let Some(text) = body {
        return RefreshToken::parse(text);
    }
    let header = headers.get(header::AUTHORIZATION).ok_or(AuthnFailure::Missing)?;
    RefreshToken::parse(bearer_token(header.to_str().map_err(|_| AuthnFailure::Malformed)?)?)
}

async fn refresh(state: &AppState, token: &RefreshToken, info: &RequestInfo) -> Result<Success<Tokens>, AuthError> {
    for _ in 0..ATTEMPTS {
        let now = state.clock.now();
        let stored = live(state, token, now).await?;
        let pen = sign_in::pen(state).await?;
        match state.issuer.refresh.judge(token, &stored.record, now) {
            RefreshVerdict::Rotate(next) => match rotate(state, &stored, &next, now).await {
                // Another request used the same token first; the next look sees its work.
                Err(AuthError::Sessions(SessionError::Conflict)) => {}
                Err(error) => return Err(error),
                Ok(session) => return Ok(sign_in::answer(state, pen, &session, &next, None, now)),
            },
            RefreshVerdict::Repeat(present) => {
                return Ok(sign_in::answer(state, pen, &stored.record, &present, None, now));
            }
            RefreshVerdict::Replayed => {
                let ended = state.sessions.revoke(token.user_id, token.session_id, now).await?;
                let (session, counter) = (&token.session_id, token.counter);
                tracing::warn!(%session, user_id = token.user_id.0, counter, "a used refresh token came again");
                // Whoever comes with it once more ends nothing and fills nobody's log.
                if ended.is_some() {
                    let target = format!("session:{session}");
                    let detail = json!({"user_id": token.user_id, "counter": counter, "address": info.address()});
                    audited::keep(state, "session.replay", &target, detail, info).await;
                }
                return Err(AuthnFailure::Revoked.into());
            }
            RefreshVerdict::Unknown => return Err(AuthnFailure::Invalid.into()),
        }
    }
    Err(AuthError::Contended)
}

/// The session that the token names, if it is live, read from the truth and not from the cache.
async fn live(state: &AppState, token: &RefreshToken, now: DateTime<Utc>) -> Result<Stored, AuthError> {
    let (user, session) = (token.user_id, token.session_id);
    let (stored, epoch) = tokio::try_join!(state.sessions.get(user, session, now), state.sessions.epoch(user))?;
    let live = stored.filter(|stored| stored.record.is_live(now, epoch));
    live.ok_or_else(|| AuthnFailure::Revoked.into())
}

/// The session after its token was used: name, role and permissions are read anew.
async fn rotate(
    state: &AppState,
    stored: &Stored,
    next: &RefreshToken,
    now: DateTime<Utc>,
) -> Result<Session, AuthError> {
    let before = &stored.record;
    let user = users::by_id(&mut *state.pool.acquire().await?, before.user_id).await?;
    let user = user.filter(|user| user.status == AccountStatus::Active && user.auth_epoch <= before.auth_epoch);
    let Some(user) = user else {
        state.sessions.revoke(before.user_id, before.id, now).await?;
        return Err(AuthnFailure::Revoked.into());
    };
    let after = Session {
        permissions: Grants::of(user.role, &user.permissions),
        role: user.role,
        username: user.username,
        refresh_counter: next.counter,
        refresh_hash: next.hash(),
        last_used_at: now,
        ..before.clone()
    };
    Ok(state.sessions.rotate(stored, after, now).await?.record)
}
