//! Asking a service for records, and reading what it answers.

use std::time::Duration;

use http::{HeaderValue, Method, header};

use super::Input;
use crate::{
    context::TaskContext,
    task::TaskFailure,
    tools::{Call, Called, Tools},
    types::{
        http_request::{failure_of, headers_of, send, target_of},
        rows::Table,
    },
};

/// Bytes of an answer.
const MOST_BYTES: usize = 5_000_000;
/// How long the service may take.
const LIMIT: Duration = Duration::from_mins(2);

/// The answer, if it is a good one.
pub async fn asked(tools: &Tools, input: &Input, context: &TaskContext) -> Result<Called, TaskFailure> {
    let target = target_of(input.url.as_deref().unwrap_or_default())?;
    let mut headers = headers_of(&input.headers);
    headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("application/json, text/csv;q=0.9"));
    let call = Call { method: Method::GET, target, headers, body: Vec::new(), limit: LIMIT, keep: MOST_BYTES };
    let answer = send(tools, call, context).await?;
    if !answer.status.is_success() {
        return Err(failure_of(&answer, context.now().into()));
    }
    if answer.cut {
        let why = format!("the service answered with more than {MOST_BYTES} bytes");
        return Err(TaskFailure::permanent("source_too_large", why));
    }
    Ok(answer)
}

/// JSON where it is said to be, or looks like it; else CSV.
pub fn table_of(answer: Called) -> Result<Table, TaskFailure> {
    let invalid = |why: String| TaskFailure::permanent("invalid_rows", format!("the service's answer {why}"));
    let kind = answer.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.to_ascii_lowercase();
    let text = String::from_utf8(answer.body).map_err(|_| invalid("is not UTF-8".to_owned()))?;
    if kind.contains("html") {
        return Err(invalid("is a page for people".to_owned()));
    }
    if !kind.contains("json") && !text.trim_start().starts_with(['[', '{']) {
        return Ok(Table::of_text(text));
    }
    let table: Table = serde_json::from_str(&text).map_err(|error| invalid(format!("cannot be read: {error}")))?;
    // One object is as likely to be a message as a record.
    if table.is_single() {
        return Err(invalid("is an object that has no records under rows, data, items or the like".to_owned()));
    }
    Ok(table)
}
