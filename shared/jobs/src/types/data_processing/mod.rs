//! `data_processing`: the profile of a CSV that comes as text in the input.

mod column;
mod detect;
mod distinct;
mod numbers;
mod output;
mod profile;
mod value;

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

pub use output::{ColumnProfile, ColumnType, CountedValue, MalformedRows, Profile, Quantiles};
pub use profile::Profiler;

use super::blocking;
use crate::{
    context::TaskContext,
    input::{InputError, InvalidInput},
    log::LogLevel,
    task::{Task, TaskFailure},
};

/// The task type `data_processing`.
#[derive(Debug, Clone, Copy, Default)]
pub struct DataProcessing;

/// A CSV to be profiled. Other fields are tolerated and ignored.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "DataProcessingInput")]
pub struct Input {
    /// The CSV itself, UTF-8, its first line the header.
    pub csv: String,
    /// The character between two fields: one of `,`, `;`, tab, `|`, or any other single ASCII character. Without it,
    /// the one of these four that divides the header most often.
    #[serde(default)]
    pub delimiter: Option<String>,
    /// How many of the most frequent values each column shows, 0 to 100.
    #[serde(default = "default_top")]
    #[schemars(range(min = 0, max = 100))]
    pub top: u32,
}

fn default_top() -> u32 {
    5
}

/// How much text one blocking piece of work takes on: some milliseconds, so that a cancellation is noticed soon and
/// nothing runs on for long after the attempt has been given up.
const PIECE: u64 = 128 * 1024;
/// Progress is reported at most this often.
const REPORT_EVERY: Duration = Duration::from_millis(200);

impl Task for DataProcessing {
    const TYPE: &'static str = "data_processing";
    const DESCRIPTION: &'static str =
        "Profiles a CSV: per column its type, nulls, distinct values, range, mean, quantiles and most frequent values.";
    type Input = Input;
    type Output = Profile;

    fn check(input: &Input) -> Result<(), InvalidInput> {
        let mut errors = Vec::new();
        if input.csv.trim().is_empty() {
            errors.push(InputError::new("/csv", "empty", "must hold a header line"));
        }
        if input.delimiter.as_deref().is_some_and(|text| detect::delimiter_byte(text).is_none()) {
            errors.push(InputError::new(
                "/delimiter",
                "invalid_value",
                "must be one ASCII character other than a quote or line break",
            ));
        }
        if input.top > 100 {
            errors.push(InputError::new("/top", "out_of_range", "must be between 0 and 100"));
        }
        if errors.is_empty() { Ok(()) } else { Err(InvalidInput(errors)) }
    }

    // No checkpoints: the input of a task fits into one request, and profiling it anew takes less than a second.
    async fn run(&self, input: Input, context: TaskContext) -> Result<Profile, TaskFailure> {
        let total = input.csv.len() as u64;
        let mut profiler = Profiler::new(input)?;
        context.log(LogLevel::Info, format!("profiling {total} bytes, {} columns", profiler.columns()));
        let mut reported = Instant::now();
        loop {
            if context.is_cancelled() {
                return Err(TaskFailure::cancelled());
            }
            let (back, more) = blocking(move || {
                let mut profiler = profiler;
                let more = profiler.read(PIECE)?;
                Ok((profiler, more))
            })
            .await?;
            profiler = back;
            if !more {
                break;
            }
            if reported.elapsed() >= REPORT_EVERY {
                reported = Instant::now();
                report(&context, &profiler, total);
            }
        }
        report(&context, &profiler, total);
        let profile = blocking(move || Ok(profiler.finish())).await?;
        context
            .log(LogLevel::Info, format!("profiled {} rows; {} malformed", profile.rows, profile.malformed_rows.count));
        Ok(profile)
    }
}

fn report(context: &TaskContext, profiler: &Profiler, total: u64) {
    let done = profiler.position();
    #[expect(clippy::cast_precision_loss, reason = "an input is a few megabytes")]
    let percentage = done as f64 / total.max(1) as f64 * 100.0;
    let extra = [
        ("bytes_processed".to_owned(), json!(done)),
        ("total_bytes".to_owned(), json!(total)),
        ("rows_processed".to_owned(), json!(profiler.rows())),
    ];
    context.progress(percentage, extra.into_iter().collect());
}
