//! `GET /tasks/logs/{id}`

mod format;

use std::time::Duration;

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use halyard_cloud::task_logs::LogLine;
use halyard_domain::{TaskId, authz::Permission};
use halyard_http::{ApiResult, AppPath, AppQuery, Caller, FieldError, Problem, openapi::Operation};
use halyard_store::tasks;
use http::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::time::sleep;

use super::database;
use crate::{
    error::TaskError,
    state::{AppState, scope},
};
use format::Format;

/// Which lines.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Request {
    /// The id of the last line that is known.
    #[schemars(length(max = 64), regex(pattern = "^[!-~]*$"))]
    after: Option<String>,
    /// Whether to wait, up to 20 seconds, for the first line.
    #[serde(default)]
    follow: bool,
}

/// The most lines of one answer; the rest comes `after`.
const LINES: u32 = 1_000;
/// The longest wait for a line.
const FOLLOW: Duration = Duration::from_secs(20);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// A task's log, as text, JSON lines or server-sent events. An answer is finite: `?after=` (or `Last-Event-ID`) takes it
/// up again where `X-Log-Cursor` says that it ended, and `?follow=true` waits up to 20 s for the first line.
pub async fn handler(
    State(state): State<AppState>,
    Caller(caller): Caller,
    AppPath(id): AppPath<TaskId>,
    AppQuery(request): AppQuery<Request>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let format = Format::of(&headers);
    let after = request.after.or_else(|| format::last_event_id(&headers));
    if after.as_deref().is_some_and(|id| id.len() > 64 || !id.bytes().all(|b| b.is_ascii_graphic())) {
        let error = FieldError::new("/after", "invalid_value", "is not the id of a log line");
        return Err(Problem::unprocessable(vec![error]));
    }
    let scope = scope(&caller, Permission::TasksReadAll);
    if format == Format::Events && after.as_deref() == Some(format::END) {
        let found = database(&state, async |conn| tasks::get(conn, id, scope).await).await;
        found.map_err(TaskError::from)?.ok_or(TaskError::NotFound)?;
        // The HTML standard, section 9.2.1: a client that hears this does not come back.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let after = after.filter(|id| !id.is_empty()).map(|id| format::cursor(&id));
    let until = state.clock.now() + FOLLOW;
    loop {
        // The state first: a task that has ended by now has all its lines.
        let found = database(&state, async |conn| tasks::get(conn, id, scope).await).await;
        let task = found.map_err(TaskError::from)?.ok_or(TaskError::NotFound)?;
        let lines = read(&state, id, after.as_deref()).await?;
        let waits = request.follow || format == Format::Events;
        if !lines.is_empty() || !waits || task.state.is_terminal() || state.clock.now() + LOOK > until {
            let whole = u32::try_from(lines.len()).is_ok_and(|count| count < LINES);
            return Ok(format.respond(&lines, after.as_deref(), &task, whole));
        }
        sleep(LOOK).await;
    }
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("getTaskLog", "A task's log")
        .detail(
            "`Accept` chooses the form: text, JSON lines, or server-sent events. An answer is finite, of at most 1,000 \
                 lines; `after`, or `Last-Event-ID`, takes it up where `X-Log-Cursor` says that it ended. Of the server-sent \
                 events `message` is a line, `progress` how far the task is, and `end` its state once it has ended.",
        )
        .reads_header("Last-Event-ID", "As `after`.", &json!({"type": "string", "maxLength": 64}))
        .answers_text("text/plain", "The lines.")
        .answers_text("application/x-ndjson", "The lines.")
        .answers_text("text/event-stream", "The lines.")
        .header("X-Log-Cursor", "The id of the last line.")
        .answers_nothing(204, "The stream has ended: `Last-Event-ID` is that of its event `end`.");
}

async fn read(state: &AppState, id: TaskId, after: Option<&str>) -> Result<Vec<(String, LogLine)>, TaskError> {
    let (lines, _) = state.logs.read(id, after, LINES, state.clock.now()).await?;
    Ok(lines)
}
