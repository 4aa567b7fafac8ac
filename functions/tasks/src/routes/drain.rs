//! `POST /tasks/queues/{name}/drain`

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
    let call = async |conn: &mut Connection, lane, entry: &Entry<'_>, now| lanes::drain(conn, lane, entry, now).await;
    let (name, ()) = lane::change(&state, &caller, &info, &name, "lane.drain", call).await?;
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
