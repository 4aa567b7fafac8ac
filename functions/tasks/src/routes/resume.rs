//! `POST /tasks/queues/{name}/resume`

use std::time::Duration;

use axum::{extract::State, response::IntoResponse};
use halyard_domain::Lane;
use halyard_http::{ApiResult, AppPath, Permitted, RequestInfo, SystemManage, openapi::Operation, success};
use halyard_jobs::doorbell::{self, TraceIds};
use halyard_store::{audit, lanes};
use serde_json::json;

use super::{database, pause::Response};
use crate::{error::TaskError, state::AppState};

/// So many tasks are rung for at once; the outbox has the rest, and beat rings for them.
const BELLS: i64 = lanes::COUNT_CAP;
/// How long the queue may take.
const QUEUE: Duration = Duration::from_secs(2);

/// Ends a lane's pause, or its drain, and rings for what it held.
pub async fn handler(
    State(state): State<AppState>,
    caller: Permitted<SystemManage>,
    AppPath(name): AppPath<String>,
    info: RequestInfo,
) -> ApiResult<impl IntoResponse> {
    let name: Lane = name.parse().map_err(|_| TaskError::NoSuchLane)?;
    let now = state.clock.database_override();
    let request_id = info.request_id().to_string();
    let entry = audit::Entry {
        actor: Some(caller.user_id),
        action: "lane.resume",
        target: &format!("lane:{name}"),
        detail: json!({"address": info.address()}),
        request_id: Some(&request_id),
    };
    let held = database(&state, async |conn| {
        lanes::resume(conn, name, &entry, now).await?;
        let depths = lanes::depths(conn, now).await?;
        Ok(depths.into_iter().find(|lane| lane.lane == name).map_or(0, |lane| lane.ready))
    });
    let count = usize::try_from(held.await.map_err(TaskError::from)?.min(BELLS)).unwrap_or_default();
    let ids = TraceIds { request_id: Some(request_id.clone()), traceparent: Some(info.traceparent()) };
    let rung = doorbell::ring(&*state.queue, &state.queues, name, Duration::ZERO, count, &ids, QUEUE);
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
