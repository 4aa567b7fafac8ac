//! `data_extraction`: rows of the caller's own data, or of what came with the task. No SQL is taken from anybody: a dataset is
//! one of those that are named here, and its rows are the caller's.

use chrono::{DateTime, FixedOffset, Utc};
use halyard_domain::{UserId, task::TaskState};
use halyard_store::{
    Pool, StoreError,
    statistics::{self, TypeStats},
    tasks::{self, Filter, TaskSummary},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    blocking,
    rows::{Frame, Row, Table, float},
};
use crate::{
    context::TaskContext,
    input::{InputError, InvalidInput},
    log::LogLevel,
    task::{Task, TaskFailure},
    tools::Tools,
};

/// The task type `data_extraction`.
#[derive(Debug, Clone, Default)]
pub struct DataExtraction {
    tools: Tools,
}

impl DataExtraction {
    /// With these tools.
    pub fn new(tools: Tools) -> Self {
        Self { tools }
    }
}

/// The most rows.
const MOST: usize = 10_000;
/// Rows that one statement reads.
const PAGE: i64 = 500;

/// Where rows come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ExtractionSource")]
pub enum Source {
    /// What Halyard keeps of the caller: a `dataset`.
    Database,
    /// `data`, or `input` of the step before.
    Inline,
}

/// What can be read of the database: the caller's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dataset {
    /// The tasks, newest first.
    Tasks,
    /// How many tasks of each type, and how they ended.
    TaskStatistics,
}

impl Dataset {
    fn named(name: &str) -> Option<Self> {
        serde_json::from_value(Value::String(name.trim().to_owned())).ok()
    }
}

/// Which tasks.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Filters {
    /// In this state.
    #[schemars(with = "Option<String>")]
    pub status: Option<TaskState>,
    /// Of this type.
    pub task_type: Option<String>,
    /// Accepted at or after.
    pub submitted_after: Option<DateTime<FixedOffset>>,
    /// Accepted before.
    pub submitted_before: Option<DateTime<FixedOffset>>,
}

/// What is read. Other fields are tolerated and ignored.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "DataExtractionInput")]
pub struct Input {
    /// Where from.
    pub source: Source,
    /// Which dataset of the database.
    #[serde(default)]
    pub dataset: Option<Dataset>,
    /// The dataset's name, as the original calls it. SQL is refused.
    #[serde(default)]
    pub query: Option<String>,
    /// The rows themselves.
    #[serde(default)]
    pub data: Option<Table>,
    /// What the step before returned.
    #[serde(default)]
    pub input: Option<Table>,
    /// Which tasks, for `tasks`.
    #[serde(default)]
    pub filters: Filters,
    /// The columns that are wanted, in their order; all when none are given.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub columns: Vec<String>,
    /// The most rows.
    #[serde(default = "thousand")]
    #[schemars(range(min = 1, max = MOST))]
    pub limit: usize,
}

fn thousand() -> usize {
    1_000
}

impl Input {
    fn chosen(&self) -> Option<Dataset> {
        self.dataset.or_else(|| Dataset::named(self.query.as_deref()?))
    }
}

/// The rows.
#[derive(Debug, Clone, Serialize)]
pub struct Output {
    source: Source,
    dataset: Option<Dataset>,
    columns: Vec<String>,
    rows: Vec<Row>,
    row_count: usize,
    /// Whether there may be more.
    truncated: bool,
}

impl Task for DataExtraction {
    const TYPE: &'static str = "data_extraction";
    const DESCRIPTION: &'static str =
        "Reads rows of the caller's own tasks and statistics, or of what comes with it, for later steps.";
    type Input = Input;
    type Output = Output;

    fn check(input: &Input) -> Result<(), InvalidInput> {
        let mut errors = Vec::new();
        let mut refuse = |pointer: &str, code, detail: String| errors.push(InputError::new(pointer, code, detail));
        let known = "the datasets are tasks and task_statistics";
        match (input.source, &input.query, input.chosen()) {
            (Source::Database, Some(query), None) if query.trim().contains(char::is_whitespace) => {
                refuse("/query", "sql_not_accepted", format!("no SQL is run for anybody; {known}"));
            }
            (Source::Database, Some(_), None) => refuse("/query", "unknown_dataset", format!("is none; {known}")),
            (Source::Database, None, None) => refuse("/dataset", "required", format!("is required; {known}")),
            _ => {}
        }
        for (pointer, table) in [("/data", &input.data), ("/input", &input.input)] {
            if let Some(Err(why)) = table.as_ref().map(Table::count) {
                refuse(pointer, "invalid_value", why);
            }
        }
        if !(1..=MOST).contains(&input.limit) {
            refuse("/limit", "out_of_range", "must be between 1 and 10000".to_owned());
        }
        if input.columns.len() > 100 {
            refuse("/columns", "too_many", "may have 100 entries at most".to_owned());
        }
        if errors.is_empty() { Ok(()) } else { Err(InvalidInput(errors)) }
    }

