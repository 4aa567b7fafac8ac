//! `DELETE /auth/api-keys/{id}`

use axum::extract::State;
use halyard_domain::ApiKeyId;
use halyard_http::{ApiResult, AppPath, RequestInfo, SteppedUp, Success, openapi::Operation, success};
use schemars::JsonSchema;
use serde::Serialize;

use super::end;
use crate::{error::AuthError, state::AppState};

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DeletedApiKey")]
pub struct Deleted {
    api_key_id: ApiKeyId,
}

/// Ends one of the caller's keys; 404 for one that has ended, and for one of somebody else. Only a confirmed end is a
/// success: else 503. It takes a fresh proof, as a new one does: a stolen token shall not stop what runs by a key either.
pub async fn handler(
    State(state): State<AppState>,
    SteppedUp(caller, _): SteppedUp,
    info: RequestInfo,
    AppPath(id): AppPath<ApiKeyId>,
) -> ApiResult<Success<Deleted>> {
    let ended = end(&state, id, caller.user_id, "asked for", &info).await?;
    ended.ok_or(AuthError::NotFound("API key"))?;
    Ok(success(Deleted { api_key_id: id }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("deleteApiKey", "End one of the caller's API keys").answers::<Deleted>("The key has ended.");
}
