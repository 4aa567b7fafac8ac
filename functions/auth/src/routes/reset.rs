//! `POST /auth/password/reset`

use axum::extract::State;
use halyard_auth::token::MailToken;
use halyard_domain::{MailId, UserId, user::check_password};
use halyard_http::{ApiResult, RequestInfo, Success, Valid, Validate, Violations, openapi::Operation, success};
use halyard_store::{
    audit,
    mails::{self, Reset},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::forgot::Told;
use crate::{
    epochs,
    error::AuthError,
    fields::{line, required, schema},
    new_password,
    state::AppState,
};

/// The longest text that is looked at as a token: a token, and what may have been copied along with it.
pub(super) const LONGEST_TOKEN: usize = 200;

/// The body.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[schemars(with = "schema::MailToken")]
    token: Option<String>,
    #[schemars(with = "schema::Password")]
    new_password: Option<String>,
}

impl Validate for Request {
    fn validate(&self, violations: &mut Violations) {
        required(violations, "/token", self.token.as_deref(), |token| line(token.trim(), LONGEST_TOKEN));
        required(violations, "/new_password", self.new_password.as_deref(), check_password);
    }
}

/// Sets a new password by the token of a mail, and ends every session. It opens none: who has a second factor is still asked
/// for it, and who reads the mailbox has to know the new password too.
pub async fn handler(
    State(state): State<AppState>,
    info: RequestInfo,
    Valid(body): Valid<Request>,
) -> ApiResult<Success<Told>> {
    let token = MailToken::parse(&body.token.unwrap_or_default()).ok_or(AuthError::BadMailToken)?;
    let notice = state.mail_id(state.clock.now());
    let (user, epoch) = commit(&state, &token, &body.new_password.unwrap_or_default(), notice, &info).await?;
    // From here on the password is the new one, whatever the session table says to it.
    let told = epochs::publish(&state, user, epoch).await;
    state.post_at_once(&[notice]).await;
    told.map_err(|error| AuthError::SessionsOwed(Box::new(error)))?;
    Ok(success(Told { message: "the password is set and every session has ended; sign in with it" }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("resetPassword", "Set a new password by the token of a mail")
        .detail("Every session ends, and none is opened.")
        .answers::<Told>("The password is set.")
        .problem(422, "token_invalid", "the token is unknown, used, replaced by a newer one, or has expired")
        .problem(503, "unavailable", "something that the answer depends on is down")
        .example(json!({"token": "hm_dGhlIHRva2VuIG9mIGEgbWFpbA", "new_password": "correct horse battery"}));
}

/// Uses the token up for the new password; answers with the user and the new epoch.
async fn commit(
    state: &AppState,
    token: &MailToken,
    new: &str,
    notice: MailId,
    info: &RequestInfo,
) -> Result<(UserId, i64), AuthError> {
    let now = state.clock.database_override();
    let token_hash = token.hash();
    // Whoever has no good token is not worth the hash of a password.
    let owner = mails::owner(&mut *state.pool.acquire().await?, &token_hash, now).await?;
    let owner = owner.ok_or(AuthError::BadMailToken)?;
    new_password::check(state, "/new_password", new, &[&owner.username, &owner.email])?;
    let hash = state.hasher.hash(new, &state.entropy).await?;
    let reset = Reset { token_hash: &token_hash, new_hash: &hash, notice };
    let entry = audit::Entry {
        actor: None,
        action: "user.reset_password",
        target: "user",
        detail: json!({"address": info.address()}),
        request_id: Some(&info.request_id().to_string()),
    };
    let mut conn = state.pool.acquire().await?;
    // Somebody else may have been faster with the same token.
    mails::reset_password(&mut conn, &reset, &entry, now).await?.ok_or(AuthError::BadMailToken)
}
