//! `POST /auth/email/verify`

use axum::extract::State;
use halyard_auth::token::MailToken;
use halyard_http::{ApiResult, RequestInfo, Success, Valid, Validate, Violations, success};
use halyard_store::{audit, mails};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::reset::LONGEST_TOKEN;
use crate::{
    error::AuthError,
    fields::{line, required},
    state::AppState,
};

/// The body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    token: Option<String>,
}

impl Validate for Request {
    fn validate(&self, violations: &mut Violations) {
        required(violations, "/token", self.token.as_deref(), |token| line(token.trim(), LONGEST_TOKEN));
    }
}

/// `data`.
#[derive(Debug, Serialize)]
pub struct Verified {
    email_verified: bool,
}

/// Notes that an address is its account's, by the token of the mail that went there.
pub async fn handler(
    State(state): State<AppState>,
    info: RequestInfo,
    Valid(body): Valid<Request>,
) -> ApiResult<Success<Verified>> {
    verify(&state, &body.token.unwrap_or_default(), &info).await?;
    Ok(success(Verified { email_verified: true }))
}

async fn verify(state: &AppState, token: &str, info: &RequestInfo) -> Result<(), AuthError> {
    let token = MailToken::parse(token).ok_or(AuthError::BadMailToken)?;
    let entry = audit::Entry {
        actor: None,
        action: "user.verify_email",
        target: "user",
        detail: json!({"address": info.address()}),
        request_id: Some(&info.request_id().to_string()),
    };
    let mut conn = state.pool.acquire().await?;
    let verified = mails::verify_email(&mut conn, &token.hash(), &entry, state.clock.database_override()).await?;
    verified.map(drop).ok_or(AuthError::BadMailToken)
}
