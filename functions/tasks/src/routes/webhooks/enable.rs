//! `POST /tasks/webhooks/endpoints/enable`

use axum::{extract::State, response::IntoResponse};
use halyard_domain::{UserId, authz::Permission, outbound::LONGEST_URL};
use halyard_http::{ApiResult, Caller, Valid, Validate, Violations, openapi::Operation, success};
use halyard_store::webhooks;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{error::TaskError, routes::database, state::AppState};

/// The body.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EnableWebhookEndpoint")]
pub struct Request {
    /// As the list of endpoints has it.
    #[schemars(length(max = LONGEST_URL))]
    url: String,
    /// Whose; the caller's, unless somebody with `tasks:manage_all` says otherwise.
    user_id: Option<i64>,
}

impl Validate for Request {
    fn validate(&self, violations: &mut Violations) {
        let fits = self.url.len() <= LONGEST_URL && !self.url.contains('\0');
        violations.check(fits, "/url", "invalid_format", format!("must be a URL of {LONGEST_URL} characters at most"));
    }
}

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
struct Response {
    url: String,
    enabled: bool,
}

/// Lets webhooks go to a URL again.
pub async fn handler(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Valid(body): Valid<Request>,
) -> ApiResult<impl IntoResponse> {
    let user = body.user_id.map_or(caller.user_id, UserId);
    if user != caller.user_id && !caller.may(Permission::TasksManageAll) {
        return Err(TaskError::NoSuchEndpoint.into());
    }
    let done = database(&state, async |conn| webhooks::enable(conn, user, &body.url).await).await;
    if !done.map_err(TaskError::from)? {
        return Err(TaskError::NoSuchEndpoint.into());
    }
    Ok(success(Response { url: body.url, enabled: true }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("enableWebhookEndpoint", "Let webhooks go to a URL again")
        .detail("What was skipped meanwhile is not sent by itself: replay it.")
        .example(json!({"url": "https://hooks.example/halyard"}))
        .answers::<Response>("It is enabled.")
        .problem(404, "not_found", "no webhook of the user went there");
}
