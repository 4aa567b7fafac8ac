//! `POST /tasks/queues/{name}/drain`

use axum::{extract::State, response::IntoResponse};
use halyard_domain::Lane;
use halyard_http::{ApiResult, AppPath, Permitted, RequestInfo, SystemManage, openapi::Operation, success};
use halyard_store::{audit, lanes};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::database;
use crate::{error::TaskError, state::AppState};

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LaneDrain")]
struct Response {
    name: Lane,
    draining: bool,
}

/// Drains a lane: it takes nothing new from clients, and runs what it has.
pub async fn handler(
    State(state): State<AppState>,
    caller: Permitted<SystemManage>,
    AppPath(name): AppPath<String>,
    info: RequestInfo,
) -> ApiResult<impl IntoResponse> {
    let name: Lane = name.parse().map_err(|_| TaskError::NoSuchLane)?;
    let now = state.clock.database_override();
    let entry = audit::Entry {
        actor: Some(caller.user_id),
        action: "lane.drain",
        target: &format!("lane:{name}"),
        detail: json!({"address": info.address()}),
        request_id: Some(&info.request_id().to_string()),
    };
    database(&state, async |conn| lanes::drain(conn, name, &entry, now).await).await.map_err(TaskError::from)?;
    Ok(success(Response { name, draining: true }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("drainLane", "Drain a lane")
        .detail(
            "It runs what it has; what clients submit to it is answered 409 `lane_draining`. Resuming it ends that.",
        )
        .path::<Lane>()
        .answers::<Response>("The lane is being drained.");
}
