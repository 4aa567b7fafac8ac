use halyard_tests::{Actor, TestResponse, target};
use http::Method;
use serde_json::json;

async fn lines(user: &Actor, id: &str, query: &str, accept: &str) -> TestResponse {
    let draft = user.request(Method::GET, &format!("/tasks/logs/{id}{query}")).header("accept", accept);
    draft.send().await.expect(200)
}

/// An answer comes when there is a line, and the next one takes up where it ended: it works where nothing streams.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_followed_while_its_task_runs() {
    let target = target!();
    let user = target.user("e2e-log").await;
    let data = json!({"steps": 4, "duration_ms": 4_000});
    let id = user.submit(json!({"task_type": "sample", "data": data})).await;
    let (mut text, mut query) = (String::new(), "?follow=true".to_owned());
    // Each answer waits up to 20 s for a line and has at least one, or the task has ended.
    for _ in 0..10 {
        let answer = lines(&user, &id, &query, "text/plain").await;
        text.push_str(&answer.text());
        if text.contains("step 4 of 4") {
            break;
        }
        let cursor = answer.header("x-log-cursor");
        if !cursor.is_empty() {
            query = format!("?follow=true&after={cursor}");
        }
    }
    for step in 1..=4 {
        assert_eq!(text.matches(&format!("step {step} of 4")).count(), 1, "each line once: {text}");
    }
    assert_eq!(target.finished(&user, &id).await["status"], "completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_comes_as_text_as_json_lines_and_as_events() {
    let target = target!();
    let user = target.user("e2e-log-forms").await;
    let id = user.submit(json!({"task_type": "sample", "data": {"steps": 2}})).await;
    target.finished(&user, &id).await;
    let text = lines(&user, &id, "", "text/plain").await;
    assert!(text.header("content-type").starts_with("text/plain"), "{text:?}");
    assert!(text.text().contains("step 2 of 2"));
    let json = lines(&user, &id, "", "application/x-ndjson").await.text();
    let objects: Vec<serde_json::Value> = json.lines().map(|l| serde_json::from_str(l).expect("a JSON line")).collect();
    assert!(objects.iter().any(|line| line["message"] == "step 2 of 2"), "{json}");
    let events = lines(&user, &id, "", "text/event-stream").await;
    assert!(events.header("content-type").starts_with("text/event-stream"), "{events:?}");
    assert!(events.text().starts_with("retry: "), "{}", events.text());
    let first = objects.iter().find(|line| line["message"] == "step 1 of 2").and_then(|line| line["id"].as_str());
    let first = first.unwrap_or_else(|| panic!("no first step: {json}"));
    let draft = user.request(Method::GET, &format!("/tasks/logs/{id}")).header("accept", "text/event-stream");
    let rest = draft.header("last-event-id", first).send().await.expect(200).text();
    assert!(!rest.contains("step 1 of 2") && rest.contains("step 2 of 2"), "{rest}");
}
