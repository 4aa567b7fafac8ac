//! How schedules look from outside.

use chrono::{DateTime, Utc};
use halyard_domain::{
    Lane, Priority, ScheduleId, TaskId,
    schedule::{CatchUp, Dst, Overlap, ScheduleStatus, Timing},
    task::TaskState,
};
use halyard_store::schedules::{RunRecord, ScheduleRecord};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, value::RawValue};

use super::upcoming;

/// When a schedule is due.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
#[schemars(rename = "ScheduleTiming")]
pub enum When {
    /// By the clocks of a time zone.
    Cron {
        /// Five fields: minute, hour, day of month, month, day of week.
        expression: String,
        /// A name of the IANA database.
        timezone: String,
    },
    /// Again and again, counted from when it was asked for.
    Interval { seconds: i64 },
    /// At one moment.
    Once { at: DateTime<Utc> },
}

impl From<&Timing> for When {
    fn from(timing: &Timing) -> Self {
        match timing {
            Timing::Cron { cron, zone, .. } => {
                Self::Cron { expression: cron.to_string(), timezone: zone.name().to_owned() }
            }
            Timing::Interval { every, .. } => Self::Interval { seconds: every.num_seconds() },
            Timing::Once { at } => Self::Once { at: *at },
        }
    }
}

/// A schedule, but for what its runs get and what became of them.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ScheduleSummary")]
pub struct Summary {
    schedule_id: ScheduleId,
    user_id: i64,
    task_type: String,
    schedule: When,
    status: ScheduleStatus,
    active: bool,
    /// Null when it is paused or completed.
    next_run_at: Option<DateTime<Utc>>,
    /// Runs that came of it; those asked for by hand do not count.
    iterations: i32,
    max_iterations: Option<i32>,
    overlap: Overlap,
    catch_up: CatchUp,
    dst: Dst,
    #[schemars(with = "Priority")]
    priority: i16,
    lane: Lane,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<&ScheduleRecord> for Summary {
    fn from(schedule: &ScheduleRecord) -> Self {
        let definition = &schedule.definition;
        Self {
            schedule_id: schedule.id,
            user_id: schedule.user_id.0,
            task_type: definition.template.task_type.clone(),
            schedule: When::from(&definition.timing),
            status: schedule.status(),
            active: definition.active,
            next_run_at: schedule.next_at,
            iterations: schedule.iterations,
            max_iterations: definition.max_iterations,
            overlap: definition.overlap,
            catch_up: definition.catch_up,
            dst: definition.dst,
            priority: definition.template.priority.get(),
            lane: definition.template.lane,
            created_at: schedule.created_at,
            updated_at: schedule.updated_at,
        }
    }
}

/// A schedule.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Schedule")]
pub struct Whole {
    #[serde(flatten)]
    summary: Summary,
    #[schemars(with = "Map<String, Value>")]
    data: Box<RawValue>,
    #[schemars(with = "Option<Map<String, Value>>")]
    resources: Option<Box<RawValue>>,
    #[schemars(with = "Option<Map<String, Value>>")]
    callbacks: Option<Box<RawValue>>,
    retry_config: Tried,
    /// Of one attempt, in seconds.
    timeout: i32,
    expires_in: Option<i32>,
    /// The next times, in UTC. Of one that is paused: as if it were not.
    next_runs: Vec<DateTime<Utc>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ScheduleRetryConfig")]
struct Tried {
    max_retries: i16,
    /// Seconds.
    retry_delay: i32,
    exponential_backoff: bool,
}

impl Whole {
    /// With the next `n` times.
    pub fn new(schedule: &ScheduleRecord, n: usize) -> Self {
        let template = &schedule.definition.template;
        Self {
            summary: Summary::from(schedule),
            data: template.input.clone(),
            resources: template.resources.clone(),
            callbacks: template.callbacks.clone(),
            retry_config: Tried {
                max_retries: template.retry.max_retries,
                retry_delay: template.retry.retry_delay,
                exponential_backoff: template.retry.exponential_backoff,
            },
            timeout: template.timeout_s,
            expires_in: template.expires_in_s,
            next_runs: upcoming(schedule, n),
        }
    }
}

/// What became of a time at which a schedule was due.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ScheduleRun")]
pub struct Run {
    /// When it was due; of several times that were missed in a row, the last one.
    nominal_time: DateTime<Utc>,
    outcome: RunOutcome,
    /// Why it was skipped: `missed` (the platform was down or the account disabled) or `overlap` (an earlier run had not ended).
    #[schemars(extend("enum" = ["missed", "overlap", null]))]
    reason: Option<String>,
    /// For how many times in a row this stands.
    times: i32,
    /// Asked for by hand.
    manual: bool,
    task_id: Option<TaskId>,
    /// How that task stands; null when there is none, or it is not kept any more.
    task_status: Option<TaskState>,
    /// When it was decided: for a run, shortly before it was due.
    decided_at: DateTime<Utc>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ScheduleRunOutcome")]
enum RunOutcome {
    /// A task was made.
    Fired,
    /// None was.
    Skipped,
}

impl From<RunRecord> for Run {
    fn from(run: RunRecord) -> Self {
        Self {
            nominal_time: run.nominal_at,
            outcome: if run.task_id.is_some() { RunOutcome::Fired } else { RunOutcome::Skipped },
            reason: run.reason,
            times: run.times,
            manual: run.manual,
            task_id: run.task_id,
            task_status: run.task_state,
            decided_at: run.decided_at,
        }
    }
}
