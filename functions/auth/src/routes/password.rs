//! `POST /auth/password`

use axum::extract::State;
use halyard_auth::{AuthnFailure, Principal};
use halyard_domain::{
    MailId, SessionId,
    user::{AccountStatus, check_password},
};
use halyard_http::{
    ApiResult, RequestInfo, SessionCaller, Success, Valid, Validate, Violations, openapi::Operation, stepped_up,
    success,
};
use halyard_store::{
    audit,
    users::{self, PasswordChange, User},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::{
    error::AuthError,
    fields::{line, required, schema},
    new_password, reauthenticate,
    routes::{logout_all::AllEnded, sessions::live_sessions},
    session_change,
    state::AppState,
};

/// The body.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[schemars(with = "schema::Line<128>")]
    current_password: Option<String>,
    #[schemars(with = "schema::Password")]
    new_password: Option<String>,
}

impl Validate for Request {
    fn validate(&self, violations: &mut Violations) {
        // The present one may be older than today's rules.
        required(violations, "/current_password", self.current_password.as_deref(), |password| line(password, 128));
        required(violations, "/new_password", self.new_password.as_deref(), check_password);
    }
}

/// Changes the caller's password and ends every other session of theirs. The one that asks goes on: whoever knows the
/// password has just shown who they are.
pub async fn handler(
    State(state): State<AppState>,
    SessionCaller(caller, session): SessionCaller,
    info: RequestInfo,
    Valid(body): Valid<Request>,
) -> ApiResult<Success<AllEnded>> {
    let (current, new) = (body.current_password.unwrap_or_default(), body.new_password.unwrap_or_default());
    let user = sure_of(&state, &caller, session).await?;
    if user.two_factor_enabled {
        // The password is asked for once more; who has a second factor shows that again as well.
        stepped_up(&caller, state.clock.now())?;
    }
    reauthenticate::password(&state, &user, &current, "/current_password").await?;
    if current == new {
        return Err(AuthError::SamePassword.into());
    }
    new_password::check(&state, "/new_password", &new, &[&user.username, &user.email])?;
    let others = live_sessions(&state, user.id).await?.iter().filter(|other| other.id != session).count();
    let notice = state.mail_id(state.clock.now());
    let epoch = commit(&state, session, &user, (&new, notice), &info).await?;
    // From here on the password is the new one, whatever the session table says to it.
    let told = tell(&state, &caller, session, epoch).await;
    state.post_at_once(&[notice]).await;
    told.map_err(|error| AuthError::SessionsOwed(Box::new(error)))?;
    Ok(success(AllEnded { sessions_ended: others }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("changePassword", "Change the password")
        .detail("Ends every other session of the caller; the one that asks goes on.")
        .answers::<AllEnded>("The password is the new one.")
        .problem(401, "step_up_required", "the account has a second factor, and it was not shown within ten minutes")
        .problem(429, "too_many_failures", "no attempt counts for a while")
        .example(json!({"current_password": "correct horse battery", "new_password": "staple correct horse"}));
}

/// The caller's account, if their session is live by the truth: caches are not asked where a password is at stake.
pub(super) async fn sure_of(state: &AppState, caller: &Principal, session: SessionId) -> Result<User, AuthError> {
    let user = users::by_id(&mut *state.pool.acquire().await?, caller.user_id).await?;
    let user = user.filter(|user| user.status == AccountStatus::Active).ok_or(AuthnFailure::Revoked)?;
    let now = state.clock.now();
    let stored = state.sessions.get(caller.user_id, session, now).await?;
    let live = stored.is_some_and(|stored| stored.record.is_live(now, user.auth_epoch));
    if live { Ok(user) } else { Err(AuthnFailure::Revoked.into()) }
}

/// Writes the new hash, the higher epoch, the mail to its owner and the note of it, all or nothing; answers with the epoch.
async fn commit(
    state: &AppState,
    session: SessionId,
    user: &User,
    (new, notice): (&str, MailId),
    info: &RequestInfo,
) -> Result<i64, AuthError> {
    let hash = state.hasher.hash(new, &state.entropy).await?;
    let change = PasswordChange { user: user.id, old_hash: &user.password_hash, new_hash: &hash, notice };
    let entry = audit::Entry {
        actor: Some(user.id),
        action: "user.change_password",
        target: &format!("user:{}", user.id),
        detail: json!({"session": session, "address": info.address()}),
        request_id: Some(&info.request_id().to_string()),
    };
    let mut conn = state.pool.acquire().await?;
    let raised = users::change_password(&mut conn, &change, &entry, state.clock.database_override()).await?;
    // Somebody else was faster with the same old password.
    raised.ok_or(AuthError::WrongField("/current_password"))
}

/// Tells where sessions are verified that those of the old password have ended, the caller's excepted.
async fn tell(state: &AppState, caller: &Principal, session: SessionId, epoch: i64) -> Result<(), AuthError> {
    session_change::end_others(state, caller.user_id, session, epoch, |session, now| {
        session.authenticated_at = now;
    })
    .await
}
