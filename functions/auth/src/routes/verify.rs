//! `POST /auth/email/verify`

use axum::extract::State;
use halyard_auth::token::MailToken;
use halyard_http::{ApiResult, RequestInfo, Success, Valid, Validate, Violations, openapi::Operation, success};
use halyard_store::{audit, mails};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::reset::LONGEST_TOKEN;
use crate::{
    error::AuthError,
    fields::{line, required, schema},
    state::AppState,
};

/// The body.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[schemars(with = "schema::MailToken")]
    token: Option<String>,
}

impl Validate for Request {
    fn validate(&self, violations: &mut Violations) {
        required(violations, "/token", self.token.as_deref(), |token| line(token.trim(), LONGEST_TOKEN));
    }
}

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "VerifiedAddress")]
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

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("verifyEmail", "Confirm an e-mail address by the token of the mail that went there")
        .answers::<Verified>("The address is confirmed.")
        .problem(409, "email_taken", "another account verifies the address at this moment")
        .problem(
            422,
            "token_invalid",
            "the token is unknown, used, replaced by a newer one, or has expired, or another account has verified the address",
        )
        .problem(503, "unavailable", "the database is down")
        .example(json!({"token": "hm_dGhlIHRva2VuIG9mIGEgbWFpbA"}));
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
