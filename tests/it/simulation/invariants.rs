//! What must hold after every step: DESIGN.md, section 3, 1 to 4, from the rows and from what was seen of them before.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use halyard_domain::{ScheduleId, TaskId, WorkflowId, task::TaskState};
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use super::rules::RULES;

/// A row of `tasks`.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
struct Row {
    id: Uuid,
    state: String,
    attempt: i16,
    fence: i64,
    failures: i16,
    result: Option<String>,
    error: Option<String>,
    ended_at: Option<DateTime<Utc>>,
}

/// What was seen so far.
pub struct Invariants {
    conn: PgConnection,
    rows: BTreeMap<Uuid, Row>,
    /// The last state that a task's history tells.
    told: BTreeMap<Uuid, TaskState>,
    last_event: i64,
    /// Nothing has been written since.
    snapshot: String,
    accepted: BTreeSet<Uuid>,
    /// What was accepted under each key.
    keyed: BTreeMap<u32, Value>,
    workflows: BTreeSet<WorkflowId>,
    schedules: BTreeSet<ScheduleId>,
}

/// The rules are asked for again and again of tables with little in them.
const SETTINGS: &str =
    "set jit = off; set plan_cache_mode = force_generic_plan; set max_parallel_workers_per_gather = 0";
const ROWS: &str = "select id, state, attempt, fence, failures, result::text, error, ended_at from tasks order by id";
const EVENTS: &str = "select id, task_id, state from task_events where id > $1 order by id";
const SNAPSHOT: &str = "select pg_snapshot_xmax(pg_current_snapshot())::text";

fn known(state: &str) -> Result<TaskState, String> {
    state.parse().map_err(|_| format!("there is no state {state}"))
}

impl Invariants {
    /// Nothing seen.
    pub async fn new(url: &str) -> Self {
        let mut conn = PgConnection::connect(url).await.expect("a connection");
        sqlx::raw_sql(SETTINGS).execute(&mut conn).await.expect("its settings");
        Self {
            conn,
            rows: BTreeMap::new(),
            told: BTreeMap::new(),
            last_event: 0,
            snapshot: String::new(),
            accepted: BTreeSet::new(),
            keyed: BTreeMap::new(),
            workflows: BTreeSet::new(),
            schedules: BTreeSet::new(),
        }
    }

    /// Tasks that are there.
    pub fn tasks(&self) -> Vec<TaskId> {
        self.rows.keys().copied().map(TaskId).collect()
    }

    /// Workflows that clients know of.
    pub fn workflows(&self) -> Vec<WorkflowId> {
        self.workflows.iter().copied().collect()
    }

    /// Schedules that clients know of.
    pub fn schedules(&self) -> Vec<ScheduleId> {
        self.schedules.iter().copied().collect()
    }

    /// A client has heard this: what was accepted must be there from now on, and is the same for the same key.
    pub fn answered(&mut self, key: Option<u32>, status: u16, body: &Value) -> Result<(), String> {
        if status != 200 {
            return Ok(());
        }
        if let Some(key) = key {
            let made = [&body["data"]["task_id"], &body["data"]["workflow_id"]].map(Value::clone).to_vec().into();
            let before = self.keyed.entry(key).or_insert_with(|| Value::clone(&made));
            if *before != made {
                return Err(format!("under key {key} there was {before}, and is {made} now"));
            }
        }
        let task = |value: &Value| value.as_str().and_then(|text| text.parse().ok()).map(|TaskId(id)| id);
        let data = &body["data"];
        self.accepted.extend(task(&data["task_id"]));
        self.accepted.extend(data["task_ids"].as_array().into_iter().flatten().filter_map(task));
        self.accepted.extend(data["tasks"].as_array().into_iter().flatten().filter_map(|new| task(&new["task_id"])));
        self.workflows.extend(data["workflow_id"].as_str().and_then(|text| text.parse::<WorkflowId>().ok()));
        self.schedules.extend(data["schedule_id"].as_str().and_then(|text| text.parse::<ScheduleId>().ok()));
        Ok(())
    }

    /// Looks at everything, if anything was written since.
    pub async fn check(&mut self) -> Result<(), String> {
        let snapshot: String = sqlx::query_scalar(SNAPSHOT).fetch_one(&mut self.conn).await.expect("a snapshot");
        if snapshot == self.snapshot {
            return Ok(());
        }
        self.snapshot = snapshot;
        self.check_rows().await?;
        self.check_history().await?;
        let broken: Vec<String> = sqlx::query_scalar(RULES).fetch_all(&mut self.conn).await.expect("the rules");
        if broken.is_empty() { Ok(()) } else { Err(broken.join("\n")) }
    }

