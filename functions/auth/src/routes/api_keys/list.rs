//! `GET /auth/api-keys`

use axum::extract::State;
use halyard_http::{ApiResult, Items, SessionCaller, Success, openapi::Operation, success};

use super::{View, live};
use crate::{error::AuthError, state::AppState};

/// Lists the caller's live keys, oldest first. There are few: one page.
pub async fn handler(
    State(state): State<AppState>,
    SessionCaller(caller, _): SessionCaller,
) -> ApiResult<Success<Items<View>>> {
    let keys = live(&state, caller.user_id).await?;
    let used = state.sessions.api_keys().last_uses(&keys).await.map_err(AuthError::from)?;
    let items = keys.iter().zip(used).map(|(key, used)| View::new(key, used)).collect();
    Ok(success(Items { items, next_cursor: None }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("listApiKeys", "The caller's API keys")
        .detail("Live ones only, the oldest first. There are few: one page.")
        .answers::<Items<View>>("The keys, but for what is secret.");
}
