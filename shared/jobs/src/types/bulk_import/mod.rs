//! `bulk_import`: records into the table `imported_records`.
//!
//! All of them are read and judged before the first is written. Then each batch is one transaction with the attempt's checkpoint: an
//! attempt that vanishes has written whole batches, and the next one goes on behind them. That one asks a service anew; when it
//! answers otherwise by then, the first of its batches takes the place of all that were written. An import that ends otherwise
//! than completed leaves nothing behind (migration 20).

mod answer;
mod plan;
mod rules;

use std::{collections::BTreeMap, time::Duration};

use halyard_domain::outbound::Target;
use halyard_store::{Pool, StoreError, imports, tasks::Writer, within};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{json, value::to_raw_value};

use self::{plan::Plan, rules::Rules};
use super::{
    blocking, http_request,
    rows::{Frame, Table, float},
};
use crate::{
    context::TaskContext,
    input::{InputError, InvalidInput},
    log::LogLevel,
    task::{Task, TaskFailure},
    tools::Tools,
};

pub use rules::{Rule, Wrong};

/// The task type `bulk_import`.
#[derive(Debug, Clone, Default)]
pub struct BulkImport {
    tools: Tools,
}

impl BulkImport {
    /// With these tools.
    pub fn new(tools: Tools) -> Self {
        Self { tools }
    }
}

/// The most records of an import.
const MOST: usize = 100_000;
/// The most records of a batch.
const LARGEST_BATCH: usize = 10_000;
/// How long the database may take over a batch.
const BATCH: Duration = Duration::from_secs(20);

/// Where records come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ImportSource")]
pub enum Source {
    /// `records`, or `input` of the step before.
    Inline,
    /// A service that answers a GET of `url` with a list of objects, an object that has it, or CSV; 5 MB at most.
    ExternalApi,
}

/// What becomes of an import with an invalid record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorHandling {
    /// The others are imported.
    #[default]
    SkipInvalid,
    /// It fails, and nothing is imported.
    StopOnError,
}

/// What is imported, and how. Other fields are tolerated and ignored: who is to be told of the end stands in the task's `callbacks`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "BulkImportInput")]
pub struct Input {
    /// Where the records come from; 100000 at most.
    pub source: Source,
    /// What they are: letters from `a` to `z`, digits and `_`.
    #[schemars(regex(pattern = "^[a-z0-9_]{1,64}$"))]
    pub data_type: String,
    /// The records, of the source `inline`. Without them those of the step before (`input`).
    #[serde(default)]
    pub records: Option<Table>,
    /// What the step before returned.
    #[serde(default)]
    pub input: Option<Table>,
    /// Where the service is, of the source `external_api`: http or https, at an address of the public's.
    #[serde(default)]
    #[schemars(url, length(max = 2048))]
    pub url: Option<String>,
    /// What it is told in headers; 50 at most.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 50))]
    pub headers: BTreeMap<String, String>,
    /// Records that are written at a time.
    #[serde(default = "thousand")]
    #[schemars(range(min = 1, max = LARGEST_BATCH))]
    pub batch_size: usize,
    /// What must hold of each record.
    #[serde(default)]
    #[schemars(length(max = 10))]
    pub validation_rules: Vec<Rule>,
    /// The fields that each record must have; whoever names some need not name the rule. Without them it means all that any record has.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub required_fields: Vec<String>,
    /// What becomes of the others when a record is invalid.
    #[serde(default)]
    pub error_handling: ErrorHandling,
}

fn thousand() -> usize {
    1_000
}

/// What was imported.
#[derive(Debug, Clone, Serialize)]
pub struct Output {
    data_type: String,
    source: Source,
    /// How many there were.
    records: usize,
    /// How many are in the table now.
    imported: usize,
    /// How many were left out.
    invalid: usize,
    /// What is wrong with those, the first hundred errors.
    errors: Vec<Wrong>,
}

/// How far it is: the checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Begun {
    /// Of what: see [`Plan::digest`].
    digest: String,
    imported: usize,
}

impl Task for BulkImport {
    const TYPE: &'static str = "bulk_import";
    const DESCRIPTION: &'static str =
        "Imports records of its input, an earlier step or a service; what is invalid is left out, or ends the import.";
    const LONG: bool = true;
    type Input = Input;
    type Output = Output;

    fn check(input: &Input) -> Result<(), InvalidInput> {
        let mut errors = Vec::new();
        let mut refuse = |pointer: String, code, detail: String| errors.push(InputError::new(pointer, code, detail));
        if !is_data_type(&input.data_type) {
            let detail = "must be 1 to 64 characters of a-z, 0-9 and _".to_owned();
            refuse("/data_type".to_owned(), "invalid_format", detail);
        }
        match (input.source, &input.url) {
            (Source::Inline, _) => check_rows(input, &mut refuse),
            (Source::ExternalApi, None) => {
                refuse("/url".to_owned(), "required", "is required: the service that has the records".to_owned());
            }
            (Source::ExternalApi, Some(url)) => {
                if let Err(refusal) = Target::parse(url) {
                    refuse("/url".to_owned(), refusal.code(), refusal.to_string());
                }
            }
        }
        http_request::errors_in(&input.headers, &mut refuse);
        if !(1..=LARGEST_BATCH).contains(&input.batch_size) {
            refuse("/batch_size".to_owned(), "out_of_range", format!("must be between 1 and {LARGEST_BATCH}"));
        }
        rules::check(input, &mut refuse);
        if errors.is_empty() { Ok(()) } else { Err(InvalidInput(errors)) }
    }

