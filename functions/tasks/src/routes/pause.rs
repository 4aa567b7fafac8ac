//! `POST /tasks/queues/{name}/pause`

use axum::{extract::State, response::IntoResponse};
use halyard_domain::Lane;
use halyard_http::{ApiResult, AppPath, Permitted, RequestInfo, SystemManage, openapi::Operation, success};
use halyard_store::{Connection, audit::Entry, lanes};
use schemars::JsonSchema;
use serde::Serialize;

use super::lane;
use crate::state::AppState;

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
    let call = async |conn: &mut Connection, lane, entry: &Entry<'_>, now| lanes::pause(conn, lane, entry, now).await;
    let (name, ()) = lane::change(&state, &caller, &info, &name, "lane.pause", call).await?;
    Ok(success(Response { name, paused: true }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("pauseLane", "Pause a lane")
        .detail("It accepts and holds tasks; what runs goes on.")
        .path::<Lane>()
        .answers::<Response>("The lane is paused.");
}
