//! What a worker does when a doorbell rings: claims the best tasks of the lane, runs them side by side, keeps their
//! leases, and commits their ends.

mod attempt;
mod batch;
mod decision;
mod fronts;
mod limits;
mod owner;
mod statements;
mod stored;
mod tell;

use std::{sync::Arc, time::Duration};

use halyard_cloud::{CallbackBell, queue::Queue, task_logs::TaskLogs};
use halyard_domain::{Clock, Entropy, Lane};
use halyard_store::{Pool, StoreError, tasks::Look};
use tokio::time::Instant;

pub use attempt::{Ended, Limit, run as run_attempt};
pub use decision::{MAX_RESULT, finish_of, refuse};
pub use limits::{LaneLimit, LaneLimits};
pub use statements::Statements;
pub use stored::{MAX_STORED_RESULT, Results};

use crate::{doorbell::LaneQueues, registry::Registry};

/// The longest that one call of the database may take before it counts as unavailable.
const DATABASE: Duration = Duration::from_secs(5);

/// A worker: one for each execution environment.
#[derive(Clone)]
pub struct Worker {
    /// The environment's connections.
    pub pool: Pool,
    /// What its invocations do on them together.
    pub statements: Statements,
    /// Where doorbells for retries go.
    pub queue: Arc<dyn Queue>,
    /// The lanes' queues.
    pub queues: LaneQueues,
    /// Rings for webhooks that are owed.
    pub callbacks: CallbackBell,
    /// Where log lines go.
    pub logs: TaskLogs,
    /// Where results go that are too large for a row.
    pub results: Results,
    /// The task types that can be run.
    pub registry: Registry,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Jitter.
    pub entropy: Arc<Entropy>,
    /// How long a lease lasts unless it is renewed.
    pub lease: Duration,
    /// What each lane may take.
    pub limits: LaneLimits,
    /// How often leases are renewed; progress, checkpoints and cancellations travel with the renewal.
    pub renew_every: Duration,
    /// Who this is, as claims and statistics name it.
    pub id: String,
    /// The host.
    pub host: String,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Attempts that were begun.
    pub claimed: usize,
    /// Attempts whose end was committed.
    pub committed: usize,
    /// Attempts that had lost their task to somebody else.
    pub refused: usize,
    /// Attempts whose end could not be committed in time; their leases run out, and beat takes it from there.
    pub abandoned: usize,
}

/// The doorbells of one lane that an invocation heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// Messages.
    pub messages: usize,
    /// Tasks that they ring for, all together.
    pub count: usize,
}

impl Worker {
    /// Claims tasks of `lane`, as many as were rung for and can run side by side, and sees each to the end of an attempt;
    /// the rest is rung for again. `deadline` is when the invocation ends, whatever happens.
    ///
    /// # Errors
    /// When nothing could be claimed because the database failed: no decision was reached, and the doorbells should
    /// come again. Once tasks are claimed this does not fail any more: what cannot be committed is left to the leases.
    pub async fn run_batch(&self, lane: Lane, heard: Heard, deadline: Instant) -> Result<Outcome, StoreError> {
        let of = self.limits.of(lane);
        let limit = heard.count.min(of.side_by_side);
        let mut claimed = self.statements.claim(self, lane, limit, Look::Quick).await?;
        // Fewer tasks than doorbells: spare doorbells, or this one. A claim sees what was committed when it began; a task
        // that came while it looked may have rung for another worker, who took one that this claim had seen. Then that
        // task has no doorbell left and would wait for beat, so a claim that comes back short looks once more.
        if claimed.len() < limit {
            match self.statements.claim(self, lane, limit - claimed.len(), Look::Thorough).await {
                Ok(more) => claimed.extend(more),
                Err(error) if claimed.is_empty() => return Err(error),
                Err(error) => tracing::warn!(%error, %lane, "a second look was not possible; beat will ring"),
            }
        }
        let left = heard.count.saturating_sub(limit);
        let full = claimed.len() == limit;
        let batch = batch::Batch::new(self, claimed, deadline, of.margin).run();
        if left == 0 || !full {
            return Ok(batch.await);
        }
        // At once, so that others take the rest while these run.
        let (outcome, ()) = futures::join!(batch, tell::pass_on(self, lane, left, heard.messages));
        Ok(outcome)
    }
}
