//! This environment as the list of nodes shows it.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use halyard_config::NodeConfig;
use halyard_domain::{Entropy, NodeId};
use halyard_jobs::worker::Worker;
use halyard_platform::Node;
use halyard_store::{nodes, within};

/// How long the database may take to note a heartbeat.
const NOTE: Duration = Duration::from_secs(2);

/// Who this environment is, and what it has done since it last said that it lives.
#[derive(Debug)]
pub struct WorkerNode {
    host: Node,
    id: String,
    capacity: i32,
    processed: AtomicI64,
}

impl WorkerNode {
    /// A host that is a worker and nothing else is one node. Others may have several environments beside functions of
    /// other kinds, so the id is the host's and some letters of the environment's own.
    ///
    /// `side_by_side`: tasks that run in one invocation at most.
    pub fn new(config: &NodeConfig, side_by_side: usize, entropy: &Entropy) -> Self {
        let host = Node::new(config);
        let own = u16::from_be_bytes(entropy.bytes());
        let id = match &host.role {
            Some(_) => host.id.to_string(),
            None => format!("{}-worker-{own:04x}", host.id),
        };
        let capacity = config.capacity.map_or_else(|| i32::try_from(side_by_side).unwrap_or(i32::MAX), i32::from);
        Self { id, host, capacity, processed: AtomicI64::new(0) }
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn hostname(&self) -> &str {
        &self.host.hostname
    }

    /// Counts attempts that ended here.
    pub fn add_processed(&self, n: usize) {
        self.processed.fetch_add(i64::try_from(n).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// Notes in the database that this environment lives, unless it did so lately. A failure is only reported: the next
    /// invocation tries again.
    pub async fn heartbeat(&self, worker: &Worker) {
        if !self.host.beat_due(worker.clock.now()) {
            return;
        }
        let usage = self.host.usage();
        let processed = self.processed.swap(0, Ordering::Relaxed);
        let seen = nodes::NodeSeen {
            node_id: NodeId(self.id.clone()),
            hostname: self.host.hostname.clone(),
            role: "worker".to_owned(),
            ip_address: self.host.ip_address.clone(),
            // Nobody calls a worker, unless to see whether it is there.
            port: self.host.port.map(i32::from),
            response_time_ms: None,
            cpu_usage: usage.cpu,
            memory_usage: usage.memory,
            requests_per_minute: None,
            error_rate: None,
            capacity: Some(self.capacity),
            processed,
        };
        let noted = within(NOTE, async {
            let mut conn = worker.pool.acquire().await?;
            nodes::heartbeat(&mut conn, &seen, worker.clock.database_override()).await
        });
        if let Err(error) = noted.await {
            self.processed.fetch_add(processed, Ordering::Relaxed);
            tracing::warn!(%error, "the worker's heartbeat could not be noted");
        }
    }
}
