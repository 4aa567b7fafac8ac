use chrono::Duration;
use halyard_tests::TestApp;
use serde_json::json;

#[tokio::test]
async fn a_failure_comes_back_as_a_new_doorbell_after_a_growing_delay_and_then_fails() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let retry = json!({"max_retries": 3, "retry_delay": 60, "exponential_backoff": true});
    let id = user.submit(json!({"task_type": "sample", "data": {"fail": "error"}, "retry_config": retry})).await;
    // The nominal delays are 60, 120 and 240 s; jitter keeps at least half.
    for (attempt, nominal) in [(1_i64, 60_i64), (2, 120), (3, 240)] {
        app.drain().await;
        assert_eq!(user.state_of(&id).await, "retrying");
        assert_eq!(app.runs_of(&id).await, attempt);
        app.advance(Duration::seconds(nominal / 2 - 1));
        app.drain().await;
        assert_eq!(app.runs_of(&id).await, attempt, "not before half of {nominal} s");
        app.advance(Duration::seconds(nominal / 2 + 2));
    }
    app.drain().await;
    assert_eq!(user.state_of(&id).await, "failed");
    assert_eq!((app.runs_of(&id).await, app.ends_of(&id).await), (4, 1));
    let task = user.task(&id).await;
    assert!(task.to_string().contains("asked_to_fail") || task.to_string().contains("asked for a failure"), "{task}");
}

#[tokio::test]
async fn a_task_that_recovers_completes() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let data = json!({"fail": "error", "fail_attempts": 2});
    let id = user.submit(json!({"task_type": "sample", "data": data, "retry_config": {"retry_delay": 1}})).await;
    app.drain_with_time().await;
    let task = user.task(&id).await;
    assert_eq!(task["status"], "completed");
    assert_eq!(task["result"]["attempt"], 3);
    let states: Vec<&str> =
        task["history"].as_array().expect("history").iter().filter_map(|e| e["status"].as_str()).collect();
    assert_eq!(states, ["queued", "running", "retrying", "running", "retrying", "running", "completed"]);
}

#[tokio::test]
async fn without_retries_the_first_failure_is_the_end() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let body = json!({"task_type": "sample", "data": {"fail": "error"}, "retry_config": {"max_retries": 0}});
    let id = user.submit(body).await;
    app.drain().await;
    assert_eq!(user.state_of(&id).await, "failed");
    assert_eq!(app.runs_of(&id).await, 1);
}

#[tokio::test]
async fn a_permanent_failure_is_not_retried() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "sample", "data": {"fail": "permanent"}})).await;
    app.drain_with_time().await;
    assert_eq!(user.state_of(&id).await, "failed");
    assert_eq!(app.runs_of(&id).await, 1);
}
