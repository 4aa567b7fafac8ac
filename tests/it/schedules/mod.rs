//! Schedules through HTTP, with the beat function and a clock that is moved.

mod catch_up;
mod change;
mod create;
mod day;
mod fire;
mod overlap;
mod run;

use chrono::{DateTime, Duration, Utc};
use halyard_tests::{Actor, TestApp};
use serde_json::{Value, json};

/// A body for `POST /tasks/schedule`: a sample task at these times, with whatever else is given.
#[expect(clippy::needless_pass_by_value, reason = "made for the call")]
fn body(schedule: Value, more: Value) -> Value {
    let mut body = json!({"task_type": "sample", "data": {}, "schedule": schedule});
    let members = more.as_object().expect("an object").clone();
    body.as_object_mut().expect("an object").extend(members);
    body
}

fn cron(expression: &str, zone: &str) -> Value {
    json!({"type": "cron", "expression": expression, "timezone": zone})
}

fn every(seconds: i64) -> Value {
    json!({"type": "interval", "seconds": seconds})
}

/// Makes one; gives its path.
async fn made(user: &Actor, body: Value) -> String {
    let answer = user.post("/tasks/schedule", body).await.expect(200).json();
    format!("/tasks/schedules/{}", answer["data"]["schedule_id"].as_str().expect("an id"))
}

async fn shown(user: &Actor, path: &str) -> Value {
    user.get(path).await.expect(200).json()["data"].take()
}

/// What became of its times, oldest first: hour, minute and second, and `fired` or why not, with how many times it stands for.
async fn told(user: &Actor, path: &str) -> Vec<String> {
    let runs = shown(user, path).await["recent_runs"].take();
    let told = |run: &Value| {
        let nominal: DateTime<Utc> = run["nominal_time"].as_str().expect("a time").parse().expect("a time");
        let what = run["reason"].as_str().or(run["outcome"].as_str()).expect("an outcome").to_owned();
        let times = run["times"].as_i64().expect("a number");
        let times = if times == 1 { String::new() } else { format!(" x{times}") };
        format!("{} {what}{times}", nominal.format("%H:%M:%S"))
    };
    runs.as_array().expect("runs").iter().rev().map(told).collect()
}

/// Its tasks, the latest first.
async fn tasks(user: &Actor, path: &str) -> Vec<String> {
    let runs = shown(user, path).await["recent_runs"].take();
    runs.as_array().expect("runs").iter().filter_map(|run| run["task_id"].as_str().map(str::to_owned)).collect()
}

/// A minute passes: beat fires, then the workers do what is due.
async fn minute(app: &TestApp) {
    app.advance(Duration::minutes(1));
    assert_eq!(app.beat().await["failed"], json!([]));
    app.drain().await;
}
