//! `POST /tasks/retry/{id}`

use futures::future::join_all;
use halyard_tests::{Actor, TestApp, TestResponse};
use serde_json::{Value, json};

use crate::assert_snapshot;

async fn retry(caller: &Actor, id: &str) -> TestResponse {
    caller.post(&format!("/tasks/retry/{id}"), Value::Null).await
}

async fn failed(app: &TestApp, user: &Actor) -> String {
    let body = json!({
        "task_type": "sample", "data": {"fail": "permanent", "note": "as it was"}, "priority": 2, "timeout": 30,
        "resources": {"cpu_cores": 2}, "expires_in": 600, "retry_config": {"max_retries": 1, "retry_delay": 7},
    });
    let id = user.submit(body).await;
    app.drain().await;
    assert_eq!(user.state_of(&id).await, "failed");
    id
}

#[tokio::test]
async fn a_failed_task_is_tried_again_as_a_new_one_with_the_same_input_and_options() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = failed(&app, &user).await;
    let answer = retry(&user, &id).await.expect(200);
    assert_snapshot!("retried", answer);
    let new = answer.json()["data"]["task_id"].as_str().expect("an id").to_owned();
    app.drain().await;
    let (old, new) = (user.task(&id).await, user.task(&new).await);
    assert_eq!((old["status"].as_str(), old["retried_as"].as_str()), (Some("failed"), new["task_id"].as_str()));
    assert_eq!(new["retry_of"], old["task_id"]);
    for field in ["task_type", "priority", "lane", "status", "error", "resources"] {
        assert_eq!(new[field], old[field], "{field}");
    }
    assert_eq!(new["execution"]["timeout"], 30);
    assert_eq!(new["execution"]["max_retries"], 1);
    assert!(new["expires_at"].is_string(), "as long as the old one had: {new}");
    let first = &new["history"][0];
    assert_eq!(first["message"], format!("Task submitted to queue, to try again {id}"));
    assert_eq!(app.ends_of(&id).await, 1, "the old one stays as it ended");
}

#[tokio::test]
async fn cancelled_expired_and_dead_tasks_are_tried_again_too() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let cancelled = user.submit(json!({"task_type": "sample", "data": {}})).await;
    user.post(&format!("/tasks/cancel/{cancelled}"), json!({})).await.expect(200);
    let expired = user.submit(json!({"task_type": "sample", "data": {}, "expires_in": 1})).await;
    let dead = user.submit(json!({"task_type": "sample", "data": {}})).await;
    app.change_task(&dead, "task_type = 'retired_type', lost_leases = 4").await;
    app.advance(chrono::Duration::seconds(2));
    app.drain().await;
    app.change_task(&dead, "task_type = 'sample'").await;
    for (id, state) in [(cancelled, "cancelled"), (expired, "expired"), (dead, "dead")] {
        assert_eq!(user.state_of(&id).await, state);
        let new = retry(&user, &id).await.expect(200).json()["data"]["task_id"].take();
        app.drain().await;
        assert_eq!(user.state_of(new.as_str().expect("an id")).await, "completed");
    }
}

#[tokio::test]
async fn what_has_not_ended_or_ended_well_is_not_tried_again() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "sample", "data": {}})).await;
    retry(&user, &id).await.expect_problem(409, "not_retryable");
    app.drain().await;
    assert_snapshot!("completed", retry(&user, &id).await.expect(409));
    assert_eq!(app.count("select count(*) from tasks").await, 1);
}

#[tokio::test]
async fn a_task_is_tried_again_once_however_many_ask() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let user = app.user().await;
    let id = failed(&app, &user).await;
    let answers = join_all((0..10).map(|_| retry(&user, &id))).await;
    let mut codes: Vec<_> = answers.iter().map(TestResponse::code).collect();
    codes.sort_unstable();
    assert_eq!(codes, [200, 409, 409, 409, 409, 409, 409, 409, 409, 409]);
    let new = answers.iter().find(|a| a.code() == 200).expect("one").json()["data"]["task_id"].take();
    let refused = retry(&user, &id).await.expect_problem(409, "retried_before").json();
    assert!(refused["detail"].as_str().is_some_and(|text| text.contains(new.as_str().expect("an id"))), "{refused}");
    app.drain().await;
    // The newest can be tried again.
    retry(&user, new.as_str().expect("an id")).await.expect(200);
    app.drain().await;
    assert_eq!(app.count("select count(*) from tasks").await, 3);
}

#[tokio::test]
async fn a_task_whose_type_is_gone_is_not_tried_again() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = failed(&app, &user).await;
    app.change_task(&id, "task_type = 'retired_type'").await;
    assert_snapshot!("type_gone", retry(&user, &id).await.expect(409));
}

