//! `GET /tasks/types`

use axum::{extract::State, response::IntoResponse};
use halyard_domain::authz::Permission;
use halyard_http::{Caller, openapi::Operation, success};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::state::AppState;

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
struct Response {
    types: Vec<TypeView>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TaskType")]
struct TypeView {
    task_type: &'static str,
    description: &'static str,
    /// Whether it runs in the lane `long`.
    long: bool,
    /// The permission that whoever has such tasks run must have; null: everybody may.
    requires: Option<&'static str>,
    /// The JSON Schema of `data`.
    #[schemars(with = "serde_json::Map<String, Value>")]
    input_schema: Value,
}

/// Every task type with the schema of its input.
pub async fn handler(State(state): State<AppState>, Caller(_): Caller) -> impl IntoResponse {
    let types = state.registry.iter().map(|task| TypeView {
        task_type: task.task_type(),
        description: task.description(),
        long: task.is_long(),
        requires: task.requires().map(Permission::as_str),
        input_schema: task.schema(),
    });
    success(Response { types: types.collect() })
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("listTaskTypes", "Every task type with the schema of its input").answers::<Response>("The types.");
}
