//! Log lines of tasks in a [`Table`]: appended in batches by the attempt that writes them, read after a cursor.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use halyard_domain::TaskId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::table::{Item, Table, TableError, TableName};

/// How long lines are kept.
pub const RETENTION: TimeDelta = TimeDelta::days(30);
/// The longest message in bytes; what is longer is cut, with an ellipsis.
pub const MAX_MESSAGE: usize = 16 * 1024;

/// How important a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// For whoever debugs the task.
    Debug,
    /// The course of things.
    Info,
    /// Something is odd.
    Warning,
    /// Something went wrong.
    Error,
}

impl LogLevel {
    /// The level's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Which attempt wrote it, from 1.
    pub attempt: i16,
    /// When.
    pub at: DateTime<Utc>,
    /// How important it is.
    pub level: LogLevel,
    /// What it says.
    pub message: String,
    /// Its place among the lines of the attempt, from 0. The same place written twice is one line.
    pub seq: u32,
}

impl LogLine {
    /// The line's place among all lines of the task: attempts in order, then `seq`.
    pub fn cursor(&self) -> String {
        format!("{:05}#{:010}", self.attempt, self.seq)
    }
}

/// The store. Clones share everything.
#[derive(Debug, Clone)]
pub struct TaskLogs {
    table: Arc<dyn Table>,
    name: TableName,
}

impl TaskLogs {
    /// A store over the table `name` (`TABLE_TASK_LOGS`).
    pub fn new(table: Arc<dyn Table>, name: TableName) -> Self {
        Self { table, name }
    }

    /// Writes lines, all or some; on an error the same lines may be written again.
    pub async fn append(&self, task: TaskId, lines: Vec<LogLine>) -> Result<(), TableError> {
        if lines.is_empty() {
            return Ok(());
        }
        let items = lines.into_iter().map(|line| item_of(task, line)).collect();
        self.table.put_all(&self.name, items).await
    }

    /// The same for the lines of several tasks, in as few batches as possible.
    pub async fn append_all(&self, lines: Vec<(TaskId, LogLine)>) -> Result<(), TableError> {
        if lines.is_empty() {
            return Ok(());
        }
        let items = lines.into_iter().map(|(task, line)| item_of(task, line)).collect();
        self.table.put_all(&self.name, items).await
    }

    /// At most `limit` lines after the cursor `after` (from the start if `None`), each with its own cursor, and the
    /// cursor to go on from if there are more.
    pub async fn read(
        &self,
        task: TaskId,
        after: Option<&str>,
        limit: u32,
        now: DateTime<Utc>,
    ) -> Result<(Vec<(String, LogLine)>, Option<String>), TableError> {
        let page = self.table.query(&self.name, &partition(task), after, limit).await?;
        let lines = page.items.into_iter().filter(|i| i.expires_at.is_none_or(|at| now.timestamp() < at)).map(read);
        Ok((lines.collect::<Result<_, _>>()?, page.next))
    }
}

fn partition(task: TaskId) -> String {
    format!("task#{task}")
}

fn item_of(task: TaskId, line: LogLine) -> Item {
    let mut body = Map::new();
    body.insert("at".to_owned(), Value::String(line.at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)));
    body.insert("level".to_owned(), Value::String(line.level.as_str().to_owned()));
    body.insert("attempt".to_owned(), Value::from(line.attempt));
    body.insert("seq".to_owned(), Value::from(line.seq));
    let sk = line.cursor();
    body.insert("message".to_owned(), Value::String(cut(line.message)));
    let expires_at = Some((line.at + RETENTION).timestamp());
    Item { pk: partition(task), sk, version: 1, expires_at, body }
}

fn read(item: Item) -> Result<(String, LogLine), TableError> {
    let line = serde_json::from_value(Value::Object(item.body))
        .map_err(|e| TableError::Refused(format!("the stored log line cannot be read: {e}")))?;
    Ok((item.sk, line))
}

fn cut(mut message: String) -> String {
    if message.len() > MAX_MESSAGE {
        let end = (0..=MAX_MESSAGE - '…'.len_utf8()).rev().find(|&i| message.is_char_boundary(i)).unwrap_or(0);
        message.truncate(end);
        message.push('…');
    }
    message
}
