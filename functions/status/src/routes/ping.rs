//! `GET /health/ping`: touches nothing.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use halyard_domain::NodeId;
use halyard_http::openapi::Operation;
use schemars::JsonSchema;
use serde::Serialize;

use crate::AppState;

/// Not enveloped.
#[derive(Serialize, JsonSchema)]
pub struct Response {
    status: &'static str,
    node_id: NodeId,
    timestamp: DateTime<Utc>,
}

pub async fn handler(State(state): State<AppState>) -> Json<Response> {
    Json(Response { status: "healthy", node_id: state.node.id.clone(), timestamp: state.clock.now() })
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("ping", "Whether anybody answers").detail("Touches nothing.").answers_bare::<Response>(
        200,
        "application/json",
        "It does.",
    );
}
