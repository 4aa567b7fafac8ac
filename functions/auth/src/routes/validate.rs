//! `GET /auth/validate`: for NGINX `auth_request` and whoever else asks who a token stands for.
//!
//! No authorizer stands in front of it; the same verifier answers. 200 with headers, 401, or 503: never anything else.
//! `auth_request` shows nobody the body of a 401, so the problem's code stands in a header as well.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use halyard_auth::{AuthnError, AuthnFailure, Credential, Principal};
use halyard_domain::user::Role;
use halyard_http::{Problem, openapi::Operation, rfc3339, success};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{error::AuthError, state::AppState};

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
struct Validated {
    valid: bool,
    user_id: i64,
    username: String,
    #[schemars(with = "Role")]
    role: &'static str,
    permissions: Vec<String>,
    session_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key_id: Option<String>,
    #[schemars(with = "DateTime<Utc>")]
    expires_at: String,
}

/// Why the answer is 401: the problem's `error`.
const ERROR: HeaderName = HeaderName::from_static("x-auth-error");

/// Says who the token in the `Authorization` header stands for.
pub async fn handler(State(state): State<AppState>, headers: HeaderMap) -> Response {
    match verify(&state, &headers).await {
        Ok(principal) => accepted(principal).into_response(),
        Err(AuthError::Token(AuthnError::Failure(failure))) => {
            ([(ERROR, failure.code())], Problem::unauthorized(failure)).into_response()
        }
        Err(error) => Problem::from(error).into_response(),
    }
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("validate", "Say who a token stands for")
        .detail(
            "For NGINX `auth_request` and whoever else asks. `X-Auth-Error` repeats a 401 problem's `error`, since \
                 `auth_request` shows nobody the body.",
        )
        .verifies(&["bearer"], false)
        .answers::<Validated>("The token is good.")
        .header("X-Auth-User-Id", "The user's number.")
        .header("X-Auth-Username", "The user's name.")
        .header("X-Auth-Role", "The user's role.")
        .header("X-Auth-Permissions", "What the user may do, separated by spaces.")
        .header("X-Auth-Session-Id", "The session; empty for an API key.")
        .header("X-Auth-Api-Key-Id", "The API key, if it is one.");
}

fn accepted(principal: Principal) -> impl IntoResponse {
    let headers = identity_headers(&principal);
    let data = Validated {
        session_id: principal.session_id().map(|id| id.to_string()),
        api_key_id: api_key_id(&principal),
        valid: true,
        user_id: principal.user_id.0,
        username: principal.username,
        role: principal.role.as_str(),
        permissions: principal.permissions.0,
        expires_at: rfc3339(principal.expires_at),
    };
    (headers, success(data))
}

async fn verify(state: &AppState, headers: &HeaderMap) -> Result<Principal, AuthError> {
    let header = headers.get(header::AUTHORIZATION).ok_or(AuthnFailure::Missing)?;
    let header = header.to_str().map_err(|_| AuthnFailure::Malformed)?;
    Ok(state.verifier.verify_bearer(header).await?)
}

fn identity_headers(principal: &Principal) -> HeaderMap {
    let mut values = vec![
        ("x-auth-user-id", principal.user_id.to_string()),
        ("x-auth-username", principal.username.clone()),
        ("x-auth-role", principal.role.as_str().to_owned()),
        ("x-auth-permissions", principal.permissions.0.join(" ")),
        ("x-auth-session-id", principal.session_id().map(|id| id.to_string()).unwrap_or_default()),
    ];
    if let Some(id) = api_key_id(principal) {
        values.push(("x-auth-api-key-id", id));
    }
    // Names and permissions are plain ASCII by the rules they were stored under.
    let entries = values
        .into_iter()
        .filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?)));
    entries.collect()
}

fn api_key_id(principal: &Principal) -> Option<String> {
    match &principal.credential {
        Credential::ApiKey { id } => Some(id.to_string()),
        Credential::Session { .. } => None,
    }
}
