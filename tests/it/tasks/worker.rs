//! A worker of a test's own, over a scratch database and twins.

use std::{sync::Arc, time::Duration};

use halyard_cloud::{
    CallbackBell,
    objects::{BucketName, ObjectTwin},
    queue::{QueueConfig, QueueName, QueueTwin},
    table::{TableName, TableTwin},
    task_logs::TaskLogs,
};
use halyard_domain::{Entropy, Lane, ManualClock};
use halyard_jobs::{
    Registry,
    doorbell::LaneQueues,
    worker::{LaneLimit, LaneLimits, Results, Statements, Worker},
};
use halyard_store::Pool;

/// The one queue that there is.
pub const QUEUE: &str = "halyard-test";

/// A worker for one lane.
pub fn of(
    pool: Pool,
    clock: Arc<ManualClock>,
    lane: Lane,
    registry: Registry,
    limit: LaneLimit,
) -> (Worker, QueueTwin) {
    let config = QueueConfig {
        name: QueueName(QUEUE.to_owned()),
        visibility: Duration::from_mins(1),
        delay: Duration::ZERO,
        retention: Duration::from_hours(1),
        dead_letter: None,
    };
    let queue = QueueTwin::new(clock.clone(), [config]).expect("a queue");
    let table = TableName("task-logs".to_owned());
    let bucket = BucketName("results".to_owned());
    let worker = Worker {
        statements: Statements::new(&pool),
        pool,
        queue: Arc::new(queue.clone()),
        callbacks: CallbackBell::new(Arc::new(queue.clone()), QUEUE),
        queues: LaneQueues::from_urls([(lane, QUEUE)]),
        logs: TaskLogs::new(Arc::new(TableTwin::in_memory([table.clone()]).expect("a table")), table),
        results: Results {
            objects: Arc::new(ObjectTwin::in_memory(
                clock.clone(),
                Arc::new(Entropy::seeded(4)),
                [(bucket.clone(), None)],
            )),
            bucket,
        },
        registry,
        clock,
        entropy: Arc::new(Entropy::seeded(3)),
        lease: Duration::from_secs(15),
        limits: LaneLimits::new(|_| limit),
        renew_every: Duration::from_millis(100),
        id: "worker-1".to_owned(),
        host: "host-1".to_owned(),
    };
    (worker, queue)
}
