//! `POST /tasks/queues/{name}/pause`

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
#[schemars(rename = "LanePause")]
pub(super) struct Response {
    pub name: Lane,
    pub paused: bool,
}

/// Pauses a lane: it accepts and holds, and what runs goes on.
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
        action: "lane.pause",
        target: &format!("lane:{name}"),
        detail: json!({"address": info.address()}),
        request_id: Some(&info.request_id().to_string()),
    };
    database(&state, async |conn| lanes::pause(conn, name, &entry, now).await).await.map_err(TaskError::from)?;
    Ok(success(Response { name, paused: true }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("pauseLane", "Pause a lane")
        .detail("It accepts and holds tasks; what runs goes on.")
        .path::<Lane>()
        .answers::<Response>("The lane is paused.");
}
