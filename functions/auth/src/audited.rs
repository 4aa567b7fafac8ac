//! What the platform itself keeps for the audit, beside an answer and not in the statement of a change.

use halyard_http::RequestInfo;
use halyard_store::audit;
use serde_json::Value;

use crate::state::AppState;

/// Keeps an entry. What it tells of has happened all the same, so a database that cannot keep it changes no answer; the log
/// has it then.
pub async fn keep(state: &AppState, action: &'static str, target: &str, detail: Value, info: &RequestInfo) {
    let request_id = info.request_id().to_string();
    let entry = audit::Entry { actor: None, action, target, detail, request_id: Some(&request_id) };
    let now = state.clock.database_override();
    let kept = async { audit::append(&mut *state.pool.acquire().await?, &entry, now).await };
    if let Err(error) = kept.await {
        tracing::error!(%error, target, action, "not kept for the audit");
    }
}
