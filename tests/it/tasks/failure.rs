use std::time::Duration;

use halyard_tests::TestApp;
use serde_json::json;

#[tokio::test]
async fn a_panic_in_one_task_leaves_its_neighbours_in_the_batch_unharmed() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let mut good = Vec::new();
    let mut bad = None;
    for n in 0..10 {
        let data = if n == 4 { json!({"fail": "panic"}) } else { json!({"message": n}) };
        let id = user.submit(json!({"task_type": "sample", "data": data, "retry_config": {"max_retries": 0}})).await;
        if n == 4 { bad = Some(id) } else { good.push(id) }
    }
    app.drain().await;
    for id in &good {
        assert_eq!(user.state_of(id).await, "completed");
    }
    let bad = bad.expect("the one that panics");
    assert_eq!(user.state_of(&bad).await, "failed");
    assert_eq!(app.ends_of(&bad).await, 1);
}

#[tokio::test]
async fn a_panic_is_retried_like_any_failure() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let data = json!({"fail": "panic", "fail_attempts": 1});
    let id = user.submit(json!({"task_type": "sample", "data": data, "retry_config": {"retry_delay": 1}})).await;
    app.drain_with_time().await;
    assert_eq!(user.state_of(&id).await, "completed");
    assert_eq!(app.runs_of(&id).await, 2);
}

#[tokio::test]
async fn a_task_that_takes_longer_than_its_timeout_is_stopped_and_fails() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let body = json!({
        "task_type": "sample", "data": {"duration_ms": 120_000}, "timeout": 1, "retry_config": {"max_retries": 0},
    });
    let id = user.submit(body).await;
    let start = std::time::Instant::now();
    app.drain().await;
    assert!(start.elapsed() < Duration::from_secs(30), "stopped early");
    let task = user.task(&id).await;
    assert_eq!(task["status"], "failed", "{task}");
    assert!(task.to_string().contains("time"), "says why: {task}");
}

#[tokio::test]
async fn a_type_that_is_gone_and_input_that_cannot_be_decoded_end_dead() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let gone = user.submit(json!({"task_type": "sample", "data": {}})).await;
    let spoiled = user.submit(json!({"task_type": "data_processing", "data": {"csv": "a\n1\n"}})).await;
    app.change_task(&gone, "task_type = 'retired_type'").await;
    app.change_task(&spoiled, "input = '[1]'").await;
    app.drain().await;
    for id in [&gone, &spoiled] {
        assert_eq!(user.state_of(id).await, "dead");
        assert_eq!(app.ends_of(id).await, 1);
    }
}
