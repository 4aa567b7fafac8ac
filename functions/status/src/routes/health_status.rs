//! `GET /health/status`: is it well? In full only for callers with `metrics:read`; for the others, what the rest of the
//! shape would say is null.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use halyard_domain::authz::Permission;
use halyard_http::{MaybeCaller, openapi::Operation};
use http::{StatusCode, header};

use crate::{
    AppState,
    checks::{Background, Findings, examine},
    report::{
        self, Alert, Checks, Connections, Dependencies, Level, Overall, PartStatus, QueueService, Report, System,
    },
};

pub async fn handler(State(state): State<AppState>, MaybeCaller(caller): MaybeCaller) -> Response {
    state.heartbeat().await;
    let insider = caller.is_some_and(|c| c.may(Permission::MetricsRead));
    // Boxed: three parts asked at once are a large future.
    let findings = Box::pin(examine(&state)).await;
    let background = findings.background(&state);
    let body = Json(Report {
        status: overall(&findings, background),
        timestamp: state.clock.now(),
        checks: Checks {
            database: database(&state, &findings, insider),
            redis: redis(&findings, insider),
            celery: celery(&findings, background, insider),
            external_dependencies: Dependencies { queue_service: queue(&findings) },
        },
        system: system(&state, insider),
        alerts: alerts(&findings, background),
    });
    if findings.database.is_none() {
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "5")], body).into_response();
    }
    body.into_response()
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("getHealth", "Whether everything is well")
        .detail(
            "In full only for callers with the permission `metrics:read`: for others, what the rest would say is null.",
        )
        .answers_bare::<Report>(200, "application/json", "It works, perhaps without a lesser part.")
        .answers_bare::<Report>(503, "application/json", "The database is down.");
}

fn overall(findings: &Findings, background: Option<Background>) -> Overall {
    match (&findings.database, &findings.redis, background) {
        (None, ..) => Overall::Unhealthy,
        (Some(_), Some(_), Some(Background::Up)) => Overall::Healthy,
        _ => Overall::Degraded,
    }
}

fn up(there: bool) -> PartStatus {
    if there { PartStatus::Up } else { PartStatus::Down }
}

fn database(state: &AppState, findings: &Findings, insider: bool) -> report::Database {
    let found = findings.database.as_ref();
    report::Database {
        status: up(found.is_some()),
        response_time: found.map(|d| d.response_time),
        connection_pool: insider.then_some(Connections { active: None, idle: None, total: state.pool_size }),
        slow_queries: None,
    }
}

fn redis(findings: &Findings, insider: bool) -> report::Redis {
    let found = findings.redis.as_ref();
    let info = found.map(|f| &f.info).filter(|_| insider);
    report::Redis {
        status: up(found.is_some()),
        response_time: found.map(|f| f.response_time),
        memory_usage: info.map(|i| megabytes(i.used_memory)),
        connected_clients: info.map(|i| i.connected_clients),
        hit_rate: info.and_then(|i| i.hit_rate),
    }
}

fn celery(findings: &Findings, background: Option<Background>, insider: bool) -> report::Background {
    let status = match background {
        Some(Background::Up) => PartStatus::Up,
        Some(Background::Stuck) => PartStatus::Degraded,
        Some(Background::Down) => PartStatus::Down,
        None => PartStatus::Unknown,
    };
    let found = findings.database.as_ref().filter(|_| insider);
    report::Background {
        status,
        active_workers: found.map(|d| d.workers),
        pending_tasks: found.map(|d| d.depths.iter().map(|lane| lane.ready + lane.waiting).sum::<i64>()),
        running_tasks: found.map(|d| d.overview.running_of_all),
        failed_tasks_last_hour: None,
        average_task_time: found.and_then(|d| d.overview.avg_seconds),
    }
}

fn queue(findings: &Findings) -> QueueService {
    QueueService { status: up(findings.queue.is_some()), response_time: findings.queue }
}

fn system(state: &AppState, insider: bool) -> System {
    let usage = if insider { state.node.usage() } else { halyard_platform::HostUsage::default() };
    System {
        uptime: state.uptime(),
        cpu_usage: usage.cpu,
        memory_usage: usage.memory,
        disk_usage: usage.disk,
        load_average: usage.load,
        open_file_descriptors: usage.open_files,
    }
}

fn alerts(findings: &Findings, background: Option<Background>) -> Vec<Alert> {
    let warning = |component, message| Alert { level: Level::Warning, component, message };
    let mut all = Vec::new();
    if findings.database.is_none() {
        let message = "the database does not answer";
        all.push(Alert { level: Level::Critical, component: "database", message });
    }
    if findings.redis.is_none() {
        all.push(warning("redis", "Redis does not answer: limits are kept by each environment for itself"));
    }
    if findings.queue.is_none() {
        all.push(warning("queue_service", "the queue service does not answer: tasks are accepted and wait"));
    }
    if background == Some(Background::Stuck) {
        all.push(warning("celery", "tasks have been due for a minute and nobody works on their lane"));
    }
    all
}

fn megabytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one decimal of megabytes")]
    let n = bytes as f64 / 1_048_576.0;
    format!("{n:.1}MB")
}
