//! `POST /tasks/queues/{name}/resume`

use std::time::Duration;

use axum::{extract::State, response::IntoResponse};
use halyard_domain::Lane;
use halyard_http::{ApiResult, AppPath, Permitted, RequestInfo, SystemManage, openapi::Operation, success};
use halyard_jobs::doorbell::{self, TraceIds};
use halyard_store::{Connection, audit::Entry, lanes};

use super::{lane, pause::Response};
use crate::state::AppState;

/// How long the queue may take.
const QUEUE: Duration = Duration::from_secs(2);

/// Ends a lane's pause, or its drain, and rings for what it held.
pub async fn handler(
    State(state): State<AppState>,
    caller: Permitted<SystemManage>,
    AppPath(name): AppPath<String>,
    info: RequestInfo,
) -> ApiResult<impl IntoResponse> {
    let call = async |conn: &mut Connection, lane, entry: &Entry<'_>, now| {
        lanes::resume(conn, lane, entry, now).await?;
        let depths = lanes::depths(conn, now).await?;
        Ok(depths.into_iter().find(|depth| depth.lane == lane).map_or(0, |depth| depth.ready))
    };
    let (name, held) = lane::change(&state, &caller, &info, &name, "lane.resume", call).await?;
    let ids = TraceIds { request_id: Some(info.request_id().to_string()), traceparent: Some(info.traceparent()) };
    let rung =
        doorbell::ring(&*state.queue, &state.queues, name, Duration::ZERO, doorbell::at_least(held), &ids, QUEUE);
    if let Err(error) = rung.await {
        tracing::warn!(%error, lane = %name, "doorbells were not taken; beat will ring");
    }
    Ok(success(Response { name, paused: false }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("resumeLane", "Resume a lane")
        .detail("Ends a pause, and a drain.")
        .path::<Lane>()
        .answers::<Response>("The lane works again.");
}
