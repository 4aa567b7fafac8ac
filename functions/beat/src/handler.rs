//! One beat: every step, whatever became of the one before.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use halyard_cloud::{CallbackBell, Sessions, queue::Queue, redis::Redis};
use halyard_domain::{Clock, Entropy};
use halyard_jobs::doorbell::LaneQueues;
use halyard_mail::PostOffice;
use halyard_platform::{FunctionError, Handler, Invocation, Node};
use halyard_store::{Connection, Now, Pool, StoreError};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout_at};

use crate::{report::Step, steps};

/// A beat takes no longer than this, whatever the host allows: the next one comes after a minute.
const LONGEST: Duration = Duration::from_secs(45);
/// What is kept back of the time that the host allows.
const RESERVE: Duration = Duration::from_secs(3);
/// What one step may take at most, so that one that hangs leaves time for the others.
const STEP: Duration = Duration::from_secs(12);

/// The steps, in order. Revocations are the most urgent. The outbox comes before the leases: it takes doorbells that still wait in a queue for good for
/// its own rows, and those that schedules and leases ring are spoken for.
const STEPS: [&str; 12] = [
    "epochs",
    "outbox",
    "schedules",
    "leases",
    "workflows",
    "lanes",
    "webhooks",
    "mails",
    "statistics",
    "calls",
    "nodes",
    "audit",
];

/// The function.
pub struct Beat {
    pub(crate) pool: Pool,
    pub(crate) sessions: Sessions,
    pub(crate) redis: Redis,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) queues: LaneQueues,
    pub(crate) callbacks: CallbackBell,
    pub(crate) post: PostOffice,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<Entropy>,
    pub(crate) node: Node,
}

impl Beat {
    pub(crate) async fn conn(&self) -> Result<Connection, StoreError> {
        self.pool.acquire().await
    }

    pub(crate) fn now(&self) -> Now {
        self.clock.database_override()
    }

    /// Time left until `deadline`; a host that gives no useful one (some emulators) gets the longest.
    fn budget(&self, deadline: DateTime<Utc>) -> Duration {
        let left = (deadline - self.clock.now()).to_std().unwrap_or(LONGEST + RESERVE);
        left.saturating_sub(RESERVE).min(LONGEST)
    }

    /// Runs one step until `until` at the latest; what it did counts even when it is cut short.
    async fn step(&self, name: &'static str, until: Instant) -> Step {
        let mut step = Step::default();
        let run = async {
            match name {
                "epochs" => steps::epochs::publish(self, &mut step).await,
                "schedules" => steps::schedules::fire(self, &mut step).await,
                "leases" => steps::leases::reap(self, &mut step).await,
                "workflows" => steps::workflows::take_further(self, &mut step).await,
                "outbox" => steps::outbox::sweep(self, &mut step).await,
                "lanes" => steps::lanes::ring_silent(self, &mut step).await,
                "webhooks" => steps::webhooks::ring_overdue(self, &mut step).await,
                "mails" => steps::mails::send(self, &mut step).await,
                "statistics" => steps::statistics::fold(self, &mut step).await,
                "calls" => steps::calls::fold(self, &mut step).await,
                "nodes" => steps::nodes::sweep(self, &mut step).await,
                _ => steps::audit::anchor(self, &mut step).await,
            }
        };
        match timeout_at(until, run).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => step.note(error),
            Err(_) => step.note("out of time"),
        }
        step
    }
}

#[async_trait]
impl Handler<Value, Value> for Beat {
    async fn handle(&self, _event: Value, invocation: Invocation) -> Result<Value, FunctionError> {
        let end = Instant::now() + self.budget(invocation.deadline);
        let mut report = Map::new();
        let mut failed = Vec::new();
        for name in STEPS {
            let step = self.step(name, end.min(Instant::now() + STEP)).await;
            if !step.is_good() {
                failed.push(name);
            }
            report.insert(name.to_owned(), step.into_json());
        }
        report.insert("failed".to_owned(), json!(failed));
        let report = Value::Object(report);
        if failed.is_empty() {
            tracing::info!(%report, "beat");
            return Ok(report);
        }
        // Nobody reads the answer of a schedule: only a failed invocation is counted and heard.
        tracing::error!(%report, "a beat could not do everything");
        Err(FunctionError(format!("a beat could not do everything: {report}")))
    }
}
