//! `report_generation`: a report about rows, as HTML, CSV, JSON or PDF.

mod html;
mod pdf;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, SecondsFormat, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    blocking,
    rows::{self, Figures, Frame, Table, figures, numbers},
};
use crate::{
    context::TaskContext,
    input::{InputError, InvalidInput},
    log::LogLevel,
    task::{Task, TaskFailure},
};

/// The task type `report_generation`.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReportGeneration;

/// The most rows that a report writes out; its figures are about all of them.
const MOST_ROWS: usize = 1_000;
/// The longest name or title, in characters.
const LONGEST: usize = 200;

/// A form of a report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ReportFormat")]
pub enum Format {
    /// A page of its own.
    #[default]
    Html,
    /// The rows.
    Csv,
    /// Figures and rows.
    Json,
    /// A document, in base64.
    Pdf,
}

/// What the report is about. Other fields are tolerated and ignored.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "ReportGenerationInput")]
pub struct Input {
    /// The report's name, `daily_sales`: its title, unless there is one.
    #[schemars(length(min = 1, max = 200))]
    pub template: String,
    /// Its form.
    #[serde(default)]
    pub format: Format,
    /// Its title.
    #[serde(default)]
    #[schemars(length(max = 200))]
    pub title: Option<String>,
    /// The rows. Without them those of the step before (`input`).
    #[serde(default)]
    pub data: Option<Table>,
    /// What the step before returned.
    #[serde(default)]
    pub input: Option<Table>,
    /// Not supported: tasks send no mail. The report is this task's result, which says so.
    #[serde(default)]
    pub recipients: Vec<String>,
}

/// The report.
#[derive(Debug, Clone, Serialize)]
pub struct Output {
    template: String,
    title: String,
    format: Format,
    media_type: &'static str,
    /// How `content` is to be read: `utf-8` or `base64`.
    encoding: &'static str,
    content: String,
    /// Of the report itself.
    size_bytes: usize,
    /// Rows that it is about.
    row_count: usize,
    generated_at: String,
    /// What was asked for and not done.
    warnings: Vec<String>,
}

/// What every form says.
pub(super) struct Report {
    title: String,
    generated_at: String,
    frame: Frame,
    figures: Vec<(String, Figures)>,
}

impl Report {
    fn shown(&self) -> impl Iterator<Item = &rows::Row> {
        self.frame.rows.iter().take(MOST_ROWS)
    }

    /// How many rows are not written out.
    fn left_out(&self) -> usize {
        self.frame.rows.len().saturating_sub(MOST_ROWS)
    }
}

impl Task for ReportGeneration {
    const TYPE: &'static str = "report_generation";
    const DESCRIPTION: &'static str =
        "Writes a report about rows: their figures and themselves, as HTML, CSV, JSON or PDF.";
    type Input = Input;
    type Output = Output;

    fn check(input: &Input) -> Result<(), InvalidInput> {
        let mut errors = Vec::new();
        for (pointer, table) in [("/data", &input.data), ("/input", &input.input)] {
            if let Some(Err(why)) = table.as_ref().map(Table::count) {
                errors.push(InputError::new(pointer, "invalid_value", why));
            }
        }
        let fits = |text: &str| (1..=LONGEST).contains(&text.trim().chars().count());
        let names = [("/template", Some(&input.template)), ("/title", input.title.as_ref())];
        for (pointer, text) in names {
            if text.is_some_and(|text| !fits(text)) {
                errors.push(InputError::new(pointer, "invalid_length", "must have 1 to 200 characters"));
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(InvalidInput(errors)) }
    }

    async fn run(&self, input: Input, context: TaskContext) -> Result<Output, TaskFailure> {
        let mut warnings = Vec::new();
        if !input.recipients.is_empty() {
            warnings.push("nothing was mailed to the recipients: tasks send no mail".to_owned());
        }
        let given = input.data.or(input.input);
        if given.is_none() {
            warnings.push("there were no rows: neither data nor input of an earlier step was given".to_owned());
        }
        for warning in &warnings {
            context.log(LogLevel::Warning, warning.as_str());
        }
        let title = input.title.unwrap_or_else(|| titled(&input.template));
        let now = context.now();
        let report = blocking(move || gather(given, title, now)).await?;
        if context.is_cancelled() {
            return Err(TaskFailure::cancelled());
        }
        context.progress(50.0, Map::from_iter([("rows".to_owned(), json!(report.frame.rows.len()))]));
        let format = input.format;
        let (report, bytes) = blocking(move || render(&report, format).map(|bytes| (report, bytes))).await?;
        context.log(LogLevel::Info, format!("{} rows, {} bytes", report.frame.rows.len(), bytes.len()));
        let size_bytes = bytes.len();
        let (encoding, text) = match String::from_utf8(bytes) {
            Ok(text) if format != Format::Pdf => ("utf-8", text),
            Ok(text) => ("base64", BASE64_STANDARD.encode(text)),
            Err(bytes) => ("base64", BASE64_STANDARD.encode(bytes.into_bytes())),
        };
        Ok(Output {
            template: input.template,
            title: report.title,
            format,
            media_type: media_type(format),
            encoding,
            content: text,
            size_bytes,
            row_count: report.frame.rows.len(),
            generated_at: report.generated_at,
            warnings,
        })
    }
}

fn media_type(format: Format) -> &'static str {
    match format {
        Format::Html => "text/html; charset=utf-8",
        Format::Csv => "text/csv; charset=utf-8",
        Format::Json => "application/json",
        Format::Pdf => "application/pdf",
    }
}

/// `daily_sales` as people write it.
fn titled(template: &str) -> String {
    let words = template.trim().replace(['_', '-'], " ");
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn gather(given: Option<Table>, title: String, now: DateTime<Utc>) -> Result<Report, TaskFailure> {
    let frame = given.map_or(Ok(Frame::default()), Table::into_frame);
    let frame = frame.map_err(|why| TaskFailure::permanent("invalid_rows", format!("the rows {why}")))?;
    let measured = frame.numeric_columns().into_iter();
    let figures = measured.filter_map(|name| Some((name.clone(), figures(numbers(&frame.rows, &name))?))).collect();
    Ok(Report { title, generated_at: now.to_rfc3339_opts(SecondsFormat::Secs, true), frame, figures })
}

fn render(report: &Report, format: Format) -> Result<Vec<u8>, TaskFailure> {
    let failed = |why: String| TaskFailure::permanent("not_writable", why);
    match format {
        Format::Html => Ok(html::page(report).into_bytes()),
        Format::Csv => rows::to_csv(&report.frame).map(String::into_bytes).map_err(failed),
        Format::Json => serde_json::to_vec(&object(report)).map_err(|error| failed(error.to_string())),
        Format::Pdf => Ok(pdf::document(report)),
    }
}

fn object(report: &Report) -> Value {
    let figures = report.figures.iter().map(|(name, figures)| (name.clone(), json!(figures)));
    json!({
        "title": report.title,
        "generated_at": report.generated_at,
        "row_count": report.frame.rows.len(),
        "columns": report.frame.columns,
        "figures": figures.collect::<Map<_, _>>(),
        "rows": report.shown().collect::<Vec<_>>(),
        "rows_left_out": report.left_out(),
    })
}

/// A number as people read it: no more than four places.
fn shown(number: f64) -> String {
    let text = format!("{number:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
