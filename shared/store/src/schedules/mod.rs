//! Schedules: what their owners say of them, and what beat makes of it.
//!
//! Nothing here decides. Whoever changes a schedule has read it before, and what they write holds only if it is still as it was
//! read: `version` stands for what its owner says, `next_at` and `decided_until` for how far beat has come.

mod change;
mod fire;
mod read;
mod runs;

use chrono::{DateTime, Duration, Utc};
use halyard_domain::{
    Lane, Priority, ScheduleId, TaskId, UserId,
    retry::RetryPolicy,
    schedule::{CatchUp, Dst, Overlap, ScheduleStatus, Timing},
};
use serde_json::value::RawValue;

pub use change::{Read, create, delete, place, update};
pub use fire::{Turn, TurnRun, due, fire, run_now};
pub use read::{Filter, get, list, whole};
pub use runs::{RunRecord, forget_runs, runs};

use crate::tasks::{Concurrency, NewTask, Ties};

/// What a run is made of.
#[derive(Debug, Clone)]
pub struct Template {
    /// A registered type.
    pub task_type: String,
    /// Which lane runs it.
    pub lane: Lane,
    /// Its place inside the lane.
    pub priority: Priority,
    /// What the task's code gets.
    pub input: Box<RawValue>,
    /// As the client sent them.
    pub resources: Option<Box<RawValue>>,
    /// As the client sent them.
    pub callbacks: Option<Box<RawValue>>,
    /// When a failed attempt runs again.
    pub retry: RetryPolicy,
    /// The longest run of one attempt, in seconds.
    pub timeout_s: i32,
    /// Seconds after its time (or after it was made, when that is later) from which it is not started any more.
    pub expires_in_s: Option<i32>,
}

/// What its owner says of a schedule.
#[derive(Debug, Clone)]
pub struct Definition {
    /// What a run is made of.
    pub template: Template,
    /// When it is due.
    pub timing: Timing,
    /// What happens at a local time that does not exist; of a cron's timing the same.
    pub dst: Dst,
    /// What happens while an earlier run has not ended.
    pub overlap: Overlap,
    /// What happens to times at which nobody looked.
    pub catch_up: CatchUp,
    /// After so many runs it is completed.
    pub max_iterations: Option<i32>,
    /// Is it not paused?
    pub active: bool,
}

/// A schedule.
#[derive(Debug, Clone)]
pub struct ScheduleRecord {
    /// A ULID.
    pub id: ScheduleId,
    /// Whose.
    pub user_id: UserId,
    /// What its owner says of it. Of those of [`due`] and [`list`], without `input`, `resources` and `callbacks`.
    pub definition: Definition,
    /// The first time that nothing has been decided about.
    pub next_at: Option<DateTime<Utc>>,
    /// The last time that was decided about.
    pub decided_until: Option<DateTime<Utc>>,
    /// Runs that came of it, those not counted that were asked for by hand.
    pub iterations: i32,
    /// Grows with each change: the `ETag`.
    pub version: i64,
    /// Made.
    pub created_at: DateTime<Utc>,
    /// Last changed by its owner.
    pub updated_at: DateTime<Utc>,
    /// The present, as the database sees it.
    pub now: DateTime<Utc>,
    /// Of its runs, how many have not ended: 0, 1, or 2 for more. Only [`due`] looks.
    pub open: usize,
    /// Bytes of what a run gets. Only [`due`] looks.
    pub size: usize,
}

impl ScheduleRecord {
    /// How it stands.
    pub fn status(&self) -> ScheduleStatus {
        match (self.definition.active, self.next_at) {
            (false, _) => ScheduleStatus::Paused,
            (true, None) => ScheduleStatus::Completed,
            (true, Some(_)) => ScheduleStatus::Active,
        }
    }

    /// A run of it as a task, due at `nominal`.
    pub fn task(&self, id: TaskId, nominal: DateTime<Utc>) -> NewTask {
        let Definition { template, overlap, .. } = &self.definition;
        let expires_in = template.expires_in_s.map(|seconds| Duration::seconds(seconds.into()));
        // One at a time: the claim holds the others back.
        let one_at_a_time = || Concurrency { key: format!("schedule:{}", self.id), limit: 1 };
        NewTask {
            id,
            user_id: self.user_id,
            task_type: template.task_type.clone(),
            lane: template.lane,
            priority: template.priority,
            input: template.input.clone(),
            resources: template.resources.clone(),
            callbacks: template.callbacks.clone(),
            retry: template.retry,
            timeout_s: template.timeout_s,
            expires_at: expires_in.map(|seconds| nominal.max(self.now) + seconds),
            scheduled_for: Some(nominal),
            request_id: None,
            traceparent: None,
            ties: Ties { concurrency: (*overlap == Overlap::Queue).then(one_at_a_time), ..Ties::default() },
        }
    }
}
