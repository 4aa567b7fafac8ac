//! `GET /tasks/stats`

use axum::{extract::State, response::IntoResponse};
use halyard_domain::authz::Permission;
use halyard_http::{ApiResult, Caller, openapi::Operation, success};
use halyard_store::statistics::{self, StatsOverview};
use schemars::JsonSchema;
use serde::Serialize;

use super::database;
use crate::{
    error::TaskError,
    state::{AppState, scope},
};

/// `data`. Measured; what is not known (yet) is null.
#[derive(Debug, Serialize, JsonSchema)]
struct Response {
    overview: Overview,
    performance: Performance,
    by_type: Vec<TypeView>,
    workers: Workers,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TaskCounts")]
struct Overview {
    total_tasks: i64,
    completed_tasks: i64,
    failed_tasks: i64,
    running_tasks: i64,
    queued_tasks: i64,
    cancelled_tasks: i64,
    expired_tasks: i64,
    dead_tasks: i64,
    /// completed / (completed + failed + dead).
    success_rate: Option<f64>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TaskPerformance")]
struct Performance {
    /// Seconds.
    avg_execution_time: Option<f64>,
    /// Seconds; from a histogram whose buckets are 9 % wide.
    median_execution_time: Option<f64>,
    tasks_per_hour: Option<f64>,
    peak_concurrent_tasks: Option<i64>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TypeStatistics")]
struct TypeView {
    task_type: String,
    count: i64,
    avg_duration: Option<f64>,
    success_rate: Option<f64>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "the original's names")]
struct Workers {
    active_workers: usize,
    total_capacity: i64,
    /// Running tasks / capacity; null without workers.
    current_load: Option<f64>,
    worker_health: Vec<WorkerView>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Worker")]
struct WorkerView {
    worker_id: String,
    status: &'static str,
    current_tasks: i64,
    total_processed: i64,
}

/// The caller's statistics; those of all with `tasks:read_all`.
pub async fn handler(State(state): State<AppState>, Caller(caller): Caller) -> ApiResult<impl IntoResponse> {
    let scope = scope(&caller, Permission::TasksReadAll);
    let now = state.clock.database_override();
    let overview = database(&state, async |conn| statistics::overview(conn, scope, now).await).await;
    Ok(success(view(overview.map_err(TaskError::from)?)))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("getTaskStatistics", "Statistics of tasks")
        .detail(
            "Of the caller's own; of all with the permission `tasks:read_all`. Measured: what is not known is null.",
        )
        .answers::<Response>("The statistics.");
}

fn view(stats: StatsOverview) -> Response {
    let counts = stats.counts;
    Response {
        overview: Overview {
            total_tasks: counts.submitted,
            completed_tasks: counts.completed,
            failed_tasks: counts.failed,
            running_tasks: stats.running,
            queued_tasks: stats.queued,
            cancelled_tasks: counts.cancelled,
            expired_tasks: counts.expired,
            dead_tasks: counts.dead,
            success_rate: counts.success_rate(),
        },
        performance: Performance {
            avg_execution_time: stats.avg_seconds,
            median_execution_time: stats.median_seconds,
            tasks_per_hour: stats.tasks_per_hour,
            peak_concurrent_tasks: stats.peak_running,
        },
        workers: workers(&stats),
        by_type: stats
            .by_type
            .into_iter()
            .map(|one| TypeView {
                task_type: one.task_type,
                count: one.counts.submitted,
                avg_duration: one.avg_seconds,
                success_rate: one.counts.success_rate(),
            })
            .collect(),
    }
}

fn workers(stats: &StatsOverview) -> Workers {
    let total_capacity: i64 = stats.workers.iter().filter_map(|worker| worker.capacity).map(i64::from).sum();
    #[expect(clippy::cast_precision_loss, reason = "a few hundred at most")]
    let load = |capacity: i64| stats.running_of_all as f64 / capacity as f64;
    Workers {
        active_workers: stats.workers.len(),
        total_capacity,
        current_load: (total_capacity > 0).then(|| load(total_capacity)),
        worker_health: stats
            .workers
            .iter()
            .map(|worker| WorkerView {
                worker_id: worker.worker_id.clone(),
                status: "active",
                current_tasks: worker.current_tasks,
                total_processed: worker.processed,
            })
            .collect(),
    }
}
