//! `POST /auth/step-up`

use axum::extract::State;
use halyard_auth::AuthnFailure;
use halyard_domain::session::Session;
use halyard_http::{
    ApiResult, RequestInfo, SessionCaller, Success, Valid, Validate, Violations, openapi::Operation, success,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{login::BY_PASSWORD, password::sure_of};
use crate::{
    error::AuthError,
    fields::{line, required, schema},
    reauthenticate,
    second_factor::BY_OTP,
    session_change, sign_in,
    state::AppState,
};

/// The body.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[schemars(with = "schema::Line<128>")]
    password: Option<String>,
    /// Of the authenticator, or a recovery code; where the account has a second factor.
    #[schemars(with = "Option<schema::Line<64>>")]
    otp: Option<String>,
}

impl Validate for Request {
    fn validate(&self, violations: &mut Violations) {
        required(violations, "/password", self.password.as_deref(), |password| line(password, 128));
        violations.rule("/otp", self.otp.as_deref().map_or(Ok(()), |otp| line(otp, 64)));
    }
}

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SteppedUp")]
pub struct Stepped {
    access_token: String,
    token_type: &'static str,
    expires_in: i64,
}

/// Takes a fresh proof of who the caller is, within their session (RFC 9470): for ten minutes it may change what protects the
/// account. The new access token counts at once; the old one as soon as the gateway has forgotten what it knew of it.
pub async fn handler(
    State(state): State<AppState>,
    SessionCaller(caller, session): SessionCaller,
    info: RequestInfo,
    Valid(body): Valid<Request>,
) -> ApiResult<Success<Stepped>> {
    let user = sure_of(&state, &caller, session).await?;
    let pen = sign_in::pen(&state).await?;
    let (password, otp) = (body.password.unwrap_or_default(), body.otp.unwrap_or_default());
    reauthenticate::whole(&state, &user, &password, &otp, &info).await?;
    let methods: Vec<String> =
        [BY_PASSWORD].into_iter().chain(user.two_factor_enabled.then_some(BY_OTP)).map(str::to_owned).collect();
    let changed = session_change::apply(&state, user.id, session, |before, now| {
        let next = Session { authenticated_at: now, methods: methods.clone(), ..before.clone() };
        before.is_live(now, user.auth_epoch).then_some(next)
    });
    let session = changed.await?.ok_or_else(|| AuthError::from(AuthnFailure::Revoked))?;
    let (access_token, expires_in) = sign_in::access_token(&state, pen, &session, state.clock.now());
    Ok(success(Stepped { access_token, token_type: "Bearer", expires_in }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("stepUp", "Show once more who is calling")
        .detail("For ten minutes the session may then change what protects the account (RFC 9470).")
        .answers::<Stepped>("An access token that says so.")
        .problem(429, "too_many_failures", "no attempt counts for a while")
        .example(json!({"password": "correct horse battery", "otp": "123456"}));
}
