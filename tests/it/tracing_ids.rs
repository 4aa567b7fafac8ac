//! The ids of a request go with its task to the worker.

use halyard_tests::TestApp;
use http::Method;
use serde_json::json;

#[tokio::test]
async fn request_id_and_trace_id_reach_the_row_the_doorbell_and_the_workers_log() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let draft = user.request(Method::POST, "/tasks/submit").header("x-request-id", "trace-me-17");
    let draft = draft.header("traceparent", &format!("00-{trace}-b7ad6b7169203331-01"));
    let answer = draft.json(&json!({"task_type": "sample", "data": {}})).send().await.expect(200);
    assert_eq!(answer.header("x-request-id"), "trace-me-17");

    let row = app.text("select request_id || ' ' || traceparent from tasks").await;
    assert!(row.starts_with("trace-me-17 00-") && row.contains(trace), "{row}");
    let doorbell = app.peek_attributes("default").await;
    assert!(doorbell.iter().any(|(k, v)| k == "request_id" && v == "trace-me-17"), "{doorbell:?}");
    assert!(doorbell.iter().any(|(k, v)| k == "traceparent" && v.contains(trace)), "{doorbell:?}");

    let lines = app.drain_and_capture_logs().await;
    let of_worker = lines.iter().any(|line| line.contains("trace-me-17") && line.contains(trace));
    assert!(of_worker, "no line of the worker names both: {lines:#?}");
}
