//! `POST /auth/email/verification`

use axum::extract::State;
use halyard_auth::AuthnFailure;
use halyard_http::{ApiResult, SessionCaller, Success, openapi::Operation, success};
use halyard_store::mails::{self, Asked};

use super::forgot::Told;
use crate::{error::AuthError, state::AppState};

/// Sends the caller once more the mail that verifies their address. An older one is good for nothing then.
pub async fn handler(
    State(state): State<AppState>,
    SessionCaller(caller, _): SessionCaller,
) -> ApiResult<Success<Told>> {
    let mail = state.mail_id(state.clock.now());
    let asked = {
        let mut conn = state.pool.acquire().await.map_err(AuthError::from)?;
        let now = state.clock.database_override();
        mails::ask_verification(&mut conn, caller.user_id, mail, now).await.map_err(AuthError::from)?
    };
    match asked {
        Asked::Owed => {}
        Asked::Verified => return Err(AuthError::AlreadyVerified.into()),
        Asked::TooOften => return Err(AuthError::MailboxFull.into()),
        Asked::NoAccount => return Err(AuthError::from(AuthnFailure::Revoked).into()),
    }
    state.post_at_once(&[mail]).await;
    Ok(success(Told { message: "a mail is on its way to your address" }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("sendVerification", "Send the mail that confirms the caller's address once more")
        .detail("An older one is good for nothing then.")
        .answers::<Told>("A mail is on its way.")
        .problem(409, "already_verified", "the address is confirmed already");
}
