//! `POST /tasks/queues/{name}/pause`

use axum::{extract::State, response::IntoResponse};
use halyard_domain::Lane;
use halyard_http::{ApiResult, AppPath, Permitted, SystemManage, success};
use halyard_store::lanes;
use serde::Serialize;

use super::database;
use crate::{error::TaskError, state::AppState};

/// `data`.
#[derive(Debug, Serialize)]
pub(super) struct Response {
    pub name: Lane,
    pub paused: bool,
}

/// Pauses a lane: it accepts and holds, and what runs goes on.
pub async fn handler(
    State(state): State<AppState>,
    caller: Permitted<SystemManage>,
    AppPath(name): AppPath<String>,
) -> ApiResult<impl IntoResponse> {
    let name: Lane = name.parse().map_err(|_| TaskError::NoSuchLane)?;
    let now = state.clock.database_override();
    let by = Some(caller.user_id);
    database(&state, async |conn| lanes::pause(conn, name, by, now).await).await.map_err(TaskError::from)?;
    Ok(success(Response { name, paused: true }))
}
