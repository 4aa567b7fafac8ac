//! `database_cleanup`: deletes what ended long ago.
//!
//! What is deleted, what is kept of it, how far the task has come and what it has counted is one transaction a batch: an attempt that
//! vanishes in between has done a whole number of batches, and the next one goes on behind them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use halyard_domain::{TaskId, authz::Permission};
use halyard_store::{
    Pool, StoreError, audit,
    cleanup::{self, Batch, Cleaned, Part},
    tasks::Writer,
    within,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json, value::to_raw_value};

use crate::{
    context::TaskContext,
    input::{InputError, InvalidInput},
    log::LogLevel,
    task::{Task, TaskFailure},
    tools::Tools,
};

/// The task type `database_cleanup`.
#[derive(Debug, Clone, Default)]
pub struct DatabaseCleanup {
    tools: Tools,
}

impl DatabaseCleanup {
    /// With these tools.
    pub fn new(tools: Tools) -> Self {
        Self { tools }
    }
}

/// The greatest age, in days: ten years.
const OLDEST: u32 = 3_650;
/// Tasks that one statement looks at.
const TASKS: i64 = 500;
/// Workflows that one statement looks at; each may have ten thousand steps.
const WORKFLOWS: i64 = 20;
/// How long the database may take over a batch.
const BATCH: Duration = Duration::from_secs(20);

const SESSIONS: &str =
    "there are none in the database: sessions live in DynamoDB, which forgets them when they have expired";
const AUDIT: &str = "kept: the audit chain is append-only, and verifies from its first entry";

/// What can be cleaned up, as the original calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "CleanupTable")]
pub enum Table {
    /// Tasks that ended with their events, and workflows that ended with their steps.
    TaskHistory,
    /// Nothing: sessions are not in the database.
    UserSessions,
    /// Nothing: the audit log is a chain, from which nothing is taken away.
    AuditLogs,
}

/// What is cleaned up. Other fields are tolerated and ignored.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "DatabaseCleanupInput")]
pub struct Input {
    /// Deletes what ended longer ago.
    #[schemars(range(min = 1, max = OLDEST))]
    pub cleanup_older_than_days: u32,
    /// Where.
    #[schemars(length(min = 1, max = 10))]
    pub tables: Vec<Table>,
    /// Keep what is deleted as JSON lines, in the table `cleanup_backups`.
    #[serde(default)]
    pub backup_before_cleanup: bool,
}

/// What became of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Rows of the table; of the task history: tasks.
    deleted: i64,
    /// Why nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
    /// What went along.
    #[serde(flatten)]
    along: Map<String, Value>,
}

/// Where what was deleted is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Backup {
    table: &'static str,
    /// The lines' `cleaned_by`.
    cleaned_by: TaskId,
    lines: i64,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Output {
    /// What ended before was meant.
    before: DateTime<Utc>,
    tables: BTreeMap<Table, Outcome>,
    backup: Option<Backup>,
}

/// How far it is: the checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    before: DateTime<Utc>,
    /// Workflows are gone over first.
    workflows_done: bool,
    tasks_done: bool,
    below: TaskId,
    announced: bool,
    workflows: i64,
    tasks: i64,
    events: i64,
    deliveries: i64,
}

impl Progress {
    fn from(before: DateTime<Utc>) -> Self {
        Self {
            before,
            workflows_done: false,
            tasks_done: false,
            below: TaskId::first_at(before),
            announced: false,
            workflows: 0,
            tasks: 0,
            events: 0,
            deliveries: 0,
        }
    }

    /// What is next; `None`: everything is done.
    fn batch(&self, backup: bool) -> Option<Batch> {
        let (part, limit) = match (self.workflows_done, self.tasks_done) {
            (false, _) => (Part::Workflows, WORKFLOWS),
            (true, false) => (Part::Tasks, TASKS),
            (true, true) => return None,
        };
        Some(Batch { part, before: self.before, below: self.below.0, limit, backup })
    }

    fn after(&self, part: Part, cleaned: &Cleaned) -> Self {
        let mut next = self.clone();
        next.announced |= cleaned.deleted > 0;
        next.deliveries += cleaned.deliveries;
        next.below = cleaned.next.map_or_else(|| TaskId::first_at(self.before), TaskId);
        match part {
            Part::Workflows => {
                next.workflows += cleaned.deleted;
                next.workflows_done = cleaned.next.is_none();
            }
            Part::Tasks => {
                next.tasks += cleaned.deleted;
                next.events += cleaned.parts;
                next.tasks_done = cleaned.next.is_none();
            }
        }
        next
    }

    /// Per cent of the time that is gone over, from then back to the first task. Workflows are few.
    fn percentage(&self, first: Option<TaskId>) -> f64 {
        let Some(first) = first.filter(|_| self.workflows_done && !self.tasks_done) else {
            return if self.tasks_done { 100.0 } else { 0.0 };
        };
        let whole = (self.before - first.made_at()).as_seconds_f64().max(1.0);
        (self.before - self.below.made_at()).as_seconds_f64() / whole * 100.0
    }
}

