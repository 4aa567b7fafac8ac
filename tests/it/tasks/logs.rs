use halyard_tests::TestApp;
use http::Method;
use serde_json::{Value, json};

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
