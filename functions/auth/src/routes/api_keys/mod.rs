//! The caller's API keys: `/auth/api-keys`.

mod create;
mod delete;
mod list;

use chrono::{DateTime, Utc};
pub use create::{describe as describe_create, handler as create};
pub use delete::{describe as describe_delete, handler as delete};
use halyard_domain::{ApiKeyId, UserId, api_key::ApiKey};
use halyard_http::{RequestInfo, rfc3339};
use halyard_store::audit;
pub use list::{describe as describe_list, handler as list};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{error::AuthError, state::AppState};

/// A key in its owner's list: everything but itself.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ApiKey")]
pub struct View {
    id: ApiKeyId,
    name: String,
    permissions: Vec<String>,
    #[schemars(with = "DateTime<Utc>")]
    created_at: String,
    #[schemars(with = "DateTime<Utc>")]
    expires_at: String,
    #[schemars(with = "Option<DateTime<Utc>>")]
    last_used_at: Option<String>,
}

impl View {
    fn new(key: &ApiKey, last_used: Option<DateTime<Utc>>) -> Self {
        Self {
            id: key.id,
            name: key.name.clone(),
            permissions: key.permissions().0,
            created_at: rfc3339(key.created_at),
            expires_at: rfc3339(key.expires_at),
            last_used_at: last_used.map(rfc3339),
        }
    }
}

/// The user's keys that neither age nor deletion nor a higher epoch has ended.
async fn live(state: &AppState, user: UserId) -> Result<Vec<ApiKey>, AuthError> {
    let (now, keys) = (state.clock.now(), state.sessions.api_keys());
    let (mut found, epoch) = tokio::try_join!(keys.list(user, now), keys.epoch(user))?;
    found.retain(|key| key.is_live(now, epoch));
    Ok(found)
}

/// Ends a key and keeps for the audit that it has.
async fn end(
    state: &AppState,
    id: ApiKeyId,
    user: UserId,
    reason: &str,
    info: &RequestInfo,
) -> Result<Option<ApiKey>, AuthError> {
    let ended = state.sessions.api_keys().revoke(user, id, state.clock.now()).await?;
    if let Some(key) = &ended {
        let detail = json!({"name": key.name, "reason": reason, "address": info.address()});
        // That it has ended counts; the log has it when the database cannot keep it.
        if let Err(error) = record(state, "api_key.delete", key, detail, info).await {
            tracing::error!(%error, key = %id, user_id = user.0, "the end of an API key was not kept for the audit");
        }
    }
    Ok(ended)
}

async fn record(
    state: &AppState,
    action: &str,
    key: &ApiKey,
    detail: Value,
    info: &RequestInfo,
) -> Result<(), AuthError> {
    let (target, request_id) = (format!("api_key:{}", key.id), info.request_id().to_string());
    let actor = Some(key.user_id);
    let entry = audit::Entry { actor, action, target: &target, detail, request_id: Some(&request_id) };
    let now = state.clock.database_override();
    Ok(audit::append(&mut *state.pool.acquire().await?, &entry, now).await?)
}