impl Task for DatabaseCleanup {
    const TYPE: &'static str = "database_cleanup";
    const DESCRIPTION: &'static str =
        "Deletes tasks and workflows that ended long ago, those of all users, and keeps a copy if it is asked to.";
    const LONG: bool = true;
    const REQUIRES: Option<Permission> = Some(Permission::SystemManage);
    type Input = Input;
    type Output = Output;

    fn check(input: &Input) -> Result<(), InvalidInput> {
        let mut errors = Vec::new();
        if !(1..=OLDEST).contains(&input.cleanup_older_than_days) {
            let rule = format!("must be between 1 and {OLDEST}");
            errors.push(InputError::new("/cleanup_older_than_days", "out_of_range", rule));
        }
        if !(1..=10).contains(&input.tables.len()) {
            errors.push(InputError::new("/tables", "out_of_range", "must have 1 to 10 items"));
        }
        if errors.is_empty() { Ok(()) } else { Err(InvalidInput(errors)) }
    }

    async fn run(&self, input: Input, context: TaskContext) -> Result<Output, TaskFailure> {
        let Some(pool) = &self.tools.database else {
            return Err(TaskFailure::retryable("no_database", "this worker has no database"));
        };
        let wanted: BTreeSet<Table> = input.tables.iter().copied().collect();
        let age = TimeDelta::days(input.cleanup_older_than_days.into());
        let mut progress: Progress = context.resume_from().unwrap_or_else(|| Progress::from(context.now() - age));
        if wanted.contains(&Table::TaskHistory) {
            progress = clean(pool, &input, progress, &context).await?;
        }
        let backup = (input.backup_before_cleanup && wanted.contains(&Table::TaskHistory)).then(|| Backup {
            table: "cleanup_backups",
            cleaned_by: context.task_id(),
            lines: progress.tasks + progress.workflows,
        });
        let tables = wanted.into_iter().map(|table| (table, outcome(table, &progress))).collect();
        Ok(Output { before: progress.before, tables, backup })
    }
}

fn outcome(table: Table, progress: &Progress) -> Outcome {
    let nothing = |note| Outcome { deleted: 0, note: Some(note), along: Map::new() };
    match table {
        Table::UserSessions => nothing(SESSIONS),
        Table::AuditLogs => nothing(AUDIT),
        Table::TaskHistory => {
            let along = [
                ("events", progress.events),
                ("workflows", progress.workflows),
                ("webhook_deliveries", progress.deliveries),
            ];
            let along = along.into_iter().map(|(name, n)| (name.to_owned(), n.into())).collect();
            Outcome { deleted: progress.tasks, note: None, along }
        }
    }
}

/// Batch after batch, until nothing is left or the attempt is asked to stop.
async fn clean(
    pool: &Pool,
    input: &Input,
    mut progress: Progress,
    context: &TaskContext,
) -> Result<Progress, TaskFailure> {
    let first = within(BATCH, async { cleanup::first_task(&mut *pool.acquire().await?).await }).await;
    let first = first.map_err(|error| failed(&error))?;
    let by = Writer { task: context.task_id(), user: context.user_id(), attempt: context.attempt() };
    context.log(LogLevel::Info, format!("deleting what ended before {}", progress.before));
    while let Some(batch) = progress.batch(input.backup_before_cleanup) {
        if context.is_cancelled() {
            return Err(TaskFailure::cancelled());
        }
        progress = one(pool, by, &batch, &progress, context).await?;
        let counts = json!({"deleted": progress.tasks, "workflows": progress.workflows});
        context.progress(progress.percentage(first), counts.as_object().cloned().unwrap_or_default());
    }
    Ok(progress)
}

async fn one(
    pool: &Pool,
    by: Writer,
    batch: &Batch,
    progress: &Progress,
    context: &TaskContext,
) -> Result<Progress, TaskFailure> {
    let detail = json!({"task_id": by.task, "before": progress.before, "backup": batch.backup});
    let entry =
        audit::Entry { actor: Some(by.user), action: "task.cleanup", target: "tasks", detail, request_id: None };
    let announce = (!progress.announced).then_some(&entry);
    let checkpoint = |cleaned: &Cleaned| to_raw_value(&progress.after(batch.part, cleaned)).unwrap_or_default();
    let cleaned = within(BATCH, async {
        let mut conn = pool.acquire().await?;
        cleanup::clean(&mut conn, by, batch, announce, checkpoint, context.database_override()).await
    });
    match cleaned.await {
        Ok(Some(cleaned)) => Ok(progress.after(batch.part, &cleaned)),
        Ok(None) => Err(TaskFailure::retryable("lease_lost", "another attempt has the task")),
        Err(error) => Err(failed(&error)),
    }
}

fn failed(error: &StoreError) -> TaskFailure {
    TaskFailure::retryable("database", error.to_string())
}
