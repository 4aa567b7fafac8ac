//! `GET /tasks/queues`

use axum::{extract::State, response::IntoResponse};
use halyard_domain::Lane;
use halyard_http::{ApiResult, Permitted, SystemManage, openapi::Operation, success};
use halyard_store::lanes;
use schemars::JsonSchema;
use serde::Serialize;

use super::database;
use crate::{error::TaskError, state::AppState, view};

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
struct Response {
    queues: Vec<Queue>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LaneDepth")]
struct Queue {
    name: Lane,
    paused: bool,
    /// It takes nothing new from clients, and runs what it has.
    draining: bool,
    /// Tasks that wait, whether they could start now or not. Counted up to 10,000.
    depth: i64,
    /// Those of them that could start now.
    ready: i64,
    /// Tasks that run.
    in_flight: i64,
    /// For how long the first of those that could start has been due, in seconds.
    oldest_age: Option<f64>,
}

/// How full the lanes are.
pub async fn handler(State(state): State<AppState>, _: Permitted<SystemManage>) -> ApiResult<impl IntoResponse> {
    let now = state.clock.database_override();
    let depths = database(&state, async |conn| lanes::depths(conn, now).await).await.map_err(TaskError::from)?;
    let now = state.clock.now();
    let queues = depths.into_iter().map(|lane| Queue {
        name: lane.lane,
        paused: lane.paused,
        draining: lane.draining,
        depth: lane.ready + lane.waiting,
        ready: lane.ready,
        in_flight: lane.running,
        oldest_age: lane.oldest_ready_at.map(|at| view::seconds(at, now)),
    });
    Ok(success(Response { queues: queues.collect() }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("listLanes", "How full the lanes are")
        .answers::<Response>("Every lane.")
        .leads_to("pauseLane", "name", "/data/queues/0/name")
        .leads_to("resumeLane", "name", "/data/queues/0/name");
}