#[tokio::test]
async fn only_those_who_manage_tasks_try_those_of_others_again_and_they_stay_their_owners() {
    let app = TestApp::spawn().await;
    let (user, other, admin) = (app.user().await, app.user_named("other").await, app.admin().await);
    let id = failed(&app, &user).await;
    retry(&other, &id).await.expect(404);
    let new = retry(&admin, &id).await.expect(200).json()["data"]["task_id"].take();
    app.drain().await;
    assert_eq!(user.state_of(new.as_str().expect("an id")).await, "failed");
}

#[tokio::test]
async fn who_has_too_much_waiting_tries_nothing_again() {
    let app = TestApp::builder().without_rate_limits().var("MAX_WAITING_OF_USER", "20").spawn().await;
    let (user, admin) = (app.user().await, app.admin().await);
    let sample = |data: Value| json!({"task_type": "sample", "data": data});
    let broken = sample(json!({"fail": "permanent"}));
    let id = user.submit(broken.clone()).await;
    let batch = user.post("/tasks/batch", json!({"tasks": [broken]})).await.expect(200).json();
    let mut daily = sample(json!({}));
    daily["schedule"] = json!({"type": "interval", "seconds": 86_400});
    let schedule = user.post("/tasks/schedule", daily).await.expect(200).json();
    let (batch, schedule) = (&batch["data"]["workflow_id"], &schedule["data"]["schedule_id"]);
    let (batch, schedule) = (batch.as_str().expect("an id"), schedule.as_str().expect("an id"));
    app.drain().await;
    // What was counted is believed for some seconds.
    app.advance(chrono::Duration::seconds(6));
    admin.post("/tasks/queues/default/pause", json!({})).await.expect(200);
    user.post("/tasks/batch", json!({"tasks": vec![sample(json!({})); 20]})).await.expect(200);
    let whole = format!("/tasks/workflows/{batch}/retry");
    for (path, body) in [
        (format!("/tasks/retry/{id}"), Value::Null),
        ("/tasks/bulk/retry".to_owned(), json!({"all": true})),
        (whole.clone(), json!({})),
        (format!("/tasks/schedules/{schedule}/run"), json!({})),
    ] {
        let refused = user.post(&path, body).await.expect_problem(429, "queue_full");
        assert_eq!(refused.header("retry-after"), "5", "{path}");
        assert_eq!(refused.json()["detail"], "too many tasks wait: your own in this lane", "{path}");
    }
    let counted = user.post("/tasks/bulk/retry", json!({"all": true, "dry_run": true})).await.expect(200).json();
    assert_eq!(counted["data"]["matched"], 2);
    assert_eq!(app.count("select count(*) from tasks").await, 22, "nothing is made");
    // What operators try again for others is how things are mended.
    retry(&admin, &id).await.expect(200);
    admin.post("/tasks/queues/default/resume", json!({})).await.expect(200);
    app.drain().await;
    app.advance(chrono::Duration::seconds(6));
    user.post(&whole, json!({})).await.expect(200);
    app.drain().await;
}

#[tokio::test]
async fn a_task_that_is_tried_again_counts_among_what_waits() {
    let app = TestApp::builder().without_rate_limits().var("MAX_WAITING_OF_USER", "1").spawn().await;
    let (user, admin) = (app.user().await, app.admin().await);
    let (one, two) = (failed(&app, &user).await, failed(&app, &user).await);
    admin.post("/tasks/queues/high/pause", json!({})).await.expect(200);
    retry(&user, &one).await.expect(200);
    retry(&user, &two).await.expect_problem(429, "queue_full");
    admin.post("/tasks/queues/high/resume", json!({})).await.expect(200);
    app.drain().await;
    app.advance(chrono::Duration::seconds(6));
    retry(&user, &two).await.expect(200);
    app.drain().await;
}

#[tokio::test]
async fn operators_try_everybodys_tasks_again_whatever_waits_of_their_own() {
    let app = TestApp::builder().without_rate_limits().var("MAX_WAITING_OF_USER", "1").spawn().await;
    let (user, admin) = (app.user().await, app.admin().await);
    let (own, other, _) = (failed(&app, &admin).await, failed(&app, &admin).await, failed(&app, &user).await);
    admin.post("/tasks/queues/high/pause", json!({})).await.expect(200);
    retry(&admin, &own).await.expect(200);
    retry(&admin, &other).await.expect_problem(429, "queue_full");
    let done = admin.post("/tasks/bulk/retry", json!({"all": true})).await.expect(200).json();
    assert_eq!(done["data"]["retried"], 2, "{done}");
    admin.post("/tasks/queues/high/resume", json!({})).await.expect(200);
    app.drain().await;
}