    // No checkpoints: reading ten thousand rows again takes a moment.
    async fn run(&self, input: Input, context: TaskContext) -> Result<Output, TaskFailure> {
        let dataset = match input.source {
            Source::Database => input.chosen(),
            Source::Inline => None,
        };
        let mut frame = match dataset {
            Some(dataset) => self.read(dataset, &input, &context).await?,
            None => inline(input.data.or(input.input), &context).await?,
        };
        let truncated = frame.rows.len() > input.limit;
        frame.rows.truncate(input.limit);
        if !input.columns.is_empty() {
            for row in &mut frame.rows {
                row.retain(|name, _| input.columns.contains(name));
            }
            frame.columns = input.columns;
        }
        let row_count = frame.rows.len();
        context.log(LogLevel::Info, format!("{row_count} rows"));
        Ok(Output { source: input.source, dataset, columns: frame.columns, rows: frame.rows, row_count, truncated })
    }
}

impl DataExtraction {
    async fn read(&self, dataset: Dataset, input: &Input, context: &TaskContext) -> Result<Frame, TaskFailure> {
        let Some(pool) = &self.tools.database else {
            return Err(TaskFailure::retryable("no_database", "this worker reads no database"));
        };
        match dataset {
            Dataset::Tasks => tasks_of(pool, context, &input.filters, input.limit + 1).await,
            Dataset::TaskStatistics => statistics_of(pool, context.user_id()).await,
        }
    }
}

async fn inline(given: Option<Table>, context: &TaskContext) -> Result<Frame, TaskFailure> {
    let Some(table) = given else {
        context.log(LogLevel::Warning, "there are no rows: neither data nor input of an earlier step was given");
        return Ok(Frame::default());
    };
    let bad = |why: String| TaskFailure::permanent("invalid_rows", format!("the rows {why}"));
    blocking(move || table.into_frame().map_err(bad)).await
}

fn failed(error: &StoreError) -> TaskFailure {
    TaskFailure::retryable("database", error.to_string())
}

async fn tasks_of(pool: &Pool, context: &TaskContext, filters: &Filters, most: usize) -> Result<Frame, TaskFailure> {
    let utc = |at: DateTime<FixedOffset>| at.with_timezone(&Utc);
    let filter = Filter {
        state: filters.status,
        task_type: filters.task_type.clone(),
        submitted_after: filters.submitted_after.map(utc),
        submitted_before: filters.submitted_before.map(utc),
        ..Filter::default()
    };
    let (mut rows, mut cursor) = (Vec::new(), None);
    while rows.len() < most {
        if context.is_cancelled() {
            return Err(TaskFailure::cancelled());
        }
        let mut connection = pool.acquire().await.map_err(|error| failed(&error))?;
        let page = tasks::list(&mut connection, Some(context.user_id()), &filter, cursor, PAGE).await;
        drop(connection);
        let page = page.map_err(|error| failed(&error))?;
        cursor = page.next;
        rows.extend(page.tasks.iter().map(task_row));
        let extra = Map::from_iter([("rows".to_owned(), json!(rows.len()))]);
        context.progress(float(rows.len()) / float(most) * 100.0, extra);
        if cursor.is_none() {
            break;
        }
    }
    let columns =
        ["task_id", "task_type", "status", "priority", "attempt", "error", "created_at", "started_at", "ended_at"];
    Ok(Frame { columns: columns.map(str::to_owned).to_vec(), rows })
}

fn task_row(task: &TaskSummary) -> Row {
    let row = json!({
        "task_id": task.id,
        "task_type": task.task_type,
        "status": task.state,
        "priority": task.priority.get(),
        "attempt": task.attempt,
        "error": task.error,
        "created_at": task.created_at,
        "started_at": task.started_at,
        "ended_at": task.ended_at,
    });
    match row {
        Value::Object(row) => row,
        _ => Row::new(),
    }
}

async fn statistics_of(pool: &Pool, user: UserId) -> Result<Frame, TaskFailure> {
    let mut connection = pool.acquire().await.map_err(|error| failed(&error))?;
    let overview = statistics::overview(&mut connection, Some(user), None).await.map_err(|error| failed(&error))?;
    let columns = ["task_type", "submitted", "completed", "failed", "cancelled", "expired", "dead", "avg_seconds"]
        .map(str::to_owned);
    Ok(Frame { columns: columns.to_vec(), rows: overview.by_type.iter().map(type_row).collect() })
}

fn type_row(of_type: &TypeStats) -> Row {
    let counts = &of_type.counts;
    let row = json!({
        "task_type": of_type.task_type,
        "submitted": counts.submitted,
        "completed": counts.completed,
        "failed": counts.failed,
        "cancelled": counts.cancelled,
        "expired": counts.expired,
        "dead": counts.dead,
        "avg_seconds": of_type.avg_seconds,
    });
    match row {
        Value::Object(row) => row,
        _ => Row::new(),
    }
}
