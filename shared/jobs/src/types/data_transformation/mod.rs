//! `data_transformation`: rows in, rows out, with steps between them.

mod steps;

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Map, Value, json};

pub use steps::Step;

use super::{
    blocking,
    rows::{self, Frame, Table},
};
use crate::{
    context::TaskContext,
    input::{InputError, InvalidInput},
    log::LogLevel,
    task::{Task, TaskFailure},
};

/// The task type `data_transformation`.
#[derive(Debug, Clone, Copy, Default)]
pub struct DataTransformation;

/// The most steps.
const MOST: usize = 50;

/// A form of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "RowFormat")]
pub enum Format {
    /// Text with a header line.
    Csv,
    /// A list of objects.
    Json,
}

/// What is transformed, and how. Other fields are tolerated and ignored.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "DataTransformationInput")]
pub struct Input {
    /// The rows. Without them those of the step before (`input`).
    #[serde(default)]
    pub data: Option<Table>,
    /// What the step before returned.
    #[serde(default)]
    pub input: Option<Table>,
    /// The form of the rows; found out when it is not given.
    #[serde(default)]
    pub input_format: Option<Format>,
    /// The form of the answer.
    #[serde(default = "json_format")]
    pub output_format: Format,
    /// What is done to them, one after the other; 50 at most.
    #[serde(default)]
    #[schemars(length(max = 50))]
    pub transformations: Vec<Named>,
}

fn json_format() -> Format {
    Format::Json
}

/// A step, or only its name where everything else may be left out.
#[derive(Debug, Clone)]
pub struct Named(Step);

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let step = match Value::deserialize(d)? {
            Value::String(name) => json!({ "type": name }),
            other => other,
        };
        serde_json::from_value(step).map(Self).map_err(D::Error::custom)
    }
}

impl JsonSchema for Named {
    fn schema_name() -> Cow<'static, str> {
        "Transformation".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let step = generator.subschema_for::<Step>();
        json_schema!({
            "anyOf": [step, {
                "description": "The name of a step without its parameters.",
                "enum": ["aggregate", "normalize", "deduplicate"]
            }]
        })
    }
}

/// What came out.
#[derive(Debug, Clone, Serialize)]
#[expect(clippy::struct_field_names, reason = "clients read them so")]
pub struct Output {
    /// The form of `output`.
    output_format: Format,
    /// The rows, as a list or as CSV.
    output: Value,
    /// The columns, in their order.
    columns: Vec<String>,
    /// Rows that went in.
    rows_in: usize,
    /// Rows that came out.
    rows_out: usize,
    /// Each step with the rows that it left.
    steps: Vec<Done>,
}

/// A step that was done.
#[derive(Debug, Clone, Serialize)]
struct Done {
    step: &'static str,
    rows: usize,
}

impl Task for DataTransformation {
    const TYPE: &'static str = "data_transformation";
    const DESCRIPTION: &'static str = "Transforms rows of CSV or JSON: filter, sort, select, drop, rename, convert, fill, \
                                       deduplicate, normalize, aggregate, limit.";
    type Input = Input;
    type Output = Output;

    fn check(input: &Input) -> Result<(), InvalidInput> {
        let mut errors = Vec::new();
        for (pointer, table) in [("/data", &input.data), ("/input", &input.input)] {
            if let Some(Err(why)) = table.as_ref().map(Table::count) {
                errors.push(InputError::new(pointer, "invalid_value", why));
            }
        }
        if input.transformations.len() > MOST {
            errors.push(InputError::new("/transformations", "too_many", "may have 50 steps at most"));
        }
        for (at, Named(step)) in input.transformations.iter().enumerate() {
            if let Err(why) = step.check() {
                errors.push(InputError::new(format!("/transformations/{at}"), "invalid_value", why));
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(InvalidInput(errors)) }
    }

    // No checkpoints: the rows fit into one request, and a step over them takes a moment.
    async fn run(&self, input: Input, context: TaskContext) -> Result<Output, TaskFailure> {
        let given = input.data.or(input.input);
        if given.is_none() {
            context.log(LogLevel::Warning, "there are no rows: neither data nor input of an earlier step was given");
        }
        let bad = |why: String| TaskFailure::permanent("invalid_rows", format!("the rows {why}"));
        let mut frame = blocking(move || given.map_or(Ok(Frame::default()), Table::into_frame).map_err(bad)).await?;
        let (rows_in, total) = (frame.rows.len(), input.transformations.len());
        let mut steps = Vec::with_capacity(total);
        for (at, Named(step)) in input.transformations.into_iter().enumerate() {
            if context.is_cancelled() {
                return Err(TaskFailure::cancelled());
            }
            let name = step.name();
            frame = blocking(move || Ok(step.apply(frame))).await?;
            let rows = frame.rows.len();
            context.log(LogLevel::Info, format!("{name}: {rows} rows"));
            steps.push(Done { step: name, rows });
            report(&context, at + 1, total, rows);
        }
        blocking(move || finish(input.output_format, frame, rows_in, steps)).await
    }
}

fn finish(output_format: Format, frame: Frame, rows_in: usize, steps: Vec<Done>) -> Result<Output, TaskFailure> {
    let rows_out = frame.rows.len();
    let output = match output_format {
        Format::Json => Value::Array(frame.rows.into_iter().map(Value::Object).collect()),
        Format::Csv => {
            let csv = rows::to_csv(&frame).map_err(|why| TaskFailure::permanent("invalid_rows", why))?;
            Value::String(csv)
        }
    };
    Ok(Output { output_format, output, columns: frame.columns, rows_in, rows_out, steps })
}

fn report(context: &TaskContext, done: usize, total: usize, rows: usize) {
    let extra = [("steps_done", json!(done)), ("total_steps", json!(total)), ("rows", json!(rows))];
    let extra: Map<String, Value> = extra.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    context.progress(rows::float(done) / rows::float(total.max(1)) * 100.0, extra);
}
