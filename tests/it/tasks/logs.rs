use halyard_tests::{Actor, TestApp, TestResponse};
use http::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, Postgres, Transaction};
use tokio::task::JoinHandle;

use crate::assert_snapshot;

#[tokio::test]
async fn logs_come_as_text_or_as_json_lines() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "sample", "data": {"steps": 3}})).await;
    app.drain().await;
    let path = format!("/tasks/logs/{id}");
    let text = user.request(Method::GET, &path).header("accept", "text/plain").send().await.expect(200);
    assert!(text.header("content-type").starts_with("text/plain"), "{}", text.header("content-type"));
    assert_snapshot!("text", text);
    let json = user.request(Method::GET, &path).header("accept", "application/x-ndjson").send().await.expect(200);
    let lines: Vec<Value> = json.text().lines().map(|l| serde_json::from_str(l).expect("a JSON line")).collect();
    assert!(lines.iter().any(|l| l["message"] == "step 2 of 3"), "{lines:?}");
}

#[tokio::test]
async fn every_line_carries_its_attempt() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let data = json!({"steps": 1, "fail": "error", "fail_attempts": 1});
    let id = user.submit(json!({"task_type": "sample", "data": data, "retry_config": {"retry_delay": 1}})).await;
    app.drain_with_time().await;
    let answer =
        user.request(Method::GET, &format!("/tasks/logs/{id}")).header("accept", "application/x-ndjson").send();
    let text = answer.await.expect(200).text();
    for attempt in [1, 2] {
        let has = text.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok()).any(|l| l["attempt"] == attempt);
        assert!(has, "no line of attempt {attempt}: {text}");
    }
}

#[tokio::test]
async fn a_task_without_lines_has_an_empty_log() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "sample", "data": {}})).await;
    let answer = user.get(&format!("/tasks/logs/{id}")).await.expect(200);
    assert_eq!(answer.text(), "");
    app.drain().await;
}

#[tokio::test]
async fn a_stream_of_events_ends_with_the_task_and_does_not_begin_again() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "sample", "data": {"steps": 2}})).await;
    app.drain().await;
    let path = format!("/tasks/logs/{id}");
    let stream = async |last: &str| {
        let draft = user.request(Method::GET, &path).header("accept", "text/event-stream");
        let draft = if last.is_empty() { draft } else { draft.header("last-event-id", last) };
        draft.send().await
    };
    let whole = stream("").await.expect(200).text();
    assert!(whole.starts_with("retry: 1000\n\n"), "{whole}");
    assert!(whole.contains("event: progress\ndata: {\"current_step\":2,"), "{whole}");
    assert!(whole.ends_with("id: end\nevent: end\ndata: {\"error\":null,\"status\":\"completed\"}\n\n"), "{whole}");
    let ended = stream("end").await.expect(204);
    assert!(ended.body.is_empty());
    let late = stream("00001-0000009999").await.expect(200).text();
    assert!(late.contains("event: end") && !late.contains("step 1"), "{late}");
}

/// Keeps everybody from the tasks.
async fn hold(connection: &mut PgConnection) -> Transaction<'_, Postgres> {
    let mut held = connection.begin().await.expect("a transaction");
    sqlx::query("lock table tasks in access exclusive mode").execute(&mut *held).await.expect("a lock");
    held
}

fn follow(user: &Actor, path: &str, form: &'static str) -> JoinHandle<TestResponse> {
    let draft = user.request(Method::GET, path).header("accept", form);
    tokio::spawn(draft.send())
}

#[tokio::test]
async fn an_answer_ends_after_20_seconds_in_which_nothing_is_logged() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "sample", "data": {}})).await;
    let mut connection = app.connect().await;
    for (query, form, whole) in [("", "text/event-stream", "retry: 1000\n\n"), ("?follow=true", "text/plain", "")] {
        let held = hold(&mut connection).await;
        let follower = follow(&user, &format!("/tasks/logs/{id}{query}"), form);
        app.until_waiting(1).await;
        app.advance(chrono::Duration::seconds(19));
        held.rollback().await.expect("out of the way");
        // It has looked, and looks again.
        let held = hold(&mut connection).await;
        app.until_waiting(1).await;
        app.advance(chrono::Duration::seconds(1));
        held.rollback().await.expect("out of the way");
        let answer = follower.await.expect("an answer").expect(200);
        assert_eq!((answer.text().as_str(), answer.header("x-log-cursor")), (whole, ""), "{form}");
    }
    app.drain().await;
}

#[tokio::test]
async fn who_follows_a_log_gets_its_first_lines_without_asking_again() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "sample", "data": {"steps": 2}})).await;
    let mut connection = app.connect().await;
    let held = hold(&mut connection).await;
    let follower = follow(&user, &format!("/tasks/logs/{id}?follow=true"), "text/plain");
    app.until_waiting(1).await;
    held.rollback().await.expect("out of the way");
    app.drain().await;
    let answer = follower.await.expect("an answer").expect(200);
    assert!(answer.text().contains("[attempt 1]"), "{}", answer.text());
    assert!(!answer.header("x-log-cursor").is_empty());
}
