//! `lambda_invoke`: a Lambda function does the work, written in whatever language, and its answer is the task's result.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use halyard_domain::outbound::{Callable, is_function, is_qualifier};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};
use tokio::time::Instant;

use crate::{
    context::TaskContext,
    input::{InputError, InvalidInput},
    log::LogLevel,
    task::{Task, TaskFailure},
    tools::{FunctionAnswer, FunctionCall, FunctionError, Tools},
};

/// The task type `lambda_invoke`.
#[derive(Debug, Clone, Default)]
pub struct LambdaInvoke {
    tools: Tools,
}

impl LambdaInvoke {
    /// With these tools.
    pub fn new(tools: Tools) -> Self {
        Self { tools }
    }
}

/// What is left of the attempt's time when the function is given up, so that the task can say so itself.
const RESERVE: Duration = Duration::from_millis(500);
/// The longest pause that Lambda may ask for.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);
/// How much of what a function says of its failure is repeated, in characters.
const SAID: usize = 1_000;

/// Which function, and what it is given. Other fields are tolerated and ignored.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "LambdaInvokeInput")]
pub struct Input {
    /// Its name. The operator of the platform says which may be invoked.
    #[schemars(regex(pattern = "^[A-Za-z0-9_-]{1,64}$"))]
    pub function: String,
    /// A version or an alias.
    #[serde(default)]
    #[schemars(regex(pattern = r"^(\$LATEST|[A-Za-z0-9_-]{1,128})$"))]
    pub qualifier: Option<String>,
    /// Any JSON. Without it `input` of the step before, or an empty object.
    #[serde(default)]
    #[schemars(with = "Option<Value>")]
    pub payload: Option<Box<RawValue>>,
    /// What the step before returned.
    #[serde(default)]
    #[schemars(with = "Option<Value>")]
    pub input: Option<Box<RawValue>>,
}

impl Task for LambdaInvoke {
    const TYPE: &'static str = "lambda_invoke";
    const DESCRIPTION: &'static str =
        "Invokes an AWS Lambda function, one that the operator allows, and returns its answer.";
    type Input = Input;
    type Output = Box<RawValue>;

    fn check(input: &Input) -> Result<(), InvalidInput> {
        let mut errors = Vec::new();
        if !is_function(&input.function) {
            let rule = "must be the name of a function: 1 to 64 letters, digits, - and _";
            errors.push(InputError::new("/function", "invalid_format", rule));
        }
        if !input.qualifier.as_deref().is_none_or(is_qualifier) {
            let rule = "must be $LATEST, or 1 to 128 letters, digits, - and _";
            errors.push(InputError::new("/qualifier", "invalid_format", rule));
        }
        if errors.is_empty() { Ok(()) } else { Err(InvalidInput(errors)) }
    }

    fn admit(&self, input: &Input) -> Result<(), InvalidInput> {
        admitted(&self.tools.callable, input).map_err(|why| InputError::new("/function", NOT_ALLOWED, why).into())
    }

    async fn run(&self, input: Input, context: TaskContext) -> Result<Box<RawValue>, TaskFailure> {
        // The list may have become shorter since the task was accepted.
        admitted(&self.tools.callable, &input).map_err(|why| TaskFailure::permanent(NOT_ALLOWED, why))?;
        let Some(functions) = &self.tools.functions else {
            return Err(TaskFailure::retryable("no_client", "this worker reaches no Lambda"));
        };
        let payload = input.payload.or(input.input).map_or_else(|| "{}".to_owned(), |json| json.get().to_owned());
        // A task may run more than once; the function can tell.
        let custom = json!({"custom": {"task_id": context.task_id(), "attempt": context.attempt()}});
        let call = FunctionCall {
            function: input.function,
            qualifier: input.qualifier,
            payload: payload.into_bytes(),
            client_context: BASE64_STANDARD.encode(custom.to_string()),
            limit: context.deadline().saturating_duration_since(Instant::now() + RESERVE),
        };
        context.log(LogLevel::Info, format!("invoking {}", call.function));
        let answer = tokio::select! {
            answer = functions.invoke(call) => answer,
            () = context.cancelled() => return Err(TaskFailure::cancelled()),
        };
        result_of(&answer.map_err(failure_of)?)
    }
}

const NOT_ALLOWED: &str = "function_not_allowed";

fn admitted(callable: &Callable, input: &Input) -> Result<(), String> {
    if callable.is_empty() {
        return Err("cannot be invoked: no functions are configured (TASK_FUNCTIONS)".to_owned());
    }
    let allowed = callable.has(&input.function, input.qualifier.as_deref());
    allowed.then_some(()).ok_or_else(|| "is not among the functions that tasks may invoke".to_owned())
}

fn result_of(answer: &FunctionAnswer) -> Result<Box<RawValue>, TaskFailure> {
    let text = String::from_utf8_lossy(&answer.payload).into_owned();
    if answer.failed {
        return Err(TaskFailure::retryable("function_failed", said_of(&text)));
    }
    if text.trim().is_empty() {
        return Ok(RawValue::NULL.to_owned());
    }
    // What is no JSON, which Lambda does not let through, is a text.
    let result = RawValue::from_string(text.clone()).or_else(|_| to_raw_value(&text));
    result.map_err(|error| TaskFailure::permanent("result_not_json", error.to_string()))
}

/// What a function says of its failure: `{"errorMessage", "errorType"}`, from every runtime.
fn said_of(text: &str) -> String {
    let said: Value = serde_json::from_str(text).unwrap_or_default();
    let field = |name: &str| said.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let whole = match (field("errorType"), field("errorMessage")) {
        (Some(kind), Some(message)) => format!("{kind}: {message}"),
        (None, Some(one)) | (Some(one), None) => one.to_owned(),
        (None, None) => text.to_owned(),
    };
    whole.chars().take(SAID).collect()
}

fn failure_of(error: FunctionError) -> TaskFailure {
    match error {
        FunctionError::Throttled(why, after) => {
            let failure = TaskFailure::retryable("throttled", why);
            after.map_or(failure.clone(), |pause| failure.after(pause.min(LONGEST_PAUSE)))
        }
        FunctionError::Unavailable(why) => TaskFailure::retryable("unavailable", why),
        FunctionError::Unknown(why) => TaskFailure::permanent("no_such_function", why),
        FunctionError::Refused(why) => TaskFailure::permanent("refused", why),
    }
}
