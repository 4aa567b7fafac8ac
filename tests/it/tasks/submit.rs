use halyard_domain::{Lane, task::TaskState};
use halyard_store::tasks;
use halyard_tests::TestApp;
use http::Method;
use serde_json::{Value, json};

use crate::{
    assert_snapshot,
    store::scratch::{claim, finished},
};

#[tokio::test]
async fn submit_answers_with_the_task_and_where_to_look() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let answer =
        user.post("/tasks/submit", json!({"task_type": "sample", "data": {"message": "hello"}})).await.expect(200);
    assert_snapshot!("submitted", answer);
    assert_eq!(answer.json()["task_id"], answer.json()["data"]["task_id"]);
    app.drain().await;
}

#[tokio::test]
async fn submit_takes_everything_that_the_contract_names() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let body = json!({
        "task_type": "sample",
        "priority": 1,
        "data": {"message": "hello"},
        "resources": {"cpu_cores": 4, "memory_gb": 8, "gpu_required": true},
        "callbacks": {
            "progress_url": "http://127.0.0.1:20009/progress",
            "completion_url": "http://127.0.0.1:20009/complete",
            "error_url": "http://127.0.0.1:20009/error",
        },
        "retry_config": {"max_retries": 2, "retry_delay": 300, "exponential_backoff": false},
        "timeout": 120,
        "expires_in": 3600,
        "scheduled_for": "2026-01-01T13:00:00Z",
        "a_field_of_the_future": true,
    });
    let answer = user.post("/tasks/submit", body).await.expect(200);
    assert_snapshot!("submitted_in_full", answer);
    let id = answer.json()["task_id"].as_str().expect("an id").to_owned();
    assert_eq!(user.state_of(&id).await, "scheduled");
    app.leave_unfinished();
}

#[tokio::test]
async fn submit_names_every_bad_field() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let body = json!({
        "task_type": "sample",
        "data": {},
        "priority": 11,
        "retry_config": {"max_retries": 11, "retry_delay": -1},
        "timeout": 0,
        "expires_in": 0,
        "callbacks": {"completion_url": "not a url"},
    });
    assert_snapshot!("bad_fields", user.post("/tasks/submit", body).await.expect(422));
    assert_eq!(app.count("select count(*) from tasks").await, 0);
}

#[tokio::test]
async fn submit_refuses_a_type_that_nobody_can_run() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let answer = user.post("/tasks/submit", json!({"task_type": "no_such_type", "data": {}})).await.expect(422);
    assert_snapshot!("unknown_type", answer);
}

#[tokio::test]
async fn submit_checks_the_data_against_the_type() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let wrong = json!({"task_type": "data_processing", "data": {"csv": 5}});
    assert_snapshot!("data_of_the_wrong_type", user.post("/tasks/submit", wrong).await.expect(422));
    let empty = json!({"task_type": "data_processing", "data": {"csv": " ", "delimiter": ";;", "top": 101}});
    assert_snapshot!("data_that_breaks_rules", user.post("/tasks/submit", empty).await.expect(422));
    let missing = json!({"data": {}});
    assert_snapshot!("without_a_type", user.post("/tasks/submit", missing).await.expect(422));
}

#[tokio::test]
async fn submit_refuses_what_is_not_json() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let draft = || user.request(Method::POST, "/tasks/submit");
    assert_snapshot!(
        "broken_json",
        draft().header("content-type", "application/json").body("{").send().await.expect(400)
    );
    assert_snapshot!("not_json", draft().header("content-type", "text/plain").body("{}").send().await.expect(415));
    assert_snapshot!("no_object", draft().json(&Value::from(5)).send().await.expect(422));
}

#[tokio::test]
async fn submit_stores_the_input_as_it_came() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let odd =
        json!({"z": 1, "a": [null, true, 1.5, "ünïcode 🦀", {"b": {}}], "": "", "big": 12_345_678_901_234_567_890_u64});
    let id = user.submit(json!({"task_type": "sample", "data": odd})).await;
    app.drain().await;
    assert_eq!(user.task(&id).await["result"]["echo"], odd);
}

#[tokio::test]
async fn what_is_due_later_waits_for_its_time() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let at = app.now() + chrono::Duration::minutes(10);
    let id = user.submit(json!({"task_type": "sample", "data": {}, "scheduled_for": at})).await;
    app.drain().await;
    assert_eq!(user.state_of(&id).await, "scheduled");
    app.advance(chrono::Duration::minutes(9));
    app.beat().await;
    app.drain().await;
    assert_eq!(user.state_of(&id).await, "scheduled");
    app.advance(chrono::Duration::minutes(1));
    app.drain().await;
    assert_eq!(user.state_of(&id).await, "completed", "its own doorbell rang");
}

#[tokio::test]
async fn what_is_due_after_the_longest_send_delay_is_dispatched_by_beat() {
    let app = TestApp::spawn().await;
    let mut user = app.user().await;
    let at = app.now() + chrono::Duration::hours(5);
    let id = user.submit(json!({"task_type": "sample", "data": {}, "scheduled_for": at})).await;
    app.advance(chrono::Duration::hours(4));
    app.beat().await;
    app.drain().await;
    user.sign_in().await;
    assert_eq!(user.state_of(&id).await, "scheduled");
    app.advance(chrono::Duration::hours(1));
    app.beat().await;
    app.drain().await;
    user.sign_in().await;
    assert_eq!(user.state_of(&id).await, "completed");
}

#[tokio::test]
async fn a_body_above_the_limit_of_lambda_is_refused_by_the_gateway() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let body = json!({"task_type": "sample", "data": {"message": "x".repeat(11 * 1024 * 1024)}});
    let answer = user.post("/tasks/submit", body).await;
    assert_eq!(answer.code(), 413, "{}", answer.text());
    assert_eq!(app.count("select count(*) from tasks").await, 0);
}

#[tokio::test]
async fn a_time_that_becomes_one_of_the_year_10000_is_refused() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    for at in ["9999-12-31T23:59:60Z", "9999-12-31T23:59:59-00:01"] {
        let body = json!({"task_type": "sample", "data": {}, "scheduled_for": at});
        let answer = user.post("/tasks/submit", body).await.expect_problem(422, "validation_failed");
        assert_eq!(answer.json()["errors"][0]["pointer"], "/scheduled_for", "{at}");
    }
    let body = json!({"task_type": "sample", "data": {}, "scheduled_for": "9999-12-31T23:59:59Z"});
    user.post("/tasks/submit", body).await.expect(200);
    app.leave_unfinished();
}

#[tokio::test]
async fn the_estimate_is_what_tasks_of_its_type_have_taken() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let mut connection = app.connect().await;
    for seconds in [3, 5] {
        user.submit(json!({"task_type": "sample", "data": {}})).await;
        let attempt =
            tasks::claim(&mut connection, &claim(Lane::Default, 1), Some(app.now())).await.expect("a claim").remove(0);
        app.advance(chrono::Duration::seconds(seconds));
        let end = finished(&attempt, TaskState::Completed);
        assert_eq!(tasks::finish(&mut connection, &[end], Some(app.now())).await.expect("an answer").len(), 1);
    }
    app.beat().await;
    let accepted = user.post("/tasks/submit", json!({"task_type": "sample", "data": {}})).await.expect(200).json();
    assert_eq!(accepted["data"]["estimated_duration"], 4.0);
    let other = user.post("/tasks/submit", json!({"task_type": "user_specific", "data": {}})).await.expect(200).json();
    assert!(other["data"]["estimated_duration"].is_null(), "none of its type has ended");
    app.drain().await;
}
