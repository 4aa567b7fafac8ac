//! What `/health/status` answers: the original's shape. What is not known is null, and so is what only insiders may see.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;

/// The whole answer; not enveloped.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "HealthReport")]
pub struct Report {
    pub status: Overall,
    pub timestamp: DateTime<Utc>,
    pub checks: Checks,
    pub system: System,
    pub alerts: Vec<Alert>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "OverallHealth")]
pub enum Overall {
    Healthy,
    /// It works, without a lesser part.
    Degraded,
    /// The database is down.
    Unhealthy,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "HealthChecks")]
pub struct Checks {
    pub database: Database,
    pub redis: Redis,
    /// The original's name for workers and queues; its clients read it.
    pub celery: Background,
    pub external_dependencies: Dependencies,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PartStatus {
    Up,
    Degraded,
    Down,
    Unknown,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DatabaseHealth")]
pub struct Database {
    pub status: PartStatus,
    /// Milliseconds of a round trip.
    pub response_time: Option<f64>,
    /// Of the execution environment that answers, which knows of no other's.
    pub connection_pool: Option<Connections>,
    pub slow_queries: Option<i64>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ConnectionPool")]
pub struct Connections {
    pub active: Option<u32>,
    pub idle: Option<u32>,
    pub total: u32,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RedisHealth")]
pub struct Redis {
    pub status: PartStatus,
    /// Milliseconds of a round trip.
    pub response_time: Option<f64>,
    /// In words: `1.5MB`.
    pub memory_usage: Option<String>,
    pub connected_clients: Option<u64>,
    /// 0 to 1.
    pub hit_rate: Option<f64>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "BackgroundHealth")]
pub struct Background {
    pub status: PartStatus,
    pub active_workers: Option<i64>,
    pub pending_tasks: Option<i64>,
    pub running_tasks: Option<i64>,
    pub failed_tasks_last_hour: Option<i64>,
    /// Seconds.
    pub average_task_time: Option<f64>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DependencyHealth")]
pub struct Dependencies {
    pub queue_service: QueueService,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "QueueHealth")]
pub struct QueueService {
    pub status: PartStatus,
    /// Milliseconds of a round trip.
    pub response_time: Option<f64>,
}

/// The host.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SystemHealth")]
pub struct System {
    /// Seconds since the process began.
    pub uptime: i64,
    /// Per cent.
    pub cpu_usage: Option<f64>,
    /// Per cent.
    pub memory_usage: Option<f64>,
    /// Per cent.
    pub disk_usage: Option<f64>,
    /// Over 1, 5 and 15 minutes.
    pub load_average: Option<[f64; 3]>,
    pub open_file_descriptors: Option<u64>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "HealthAlert")]
pub struct Alert {
    pub level: Level,
    pub component: &'static str,
    pub message: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "AlertLevel")]
pub enum Level {
    Warning,
    Critical,
}
