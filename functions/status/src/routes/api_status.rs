//! `GET /api/status`.

use axum::extract::State;
use chrono::{DateTime, Utc};
use halyard_domain::NodeId;
use halyard_http::{Success, openapi::Operation, success};
use schemars::JsonSchema;
use serde::Serialize;

use crate::AppState;

#[derive(Serialize, JsonSchema)]
pub struct Response {
    service: &'static str,
    status: &'static str,
    version: String,
    environment: String,
    node_id: NodeId,
    /// Seconds since the process began.
    uptime: i64,
    timestamp: DateTime<Utc>,
}

pub async fn handler(State(state): State<AppState>) -> Success<Response> {
    state.heartbeat().await;
    success(Response {
        service: "halyard",
        status: "running",
        version: state.version.clone(),
        environment: state.environment.as_str().to_owned(),
        node_id: state.node.id.clone(),
        uptime: state.uptime(),
        timestamp: state.clock.now(),
    })
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("getService", "Which service answers here").answers::<Response>("The service.");
}
