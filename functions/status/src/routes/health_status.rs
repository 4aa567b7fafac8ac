//! `GET /health/status`: is it well? In full only for callers with `metrics:read`; for the others, what the rest of the
//! shape would say is null.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use halyard_domain::authz::Permission;
use halyard_http::MaybeCaller;
use http::{StatusCode, header};
use serde_json::{Value, json};

use crate::{
    AppState,
    checks::{Background, Findings, examine},
};

pub async fn handler(State(state): State<AppState>, MaybeCaller(caller): MaybeCaller) -> Response {
    state.heartbeat().await;
    let insider = caller.is_some_and(|c| c.may(Permission::MetricsRead));
    // Boxed: three parts asked at once are a large future.
    let findings = Box::pin(examine(&state)).await;
    let background = findings.background(&state);
    let overall = overall(&findings, background);
    let body = Json(json!({
        "status": overall,
        "timestamp": state.clock.now(),
        "checks": {
            "database": database(&state, &findings, insider),
            "redis": redis(&findings, insider),
            "celery": celery(&findings, background, insider),
            "external_dependencies": { "queue_service": queue(&findings) },
        },
        "system": system(&state, insider),
        "alerts": alerts(&findings, background),
    }));
    if findings.database.is_none() {
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "5")], body).into_response();
    }
    body.into_response()
}

fn overall(findings: &Findings, background: Option<Background>) -> &'static str {
    match (&findings.database, &findings.redis, background) {
        (None, ..) => "unhealthy",
        (Some(_), Some(_), Some(Background::Up)) => "healthy",
        _ => "degraded",
    }
}

fn up(there: bool) -> &'static str {
    if there { "up" } else { "down" }
}

fn database(state: &AppState, findings: &Findings, insider: bool) -> Value {
    let found = findings.database.as_ref();
    json!({
        "status": up(found.is_some()),
        "response_time": found.map(|d| d.response_time),
        // Of this execution environment, which knows of no other's.
        "connection_pool": insider.then(|| json!({ "active": null, "idle": null, "total": state.pool_size })),
        "slow_queries": null,
    })
}

fn redis(findings: &Findings, insider: bool) -> Value {
    let found = findings.redis.as_ref();
    let info = found.map(|f| &f.info).filter(|_| insider);
    json!({
        "status": up(found.is_some()),
        "response_time": found.map(|f| f.response_time),
        "memory_usage": info.map(|i| megabytes(i.used_memory)),
        "connected_clients": info.map(|i| i.connected_clients),
        "hit_rate": info.and_then(|i| i.hit_rate),
    })
}

/// The original's name for workers and queues; its clients read it.
fn celery(findings: &Findings, background: Option<Background>, insider: bool) -> Value {
    let status = match background {
        Some(Background::Up) => "up",
        Some(Background::Stuck) => "degraded",
        Some(Background::Down) => "down",
        None => "unknown",
    };
    let found = findings.database.as_ref().filter(|_| insider);
    json!({
        "status": status,
        "active_workers": found.map(|d| d.workers),
        "pending_tasks": found.map(|d| d.depths.iter().map(|lane| lane.ready + lane.waiting).sum::<i64>()),
        "running_tasks": found.map(|d| d.overview.running_of_all),
        "failed_tasks_last_hour": null,
        "average_task_time": found.and_then(|d| d.overview.avg_seconds),
    })
}

fn queue(findings: &Findings) -> Value {
    json!({ "status": up(findings.queue.is_some()), "response_time": findings.queue })
}

fn system(state: &AppState, insider: bool) -> Value {
    let usage = if insider { state.node.usage() } else { halyard_platform::HostUsage::default() };
    json!({
        "uptime": state.uptime(),
        "cpu_usage": usage.cpu,
        "memory_usage": usage.memory,
        "disk_usage": usage.disk,
        "load_average": usage.load,
        "open_file_descriptors": usage.open_files,
    })
}

fn alerts(findings: &Findings, background: Option<Background>) -> Vec<Value> {
    let alert = |level, component, message| json!({ "level": level, "component": component, "message": message });
    let mut all = Vec::new();
    if findings.database.is_none() {
        all.push(alert("critical", "database", "the database does not answer"));
    }
    if findings.redis.is_none() {
        all.push(alert("warning", "redis", "Redis does not answer: limits are kept by each environment for itself"));
    }
    if findings.queue.is_none() {
        all.push(alert("warning", "queue_service", "the queue service does not answer: tasks are accepted and wait"));
    }
    if background == Some(Background::Stuck) {
        all.push(alert("warning", "celery", "tasks have been due for a minute and nobody works on their lane"));
    }
    all
}

fn megabytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one decimal of megabytes")]
    let n = bytes as f64 / 1_048_576.0;
    format!("{n:.1}MB")
}
