//! What the handlers share, and the heartbeat.

use std::{ops::Deref, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use halyard_cloud::{
    queue::{Queue, QueueName},
    redis::Redis,
};
use halyard_config::Environment;
use halyard_domain::Clock;
use halyard_http::{Problem, vitals};
use halyard_platform::{HostUsage, Node};
use halyard_store::{Pool, StoreError, nodes, within};

/// The state of one execution environment. Cloning is cheap.
#[derive(Clone)]
pub struct AppState(Arc<Parts>);

/// What the state is made of.
pub struct Parts {
    /// The database.
    pub pool: Pool,
    /// How many connections the pool may hold.
    pub pool_size: u32,
    /// Redis.
    pub redis: Redis,
    /// The queues.
    pub queue: Arc<dyn Queue>,
    /// The queue that is asked whether queues answer.
    pub probe: QueueName,
    /// This host.
    pub node: Node,
    /// Which deployment.
    pub environment: Environment,
    /// Which version.
    pub version: String,
    /// When this process began.
    pub started_at: DateTime<Utc>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl Deref for AppState {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// The longest that a request waits for its heartbeat to be noted.
const NOTE: Duration = Duration::from_millis(500);

impl AppState {
    /// Out of its parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Notes that this node lives, at most every ten seconds; on the request path, because nothing runs between
    /// requests. That it cannot be noted is no fault of the request.
    pub async fn heartbeat(&self) {
        let now = self.clock.now();
        if !self.node.beat_due(now) {
            return;
        }
        let seen = self.seen(now, self.node.usage());
        let noted = within(NOTE, async {
            let mut conn = self.pool.acquire().await?;
            nodes::heartbeat(&mut conn, &seen, self.clock.database_override()).await
        });
        if let Err(error) = noted.await {
            tracing::warn!(%error, "the heartbeat could not be noted");
        }
    }

    fn seen(&self, now: DateTime<Utc>, usage: HostUsage) -> nodes::NodeSeen {
        let lately = vitals(now);
        nodes::NodeSeen {
            node_id: self.node.id.clone(),
            hostname: self.node.hostname.clone(),
            role: self.node.role.clone().unwrap_or_else(|| "api".to_owned()),
            ip_address: self.node.ip_address.clone(),
            port: self.node.port.map(i32::from),
            response_time_ms: lately.response_time_ms,
            cpu_usage: usage.cpu,
            memory_usage: usage.memory,
            requests_per_minute: Some(lately.requests_per_minute),
            error_rate: lately.error_rate,
            capacity: None,
            processed: 0,
        }
    }

    /// Seconds since this process began.
    pub fn uptime(&self) -> i64 {
        (self.clock.now() - self.started_at).num_seconds().max(0)
    }
}

/// What a failure of the store means to a client.
pub fn store_problem(error: &StoreError) -> Problem {
    if error.is_unavailable() {
        Problem::unavailable("the database is unavailable", 1).with_source(error.to_string())
    } else {
        Problem::internal(error)
    }
}
