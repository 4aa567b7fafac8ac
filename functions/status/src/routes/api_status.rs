//! `GET /api/status`.

use axum::extract::State;
use chrono::{DateTime, Utc};
use halyard_domain::NodeId;
use halyard_http::{Success, success};
use serde::Serialize;

use crate::AppState;

#[derive(Serialize)]
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
