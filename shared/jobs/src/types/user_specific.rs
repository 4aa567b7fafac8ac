//! `user_specific`: the original's task about the caller.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    context::TaskContext,
    task::{Task, TaskFailure},
};

/// The task type `user_specific`.
#[derive(Debug, Clone, Copy, Default)]
pub struct UserSpecific;

/// Any object.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(rename = "UserSpecificInput")]
pub struct Input(Map<String, Value>);

/// What `user_specific` answers.
#[derive(Debug, Clone, Serialize)]
pub struct Output {
    /// Whose task it was.
    user_id: i64,
    /// In words.
    message: String,
    /// The input.
    data: Map<String, Value>,
    /// What the input consists of.
    summary: Summary,
}

/// What an object consists of.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Its fields, in their order.
    fields: Vec<String>,
    /// How many there are.
    field_count: usize,
    /// How many of them hold text.
    text_fields: usize,
    /// How many hold a number.
    numeric_fields: usize,
    /// How many are null.
    null_fields: usize,
    /// The size of the object as compact JSON, in bytes.
    size_bytes: usize,
}

impl Task for UserSpecific {
    const TYPE: &'static str = "user_specific";
    const DESCRIPTION: &'static str = "Answers the caller's own data with the caller's id and a summary of the data.";
    type Input = Input;
    type Output = Output;

    async fn run(&self, Input(data): Input, context: TaskContext) -> Result<Output, TaskFailure> {
        let count = |is: fn(&Value) -> bool| data.values().filter(|value| is(value)).count();
        let summary = Summary {
            fields: data.keys().cloned().collect(),
            field_count: data.len(),
            text_fields: count(Value::is_string),
            numeric_fields: count(Value::is_number),
            null_fields: count(Value::is_null),
            size_bytes: serde_json::to_string(&data).map_or(0, |text| text.len()),
        };
        let user_id = context.user_id().0;
        let message = format!("processed {} fields for user {user_id}", summary.field_count);
        Ok(Output { user_id, message, data, summary })
    }
}
