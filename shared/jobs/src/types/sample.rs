//! `sample`: answers what it was given, slowly or badly if asked to.

use std::{borrow::Cow, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    context::TaskContext,
    log::LogLevel,
    task::{Task, TaskFailure},
};

/// The task type `sample`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sample;

/// Any object: it comes back as it is. Clients of the original system send arbitrary fields, so a field below counts
/// only where it has the type that is expected, and is mere data otherwise.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct Input(Map<String, Value>);

/// The most steps that are told apart.
const MAX_STEPS: u64 = 10_000;

impl JsonSchema for Input {
    fn schema_name() -> Cow<'static, str> {
        "SampleInput".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "Any object. These fields steer the task where they have the form described; everything is echoed.",
            "properties": {
                "message": { "description": "Answered as `message`." },
                "duration_ms": { "description": "An integer: how long the task takes, in milliseconds (0).", "default": 0 },
                "steps": { "description": "An integer, 1 to 10000: into how many steps with progress the duration is cut (1).", "default": 1 },
                "fail": { "description": "`error` fails in a way that is retried, `permanent` in one that is not, `panic` panics." },
                "fail_attempts": { "description": "An integer: only the first so many attempts fail (all)." }
            },
            "additionalProperties": true
        })
    }
}

/// What `sample` answers.
#[derive(Debug, Clone, Serialize)]
pub struct Output {
    /// The input's `message`, or a greeting.
    message: Value,
    /// The whole input.
    echo: Map<String, Value>,
    /// Steps done.
    steps: u64,
    /// Which attempt did it.
    attempt: i16,
}

impl Input {
    fn number(&self, field: &str) -> Option<u64> {
        self.0.get(field).and_then(Value::as_u64)
    }
}

impl Task for Sample {
    const TYPE: &'static str = "sample";
    const DESCRIPTION: &'static str = "Echoes its data; can take a while, report progress, and fail on request.";
    type Input = Input;
    type Output = Output;

    async fn run(&self, input: Input, context: TaskContext) -> Result<Output, TaskFailure> {
        let steps = input.number("steps").map_or(1, |n| n.clamp(1, MAX_STEPS));
        let total = Duration::from_millis(input.number("duration_ms").unwrap_or(0));
        let pause = total / u32::try_from(steps).unwrap_or(1);
        let shows_steps = input.0.contains_key("steps");
        for step in 1..=steps {
            if context.is_cancelled() {
                return Err(TaskFailure::cancelled());
            }
            if !pause.is_zero() {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = context.cancelled() => return Err(TaskFailure::cancelled()),
                }
            }
            if shows_steps {
                context.log(LogLevel::Info, format!("step {step} of {steps}"));
                report(&context, step, steps);
            }
        }
        fail_if_asked(&input, context.attempt())?;
        let message = input.0.get("message").cloned().unwrap_or_else(|| "sample task completed".into());
        Ok(Output { message, echo: input.0, steps, attempt: context.attempt() })
    }
}

fn report(context: &TaskContext, step: u64, steps: u64) {
    #[expect(clippy::cast_precision_loss, reason = "at most ten thousand")]
    let percentage = step as f64 / steps as f64 * 100.0;
    let extra = [("current_step".to_owned(), json!(step)), ("total_steps".to_owned(), json!(steps))];
    context.progress(percentage, extra.into_iter().collect());
}

fn fail_if_asked(input: &Input, attempt: i16) -> Result<(), TaskFailure> {
    let spared = input.number("fail_attempts").is_some_and(|n| u64::from(attempt.unsigned_abs()) > n);
    match input.0.get("fail").and_then(Value::as_str) {
        _ if spared => Ok(()),
        Some("error") => Err(TaskFailure::retryable("asked_to_fail", "the data asked for a failure")),
        Some("permanent") => Err(TaskFailure::permanent("asked_to_fail", "the data asked for a permanent failure")),
        #[expect(clippy::panic, reason = "this is how the worker's handling of panics is shown")]
        Some("panic") => panic!("the data asked for a panic"),
        _ => Ok(()),
    }
}