    async fn check_rows(&mut self) -> Result<(), String> {
        let rows: Vec<Row> = sqlx::query_as(ROWS).fetch_all(&mut self.conn).await.expect("the tasks");
        let rows: BTreeMap<Uuid, Row> = rows.into_iter().map(|row| (row.id, row)).collect();
        if let Some(lost) = self.accepted.iter().chain(self.rows.keys()).find(|id| !rows.contains_key(id)) {
            return Err(format!("the task {lost} was accepted and is gone"));
        }
        for (id, row) in &rows {
            check_result(row)?;
            let Some(before) = self.rows.get(id) else { continue };
            if row.fence < before.fence || row.attempt < before.attempt || row.failures < before.failures {
                return Err(format!("a task goes back: {before:?} became {row:?}"));
            }
            if before.ended_at.is_some() && before != row {
                return Err(format!("a task that has ended changes: {before:?} became {row:?}"));
            }
            if row.attempt > before.attempt && row.fence == before.fence {
                return Err(format!("a new attempt without a new fencing number: {row:?}"));
            }
        }
        self.rows = rows;
        Ok(())
    }

    /// Every change of state has its event, and is one that the domain allows.
    async fn check_history(&mut self) -> Result<(), String> {
        let events: Vec<(i64, Uuid, String)> =
            sqlx::query_as(EVENTS).bind(self.last_event).fetch_all(&mut self.conn).await.expect("the events");
        for (number, task, state) in events {
            self.last_event = number;
            let state = known(&state)?;
            match self.told.insert(task, state) {
                None if matches!(state, TaskState::Queued | TaskState::Scheduled) => {}
                None => return Err(format!("the history of {task} begins with {state}")),
                Some(before) if before.may_become(state) => {}
                // Not a change: a step is released before it is due.
                Some(TaskState::Scheduled) if state == TaskState::Scheduled => {}
                Some(before) => return Err(format!("the history of {task} goes from {before} to {state}")),
            }
        }
        for row in self.rows.values() {
            let told = self.told.get(&row.id).copied();
            if told != Some(known(&row.state)?) {
                return Err(format!("the history of {} says {told:?}, its row {}", row.id, row.state));
            }
        }
        Ok(())
    }
}

/// A result is that of the attempt that holds the task.
fn check_result(row: &Row) -> Result<(), String> {
    let Some(result) = &row.result else {
        return if row.state == "completed" { Err(format!("no result: {row:?}")) } else { Ok(()) };
    };
    let result: Value = serde_json::from_str(result).map_err(|error| error.to_string())?;
    if row.state == "completed" && result["attempt"] == row.attempt {
        return Ok(());
    }
    Err(format!("a result that is not the attempt's: {row:?}"))
}

/// Tasks and workflows that have not ended, and what is owed for them.
const LEFT: &str = "
    select 'task ' || id || ' is ' || state || ', due ' || available_at || ', leased until ' || coalesce(lease_until::text, '-')
    from tasks where ended_at is null
    union all select 'workflow ' || id || ' runs' from workflows where state = 'running'
    union all select 'a doorbell is owed' from outbox
    union all select 'a step signals' from workflow_signals
    union all select 'delivery ' || id || ' is owed, due ' || due_at from webhook_deliveries where state = 'owed'
    union all select 'schedule ' || id || ' is due at ' || next_at from schedules where next_at is not null";

/// When something is due by itself next.
const DUE: &str = "
    select min(at) from (
        select available_at as at from tasks where state in ('queued', 'scheduled', 'retrying')
        union all select lease_until from tasks where state = 'running'
        union all select ring_at from outbox
        union all select due_at from webhook_deliveries where state = 'owed'
        union all select next_at from schedules) d
    where at < '9999-12-30'";

impl Invariants {
    /// What is left to be done, in words.
    pub async fn left(&mut self) -> String {
        let left: Vec<String> = sqlx::query_scalar(LEFT).fetch_all(&mut self.conn).await.expect("what is left");
        left.join("; ")
    }

    /// Is nothing left to be done?
    pub async fn all_ended(&mut self) -> bool {
        self.left().await.is_empty()
    }

    /// Operators end what they paused and drained; owners end their schedules' pauses.
    pub async fn open_lanes(&mut self) {
        sqlx::query("update lanes set paused = false, draining = false").execute(&mut self.conn).await.expect("lanes");
    }

    /// A minute, or more when nothing is due sooner.
    pub async fn until_due(&mut self, now: DateTime<Utc>) -> chrono::Duration {
        let due: Option<DateTime<Utc>> = sqlx::query_scalar(DUE).fetch_one(&mut self.conn).await.expect("what is due");
        let minute = chrono::Duration::minutes(1);
        // The beat looks ahead: not past what it would have seen.
        due.map_or(minute, |at| at - now - chrono::Duration::seconds(75)).max(minute)
    }

    /// Every task is in one terminal state, and its history ends there once.
    pub async fn check_end(&mut self, trace: &mut Vec<String>) -> Result<(), String> {
        self.check().await?;
        let ends: Vec<(Uuid, i64)> = sqlx::query_as(
            "select task_id, count(*) filter (where state in ('completed', 'failed', 'cancelled', 'expired', 'dead'))
             from task_events group by task_id order by task_id",
        )
        .fetch_all(&mut self.conn)
        .await
        .expect("the ends");
        if let Some((task, n)) = ends.iter().find(|(_, n)| *n != 1) {
            return Err(format!("the task {task} ended {n} times"));
        }
        for row in self.rows.values() {
            trace.push(format!("{} {} after {} attempts", row.id, row.state, row.attempt));
        }
        Ok(())
    }
}
