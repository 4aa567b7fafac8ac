//! The three forms of a log.

use std::fmt::Write as _;

use axum::response::Response;
use halyard_cloud::task_logs::{LogLevel, LogLine};
use halyard_http::rfc3339;
use halyard_store::tasks::TaskRecord;
use http::{HeaderMap, HeaderValue, header};
use serde_json::json;

/// The id of the last event of a task that has ended.
pub const END: &str = "end";

/// A form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    JsonLines,
    /// Server-sent events.
    Events,
}

/// Where a client takes up an event stream again.
pub fn last_event_id(headers: &HeaderMap) -> Option<String> {
    headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// A line's id as clients see it. The table's own has a `#`, which would end a URL's query.
fn id(cursor: &str) -> String {
    cursor.replace('#', "-")
}

/// The table's cursor that an id stands for.
pub fn cursor(id: &str) -> String {
    id.replace('-', "#")
}

impl Format {
    /// The first form that `Accept` names; text without one.
    pub fn of(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        accepted
            .flat_map(|value| value.split(','))
            .find_map(|range| match range.split(';').next().unwrap_or_default().trim() {
                "text/plain" | "text/*" => Some(Self::Text),
                "application/x-ndjson" | "application/jsonl" | "application/json" => Some(Self::JsonLines),
                "text/event-stream" => Some(Self::Events),
                _ => None,
            })
            .unwrap_or(Self::Text)
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; charset=utf-8",
            Self::JsonLines => "application/x-ndjson",
            Self::Events => "text/event-stream",
        }
    }

    /// The answer; `after` is repeated as the cursor when there are no lines. A stream of events also tells how far the task
    /// is and, once it has ended and every line is told, how.
    pub fn respond(self, lines: &[(String, LogLine)], after: Option<&str>, task: &TaskRecord, whole: bool) -> Response {
        let mut body = if self == Self::Events { "retry: 1000\n\n".to_owned() } else { String::new() };
        for (cursor, line) in lines {
            let id = id(cursor);
            // Writing into a String cannot fail.
            let _ = match self {
                Self::Text => text(&mut body, line),
                Self::JsonLines => writeln!(body, "{}", object(&id, line)),
                Self::Events => write!(body, "id: {id}\ndata: {}\n\n", object(&id, line)),
            };
        }
        if self == Self::Events {
            news(&mut body, task, whole);
        }
        let mut response = Response::new(body.into());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type()));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let cursor = lines.last().map(|(cursor, _)| cursor.as_str()).or(after);
        if let Some(cursor) = cursor.and_then(|cursor| HeaderValue::from_str(&id(cursor)).ok()) {
            headers.insert("x-log-cursor", cursor);
        }
        response
    }
}

/// Events of their own: neither has a line's id, so that a client that comes back goes on after its last line; the last one
/// has an id that says that there is no more.
fn news(out: &mut String, task: &TaskRecord, whole: bool) {
    if let Some(progress) = &task.progress {
        // Lines of a value would each need a `data:`; JSON can do without them.
        let _ = write!(out, "event: progress\ndata: {}\n\n", progress.get().replace(['\n', '\r'], " "));
    }
    if whole && task.state.is_terminal() {
        let end = json!({ "status": task.state, "error": task.error });
        let _ = write!(out, "id: {END}\nevent: end\ndata: {end}\n\n");
    }
}

fn text(out: &mut String, line: &LogLine) -> std::fmt::Result {
    let level = match line.level {
        LogLevel::Debug => "DEBUG",
        LogLevel::Info => "INFO",
        LogLevel::Warning => "WARNING",
        LogLevel::Error => "ERROR",
    };
    // A message of several lines stays recognisable as one.
    let message = line.message.replace('\n', "\n    ");
    writeln!(out, "{} {level:<7} [attempt {}] {message}", rfc3339(line.at), line.attempt)
}

fn object(id: &str, line: &LogLine) -> serde_json::Value {
    json!({
        "id": id,
        "timestamp": rfc3339(line.at),
        "level": line.level.as_str(),
        "attempt": line.attempt,
        "message": line.message,
    })
}
