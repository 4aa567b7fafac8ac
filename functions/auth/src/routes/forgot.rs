//! `POST /auth/password/forgot`

use axum::extract::State;
use halyard_domain::user::check_email;
use halyard_http::{
    ApiResult, RequestInfo, Success, Throttle, Valid, Validate, Violations, openapi::Operation, success,
};
use halyard_store::{audit, mails};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{
    error::AuthError,
    fields::{required, schema},
    state::AppState,
};

/// The body.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[schemars(with = "schema::Email")]
    email: Option<String>,
}

impl Validate for Request {
    fn validate(&self, violations: &mut Violations) {
        required(violations, "/email", self.email.as_deref(), check_email);
    }
}

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Told {
    pub(super) message: &'static str,
}

const MESSAGE: &str = "if there is an account with this address, a mail is on its way to it";

/// Sends a mail with which a new password can be set. An address with an account and one without are told the same, after
/// the same statements and the same time; neither is told that its mailbox was written to too often.
pub async fn handler(
    State(state): State<AppState>,
    throttle: Throttle,
    info: RequestInfo,
    Valid(body): Valid<Request>,
) -> ApiResult<Success<Told>> {
    let end = Instant::now() + state.forgot.answer_after;
    let email = body.email.unwrap_or_default();
    throttle.account(&email).await?;
    let mail = state.mail_id(state.clock.now());
    let asked = ask(&state, &email, mail, &info).await;
    if state.forgot.answer_after.is_zero() {
        state.post_at_once(&[mail]).await;
    } else {
        // Where SES is slow beat sends: only a mail that is owed is slow.
        let _ = timeout_at(end, state.post_at_once(&[mail])).await;
        sleep_until(end).await;
    }
    asked?;
    Ok(success(Told { message: MESSAGE }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("forgotPassword", "Send a mail with which a new password can be set")
        .detail("An address with an account and one without get the same answer after the same time.")
        .answers::<Told>("A mail is on its way, if there is such an account.")
        .problem(503, "unavailable", "the database is down")
        .example(json!({"email": "ada@example.com"}));
}

async fn ask(state: &AppState, email: &str, mail: halyard_domain::MailId, info: &RequestInfo) -> Result<(), AuthError> {
    let entry = audit::Entry {
        actor: None,
        action: "user.forgot_password",
        target: "user",
        detail: json!({"address": info.address()}),
        request_id: Some(&info.request_id().to_string()),
    };
    let mut conn = state.pool.acquire().await?;
    Ok(mails::ask_reset(&mut conn, email, mail, &entry, state.clock.database_override()).await?)
}
