use chrono::Duration;
use halyard_tests::TestApp;
use serde_json::json;

#[tokio::test]
async fn a_task_that_could_not_start_in_time_expires_and_never_runs() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "sample", "data": {}, "expires_in": 60})).await;
    app.advance(Duration::seconds(61));
    app.drain().await;
    let task = user.task(&id).await;
    assert_eq!(task["status"], "expired");
    assert!(task["result"].is_null());
    assert_eq!(app.ends_of(&id).await, 1);
}

#[tokio::test]
async fn a_task_that_starts_in_time_runs() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "sample", "data": {}, "expires_in": 60})).await;
    app.advance(Duration::seconds(59));
    app.drain().await;
    assert_eq!(user.state_of(&id).await, "completed");
}

#[tokio::test]
async fn what_has_started_in_time_is_tried_again_after_it() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let body = json!({
        "task_type": "sample", "data": {"fail": "error"}, "expires_in": 30,
        "retry_config": {"max_retries": 1, "retry_delay": 60},
    });
    let id = user.submit(body).await;
    app.drain().await;
    assert_eq!(user.state_of(&id).await, "retrying");
    app.execute("update tasks set input = '{}'").await;
    app.drain_with_time().await;
    let task = user.task(&id).await;
    assert_eq!(
        (task["status"].as_str(), task["execution"]["attempt"].as_i64()),
        (Some("completed"), Some(2)),
        "{task}"
    );
}
