//! `GET /auth/profile`, `PUT /auth/profile`

mod change;

use axum::{extract::State, response::IntoResponse};
use chrono::{DateTime, Utc};
use halyard_auth::{AuthnFailure, Principal};
use halyard_domain::{UserId, api_calls};
use halyard_http::{
    ApiResult, Caller, SessionCaller, Valid,
    if_match::{self, Condition},
    openapi::Operation,
    rfc3339, stepped_up, success,
};
use halyard_store::{
    statistics,
    users::{self, AddressMails, ProfileChange, User},
};
use http::{HeaderMap, header};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{error::AuthError, state::AppState, view::UserView};
pub use change::Request;

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
struct Profile {
    user: UserView,
    /// Whatever clients keep here.
    #[schemars(with = "serde_json::Map<String, Value>")]
    preferences: Value,
    statistics: Statistics,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ProfileStatistics")]
struct Statistics {
    tasks_submitted: i64,
    tasks_completed: i64,
    tasks_failed: i64,
    /// Calls with a credential of theirs, this one included.
    total_api_calls: i64,
    /// The last sign-in or the last task handed in, whichever was later.
    #[schemars(with = "Option<DateTime<Utc>>")]
    last_activity: Option<String>,
}

/// The caller's profile.
pub async fn get(State(state): State<AppState>, Caller(caller): Caller) -> ApiResult<impl IntoResponse> {
    let user = read(&state, caller.user_id).await?;
    Ok(answer(&state, user).await?)
}

/// Changes the caller's profile; with `If-Match` only if nobody changed it since.
pub async fn put(
    State(state): State<AppState>,
    SessionCaller(caller, _): SessionCaller,
    headers: HeaderMap,
    Valid(body): Valid<Request>,
) -> ApiResult<impl IntoResponse> {
    let condition = if_match::read(&headers);
    let user = update(&state, &caller, &body, &condition).await?;
    Ok(answer(&state, user).await?)
}

/// For docs/openapi.json.
pub fn describe_get(op: &mut Operation<'_>) {
    op.named("getProfile", "The caller's profile")
        .answers::<Profile>("The profile.")
        .header("ETag", "Stands for what PUT can change: send it as `If-Match`.");
}

/// For docs/openapi.json.
pub fn describe_put(op: &mut Operation<'_>) {
    op.named("changeProfile", "Change the caller's profile")
        .detail(
            "What is absent stays; null clears. `preferences` are merged into those that are there (RFC 7396). Members \
                 that are not known are ignored.",
        )
        .reads_header("If-Match", "Change it only if it has this `ETag` still.", &json!({"type": "string"}))
        .answers::<Profile>("The profile after the change.")
        .header("ETag", "Stands for what PUT can change.")
        .problem(
            401,
            "step_up_required",
            "the account has a second factor, and it is too long since the caller showed who they are",
        )
        .problem(412, "precondition_failed", "somebody changed it since: read it again")
        .example(json!({"full_name": "Ada Lovelace", "preferences": {"theme": "dark", "old": null}}));
}

/// How often a change without `If-Match` that met another one is merged anew.
const ATTEMPTS: usize = 4;

async fn update(state: &AppState, caller: &Principal, body: &Request, condition: &Condition) -> ApiResult<User> {
    let now = state.clock.now();
    let mails = AddressMails { verification: state.mail_id(now), notice: state.mail_id(now) };
    for _ in 0..ATTEMPTS {
        let user = read(state, caller.user_id).await?;
        if !condition.holds(user.version) {
            return Err(AuthError::VersionMismatch.into());
        }
        let change = body.change(&user.preferences)?;
        if user.two_factor_enabled && change.email.as_ref().is_some_and(|email| *email != user.email) {
            // Who has the address can set a new password. The original's clients know no second factor, so none of them
            // is asked.
            stepped_up(caller, now)?;
        }
        // The merge was made from this version, so it may only replace this version.
        if let Some(changed) = write(state, &user, &change, mails).await? {
            if changed.email != user.email {
                state.post_at_once(&[mails.verification, mails.notice]).await;
            }
            return Ok(changed);
        }
    }
    Err(AuthError::Contended.into())
}

async fn write(
    state: &AppState,
    user: &User,
    change: &ProfileChange,
    mails: AddressMails,
) -> Result<Option<User>, AuthError> {
    let mut conn = state.pool.acquire().await?;
    let now = state.clock.database_override();
    Ok(users::update_profile(&mut conn, user.id, change, Some(user.version), mails, now).await?)
}

async fn read(state: &AppState, id: UserId) -> Result<User, AuthError> {
    let user = users::by_id(&mut *state.pool.acquire().await?, id).await?;
    user.ok_or_else(|| AuthnFailure::Revoked.into())
}

async fn answer(state: &AppState, user: User) -> Result<impl IntoResponse + use<>, AuthError> {
    let done = statistics::of_user(&mut *state.pool.acquire().await?, user.id).await?;
    let live = api_calls::live(done.calls_folded, state.clock.now());
    let unfolded = state.redis.calls_of(user.id, live).await.unwrap_or_else(|error| {
        // What the last few minutes brought is not worth an error.
        tracing::debug!(%error, "calls that are not folded yet are left out");
        0
    });
    let profile = Profile {
        user: UserView::from(&user),
        statistics: Statistics {
            tasks_submitted: done.counts.submitted,
            tasks_completed: done.counts.completed,
            tasks_failed: done.counts.failed,
            total_api_calls: done.calls + unfolded,
            last_activity: user.last_login.max(done.last_submitted_at).map(rfc3339),
        },
        preferences: user.preferences,
    };
    Ok(([(header::ETAG, if_match::tag(user.version))], success(profile)))
}
