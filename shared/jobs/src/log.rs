//! Writing a task's log lines. The table that keeps them is [`TaskLogs`].

use std::time::Duration;

pub use halyard_cloud::task_logs::{LogLevel, LogLine, TaskLogs};
use halyard_domain::TaskId;

/// Writes lines, waiting no longer than `within`. A log that cannot be written is reported and given up: it must not
/// hold up the task. Answers whether it was written. Lines are a record, not a state, so a stale attempt may still write its own.
pub async fn append(logs: &TaskLogs, lines: Vec<(TaskId, LogLine)>, within: Duration) -> bool {
    if lines.is_empty() {
        return true;
    }
    let count = lines.len();
    match tokio::time::timeout(within, logs.append_all(lines)).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => tracing::warn!(%error, count, "task log lines were lost"),
        Err(_) => tracing::warn!(count, "task log lines may be lost: the table did not answer in time"),
    }
    false
}
