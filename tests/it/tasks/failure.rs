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
    assert_eq!(user.state_of(&bad).await, "dead");
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
async fn what_panics_in_its_last_attempt_too_is_a_dead_letter_with_that_reason_and_no_failure() {
    let app = TestApp::spawn().await;
    let (user, admin) = (app.user().await, app.admin().await);
    let retry = json!({"max_retries": 1, "retry_delay": 1});
    let id = user.submit(json!({"task_type": "sample", "data": {"fail": "panic"}, "retry_config": retry})).await;
    app.drain_with_time().await;
    let task = user.task(&id).await;
    assert_eq!(task["status"], "dead", "{task}");
    assert_eq!(task["error"], json!({"code": "panicked", "message": "the data asked for a panic"}));
    assert_eq!((app.runs_of(&id).await, app.ends_of(&id).await), (2, 1));
    let letters = admin.get("/tasks/dead-letters?reason=panicked").await.expect(200).json();
    let letter = &letters["data"]["items"][0];
    assert_eq!((&letter["task_id"], &letter["failures"], &letter["lost_leases"]), (&json!(id), &json!(2), &json!(0)));
    let stats = user.get("/tasks/stats").await.expect(200).json();
    let overview = &stats["data"]["overview"];
    assert_eq!((&overview["dead_tasks"], &overview["failed_tasks"]), (&json!(1), &json!(0)), "{overview}");
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
async fn input_that_cannot_be_decoded_ends_dead_at_once() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "data_processing", "data": {"csv": "a\n1\n"}})).await;
    app.change_task(&id, "input = '[1]'").await;
    app.drain().await;
    let task = user.task(&id).await;
    assert_eq!((&task["status"], &task["error"]["code"]), (&json!("dead"), &json!("undecodable_input")), "{task}");
    assert_eq!((app.runs_of(&id).await, app.ends_of(&id).await), (1, 1));
}

#[tokio::test]
async fn a_type_that_no_worker_knows_comes_back_for_a_quarter_of_an_hour_and_then_ends_dead() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let body = json!({"task_type": "sample", "data": {}, "retry_config": {"max_retries": 0}});
    let id = user.submit(body).await;
    app.change_task(&id, "task_type = 'retired_type'").await;
    for (attempt, minutes) in [(1_i64, 1_i64), (2, 2), (3, 4), (4, 8)] {
        app.drain().await;
        assert_eq!(user.state_of(&id).await, "retrying");
        assert_eq!(app.runs_of(&id).await, attempt);
        app.advance(chrono::Duration::seconds(60 * minutes - 1));
        app.drain().await;
        assert_eq!(app.runs_of(&id).await, attempt, "not before {minutes} min");
        app.advance(chrono::Duration::seconds(6 * minutes + 2));
    }
    app.drain().await;
    let task = user.task(&id).await;
    assert_eq!((&task["status"], &task["error"]["code"]), (&json!("dead"), &json!("unknown_type")), "{task}");
    let history = task["history"].to_string();
    assert!(history.contains("Attempt 4 failed (unknown_type: no code for"), "{history}");
    assert_eq!((app.runs_of(&id).await, app.ends_of(&id).await), (5, 1));
}

#[tokio::test]
async fn a_type_that_only_the_next_release_knows_runs_once_a_worker_of_it_claims_the_task() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let body = json!({"task_type": "sample", "data": {}, "retry_config": {"max_retries": 0}, "expires_in": 30});
    let id = user.submit(body.clone()).await;
    let other = user.submit(body).await;
    app.execute("update tasks set task_type = 'of_the_next_release'").await;
    app.drain().await;
    assert_eq!(user.state_of(&id).await, "retrying");
    user.post(&format!("/tasks/cancel/{other}"), json!({})).await.expect(200);
    assert_eq!(user.state_of(&other).await, "cancelled", "what waits for its type is cancelled at once");
    app.change_task(&id, "task_type = 'sample'").await;
    app.drain_with_time().await;
    assert_eq!(user.state_of(&id).await, "completed", "it was claimed in time");
    assert_eq!((app.runs_of(&id).await, app.runs_of(&other).await), (2, 1));
}
