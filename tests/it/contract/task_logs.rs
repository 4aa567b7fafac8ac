//! Log lines of tasks, in the twin and in the real table.

use std::sync::Arc;

use chrono::{TimeDelta, Utc};
use halyard_cloud::{
    table::{DynamoTable, Table, TableName, TableTwin},
    task_logs::{LogLevel, LogLine, MAX_MESSAGE, RETENTION, TaskLogs},
};
use halyard_domain::{Entropy, TaskId};

use super::{aws, redis::start};

type Rig = TaskLogs;

fn twin() -> Rig {
    let name = TableName("task-logs".to_owned());
    TaskLogs::new(Arc::new(TableTwin::in_memory([name.clone()]).expect("a twin")), name)
}

async fn dynamo() -> Rig {
    let name = aws::table().await;
    let table: Arc<dyn Table> = Arc::new(DynamoTable::new(&aws::settings().sdk_config()));
    TaskLogs::new(table, name)
}

fn task() -> TaskId {
    TaskId(Entropy::seeded(1).ulid(start()))
}

fn line(attempt: i16, seq: u32) -> LogLine {
    let at: chrono::DateTime<Utc> = start() + TimeDelta::microseconds(i64::from(seq));
    LogLine { attempt, at, level: LogLevel::Info, message: format!("line {seq} of attempt {attempt}"), seq }
}

async fn lines_are_read_in_order_after_a_cursor(logs: Rig) {
    let lines: Vec<LogLine> = (1..=2).flat_map(|attempt| (0..30).map(move |seq| line(attempt, seq))).collect();
    let (first, second) = lines.split_at(41);
    logs.append(task(), second.to_vec()).await.expect("appended");
    logs.append(task(), first.to_vec()).await.expect("appended");
    logs.append(task(), first[..5].to_vec()).await.expect("the same again is the same line");
    let (mut got, mut after) = (Vec::new(), None);
    loop {
        let (page, next) = logs.read(task(), after.as_deref(), 25, start()).await.expect("read");
        got.extend(page.into_iter().map(|(_, line)| line));
        let Some(next) = next else { break };
        after = Some(next);
    }
    assert_eq!(got, lines);
    let cursor = lines[58].cursor();
    let (rest, next) = logs.read(task(), Some(&cursor), 10, start()).await.expect("read");
    assert_eq!((rest, next), (vec![(lines[59].cursor(), lines[59].clone())], None));
}

#[tokio::test]
async fn lines_are_read_in_order_after_a_cursor_from_the_twin() {
    lines_are_read_in_order_after_a_cursor(twin()).await;
}

#[tokio::test]
async fn lines_are_read_in_order_after_a_cursor_from_dynamo() {
    lines_are_read_in_order_after_a_cursor(dynamo().await).await;
}

#[tokio::test]
async fn a_message_that_is_too_long_is_cut_between_characters() {
    let logs = twin();
    let long = LogLine { message: "ä".repeat(MAX_MESSAGE), ..line(1, 0) };
    logs.append(task(), vec![long]).await.expect("appended");
    let (lines, _) = logs.read(task(), None, 1, start()).await.expect("read");
    let message = &lines[0].1.message;
    assert!(message.len() <= MAX_MESSAGE && message.len() > MAX_MESSAGE - 4 && message.ends_with('…'));
}

#[tokio::test]
async fn lines_past_their_retention_are_not_read_though_the_table_still_has_them() {
    let logs = twin();
    logs.append(task(), vec![line(1, 0)]).await.expect("appended");
    let (lines, _) = logs.read(task(), None, 10, start() + RETENTION).await.expect("read");
    assert_eq!(lines, []);
}