    async fn run(&self, mut input: Input, context: TaskContext) -> Result<Output, TaskFailure> {
        let Some(pool) = &self.tools.database else {
            return Err(TaskFailure::retryable("no_database", "this worker has no database"));
        };
        let (rules, given) = (Rules::of(&input), self.given(&mut input, &context).await?);
        let plan = blocking(move || Ok(Plan::of(given.frame()?, &rules))).await?;
        context.log(LogLevel::Info, format!("{} records, {} of them invalid", plan.records, plan.invalid));
        if input.error_handling == ErrorHandling::StopOnError
            && let Some(wrong) = plan.errors.first()
        {
            return Err(TaskFailure::permanent("invalid_record", stopped(wrong, &plan)));
        }
        write(pool, &input, &plan, &context).await?;
        context.log(LogLevel::Info, format!("{} records imported", plan.lines.len()));
        Ok(Output {
            data_type: input.data_type,
            source: input.source,
            records: plan.records,
            imported: plan.lines.len(),
            invalid: plan.invalid,
            errors: plan.errors,
        })
    }
}

fn is_data_type(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

/// A step of a chain has its rows only when it runs, so none at all is no error yet.
fn check_rows(input: &Input, refuse: &mut impl FnMut(String, &'static str, String)) {
    for (pointer, table) in [("/records", &input.records), ("/input", &input.input)] {
        match table.as_ref().map(Table::count) {
            Some(Err(why)) => refuse(pointer.to_owned(), "invalid_value", why),
            Some(Ok(rows)) if rows > MOST => {
                refuse(pointer.to_owned(), "too_many", format!("may have {MOST} records at most"));
            }
            _ => {}
        }
    }
}

fn stopped(wrong: &Wrong, plan: &Plan) -> String {
    let Plan { records, invalid, .. } = plan;
    let Wrong { record, field, message, .. } = wrong;
    format!("record {record}: {field:?} {message}; {invalid} of {records} records are invalid, and none is imported")
}

/// What the records are read from.
enum Given {
    Table(Table),
    Answer(crate::tools::Called),
}

impl Given {
    fn frame(self) -> Result<Frame, TaskFailure> {
        let table = match self {
            Self::Table(table) => table,
            Self::Answer(answer) => answer::table_of(answer)?,
        };
        let frame =
            table.into_frame().map_err(|why| TaskFailure::permanent("invalid_rows", format!("the source {why}")))?;
        if frame.rows.len() > MOST {
            let n = frame.rows.len();
            return Err(TaskFailure::permanent("too_many_records", format!("{n} records; {MOST} is the most")));
        }
        Ok(frame)
    }
}

impl BulkImport {
    async fn given(&self, input: &mut Input, context: &TaskContext) -> Result<Given, TaskFailure> {
        if input.source == Source::ExternalApi {
            return answer::asked(&self.tools, input, context).await.map(Given::Answer);
        }
        let table = input.records.take().or(input.input.take());
        let none = || TaskFailure::permanent("no_records", "neither records nor input of an earlier step was given");
        table.map(Given::Table).ok_or_else(none)
    }
}

/// Batch after batch, until all are written or the attempt is asked to stop.
async fn write(pool: &Pool, input: &Input, plan: &Plan, context: &TaskContext) -> Result<(), TaskFailure> {
    let (mut done, mut anew) = match context.resume_from::<Begun>() {
        Some(begun) if begun.digest == plan.digest => (begun.imported, false),
        Some(_) => (0, true),
        None => (0, false),
    };
    if anew {
        context.log(LogLevel::Warning, "the source has changed since the import was begun: it is begun anew");
    }
    let whole = plan.lines.len();
    while done < whole || anew {
        if context.is_cancelled() {
            return Err(TaskFailure::cancelled());
        }
        let end = whole.min(done + input.batch_size);
        let batch = imports::Batch {
            data_type: &input.data_type,
            positions: &plan.positions[done..end],
            records: &plan.lines[done..end],
            anew,
        };
        one(pool, &batch, &Begun { digest: plan.digest.clone(), imported: end }, context).await?;
        (done, anew) = (end, false);
        let counts = json!({"imported": done, "invalid": plan.invalid, "records": plan.records});
        let counts = counts.as_object().cloned().unwrap_or_default();
        context.progress(float(done) / float(whole.max(1)) * 100.0, counts);
    }
    Ok(())
}

async fn one(pool: &Pool, batch: &imports::Batch<'_>, begun: &Begun, context: &TaskContext) -> Result<(), TaskFailure> {
    let by = Writer { task: context.task_id(), user: context.user_id(), attempt: context.attempt() };
    let checkpoint = to_raw_value(begun).unwrap_or_default();
    let written = within(BATCH, async {
        let mut conn = pool.acquire().await?;
        imports::write(&mut conn, by, batch, &checkpoint, context.database_override()).await
    });
    match written.await {
        Ok(true) => Ok(()),
        Ok(false) => Err(TaskFailure::retryable("lease_lost", "another attempt has the task")),
        Err(error) => Err(failed(&error)),
    }
}

fn failed(error: &StoreError) -> TaskFailure {
    TaskFailure::retryable("database", error.to_string())
}
