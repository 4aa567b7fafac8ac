//! `GET /health/nodes`.

use axum::extract::State;
use chrono::{DateTime, Utc};
use halyard_domain::NodeId;
use halyard_http::{ApiResult, Success, openapi::Operation, success};
use halyard_store::nodes::{self, Node};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{AppState, state::store_problem};

#[derive(Serialize, JsonSchema)]
pub struct Response {
    total_nodes: usize,
    active_nodes: usize,
    inactive_nodes: usize,
    nodes: Vec<NodeView>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Node")]
struct NodeView {
    node_id: NodeId,
    hostname: String,
    role: String,
    ip_address: Option<String>,
    port: Option<i32>,
    #[schemars(extend("enum" = ["active", "inactive"]))]
    status: &'static str,
    last_heartbeat: DateTime<Utc>,
    /// Mean of the last minute, milliseconds.
    response_time: Option<f64>,
    /// Per cent of the last minute's answers that were no server faults; 0 when the node is not active.
    health_score: Option<f64>,
    metrics: Metrics,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NodeMetrics")]
struct Metrics {
    cpu_usage: Option<f64>,
    memory_usage: Option<f64>,
    requests_per_minute: Option<f64>,
    error_rate: Option<f64>,
}

pub async fn handler(State(state): State<AppState>) -> ApiResult<Success<Response>> {
    state.heartbeat().await;
    let mut conn = state.pool.acquire().await.map_err(|e| store_problem(&e))?;
    let all = nodes::list(&mut conn, state.clock.database_override()).await.map_err(|e| store_problem(&e))?;
    let active = all.iter().filter(|n| n.active).count();
    Ok(success(Response {
        total_nodes: all.len(),
        active_nodes: active,
        inactive_nodes: all.len() - active,
        nodes: all.into_iter().map(view).collect(),
    }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("listNodes", "The hosts that answer and work")
        .detail("A node is active when it was seen within the last minute.")
        .answers::<Response>("Every node that was seen lately.")
        .problem(503, "unavailable", "the database is down");
}

fn view(node: Node) -> NodeView {
    let score = node.error_rate.map(|rate| ((1.0 - rate) * 1_000.0).round() / 10.0);
    NodeView {
        node_id: node.node_id,
        hostname: node.hostname,
        role: node.role,
        ip_address: node.ip_address,
        port: node.port,
        status: if node.active { "active" } else { "inactive" },
        last_heartbeat: node.last_seen,
        response_time: node.response_time_ms,
        health_score: if node.active { score } else { Some(0.0) },
        metrics: Metrics {
            cpu_usage: node.cpu_usage,
            memory_usage: node.memory_usage,
            requests_per_minute: node.requests_per_minute,
            error_rate: node.error_rate,
        },
    }
}
