//! `POST /tasks/bulk/cancel` and `POST /tasks/bulk/retry`

use halyard_tests::{Actor, TestApp};
use serde_json::{Value, json};

use crate::assert_snapshot;

async fn submit(user: &Actor, priority: i16, data: Value) -> String {
    user.submit(json!({"task_type": "sample", "data": data, "priority": priority, "retry_config": {"max_retries": 0}}))
        .await
}

#[tokio::test]
async fn what_a_filter_lets_through_is_counted_first_and_then_cancelled() {
    let app = TestApp::spawn().await;
    let (user, other) = (app.user().await, app.user_named("other").await);
    let mut meant = Vec::new();
    for _ in 0..3 {
        meant.push(submit(&user, 9, json!({})).await);
    }
    let (kept, theirs) = (submit(&user, 5, json!({})).await, submit(&other, 9, json!({})).await);
    let mut body = json!({"filter": {"priority": 9, "status": "queued"}, "dry_run": true, "reason": "not needed"});
    let counted = user.post("/tasks/bulk/cancel", body.clone()).await.expect(200).json();
    assert_eq!((&counted["data"]["matched"], &counted["data"]["cancelled"]), (&json!(3), &json!(0)));
    assert_eq!(user.state_of(&meant[0]).await, "queued", "nothing is done");
    body["dry_run"] = json!(false);
    assert_snapshot!("cancelled", user.post("/tasks/bulk/cancel", body).await.expect(200));
    app.drain().await;
    for id in &meant {
        assert_eq!(user.state_of(id).await, "cancelled");
        assert_eq!((app.runs_of(id).await, app.ends_of(id).await), (0, 1));
    }
    assert_eq!(user.state_of(&kept).await, "completed");
    assert_eq!(other.state_of(&theirs).await, "completed");
    let stats = user.get("/tasks/stats").await.expect(200).json();
    assert_eq!(stats["data"]["overview"]["cancelled_tasks"], 3);
}

#[tokio::test]
async fn a_change_of_many_goes_on_where_the_call_before_ended() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let user = app.user().await;
    for n in 0..7 {
        submit(&user, 5, json!({"fail": "permanent", "n": n})).await;
        app.advance(chrono::Duration::milliseconds(1));
    }
    app.drain().await;
    let (mut retried, mut calls, mut cursor) = (0, 0, Value::Null);
    loop {
        let mut body = json!({"filter": {"status": "failed"}, "limit": 3});
        if !cursor.is_null() {
            body["cursor"] = cursor;
        }
        let data = user.post("/tasks/bulk/retry", body).await.expect(200).json()["data"].take();
        retried += data["retried"].as_i64().expect("a number");
        calls += 1;
        cursor = data["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!((retried, calls), (7, 3));
    app.drain().await;
    assert_eq!(app.count("select count(*) from tasks").await, 14);
    // Those that were tried again are left alone: seven are left.
    let all = user.post("/tasks/bulk/retry", json!({"all": true, "dry_run": true})).await.expect(200).json();
    assert_eq!(all["data"]["matched"], 7);
}

#[tokio::test]
async fn a_retry_of_many_says_what_it_made_and_what_it_left_alone() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let good = submit(&user, 5, json!({"fail": "error", "fail_attempts": 0})).await;
    let gone = submit(&user, 5, json!({"fail": "permanent"})).await;
    user.post(&format!("/tasks/cancel/{good}"), json!({})).await.expect(200);
    app.drain().await;
    app.change_task(&gone, "task_type = 'retired_type'").await;
    assert_snapshot!("retried", user.post("/tasks/bulk/retry", json!({"all": true})).await.expect(200));
    app.drain().await;
    assert_eq!(app.count("select count(*) from tasks where state = 'completed'").await, 1);
}

#[tokio::test]
async fn running_tasks_are_told_or_with_force_fenced_off() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let data = json!({"duration_ms": 60_000, "steps": 6000});
    let ids = [submit(&user, 5, data.clone()).await, submit(&user, 5, data).await];
    let ((), ()) = tokio::join!(
        async {
            for id in &ids {
                app.until_state(&user, id, "running", std::time::Duration::from_secs(10)).await;
            }
            let told = user.post("/tasks/bulk/cancel", json!({"filter": {"status": "running"}, "limit": 1})).await;
            assert_eq!(told.expect(200).json()["data"]["requested"], 1);
            let fenced = user.post("/tasks/bulk/cancel", json!({"all": true, "force": true})).await;
            assert!(fenced.expect(200).json()["data"]["cancelled"].as_i64() >= Some(1));
        },
        app.drain(),
    );
    for id in &ids {
        assert_eq!(user.state_of(id).await, "cancelled");
        assert_eq!(app.ends_of(id).await, 1);
    }
}

#[tokio::test]
async fn a_filter_that_leaves_nothing_out_must_say_so() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    assert_snapshot!("no_filter", user.post("/tasks/bulk/cancel", json!({})).await.expect(422));
    for body in [
        json!({"filter": {}}),
        json!({"filter": {"status": "completed"}}),
        json!({"filter": {"priority": 5}, "all": true}),
        json!({"filter": {"colour": "red"}}),
        json!({"all": true, "limit": 0}),
        json!({"all": true, "limit": 1001}),
        json!({"all": true, "cursor": "nonsense"}),
    ] {
        for path in ["/tasks/bulk/cancel", "/tasks/bulk/retry"] {
            user.post(path, body.clone()).await.expect(422);
        }
    }
}

#[tokio::test]
async fn what_operators_do_to_the_tasks_of_all_is_audited() {
    let app = TestApp::spawn().await;
    let (user, admin) = (app.user().await, app.admin().await);
    submit(&user, 5, json!({})).await;
    user.post("/tasks/bulk/cancel", json!({"filter": {"priority": 1}})).await.expect(200);
    admin.post("/tasks/bulk/cancel", json!({"filter": {"priority": 1}})).await.expect(200);
    let entries = "select count(*) from audit_log where action = 'task.bulk_cancel'";
    assert_eq!(app.count(entries).await, 0, "nothing was done");
    admin.post("/tasks/bulk/cancel", json!({"filter": {"priority": 5}, "reason": "an incident"})).await.expect(200);
    assert_eq!(
        app.count(&format!("{entries} and detail->>'count' = '1' and detail->'filter'->>'priority' = '5'")).await,
        1
    );
    admin.post("/tasks/bulk/retry", json!({"all": true})).await.expect(200);
    assert_eq!(app.count("select count(*) from audit_log where action = 'task.bulk_retry'").await, 1);
    app.drain().await;
}

#[tokio::test]
async fn the_tasks_of_a_workflow_are_listed_and_changed_by_its_id() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let (one, two) = (submit(&user, 5, json!({})).await, submit(&user, 5, json!({})).await);
    let workflow = "wf_01JD8X4Z7N3M5P9Q2R6S8T0V1W";
    let number = workflow.parse::<halyard_domain::WorkflowId>().expect("an id").0;
    app.change_task(&one, &format!("workflow_id = '{number}', step = 0")).await;
    let listed = user.get(&format!("/tasks?batch_id={workflow}")).await.expect(200).json();
    assert_eq!(listed["data"]["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(listed["data"]["items"][0]["task_id"], one.as_str());
    assert_eq!(user.task(&one).await["batch_id"], workflow);
    let done = user.post("/tasks/bulk/cancel", json!({"filter": {"batch_id": workflow}})).await.expect(200).json();
    assert_eq!(done["data"]["cancelled"], 1);
    app.drain().await;
    assert_eq!(
        (user.state_of(&one).await, user.state_of(&two).await),
        ("cancelled".to_owned(), "completed".to_owned())
    );
}

#[tokio::test]
async fn what_many_are_tried_again_as_counts_among_what_waits() {
    let app = TestApp::builder().without_rate_limits().var("MAX_WAITING_OF_USER", "2").spawn().await;
    let (user, admin) = (app.user().await, app.admin().await);
    for _ in 0..2 {
        submit(&user, 5, json!({"fail": "permanent"})).await;
    }
    app.drain().await;
    admin.post("/tasks/queues/default/pause", json!({})).await.expect(200);
    let done = user.post("/tasks/bulk/retry", json!({"all": true})).await.expect(200).json();
    assert_eq!(done["data"]["retried"], 2);
    let one_more = json!({"task_type": "sample", "data": {}});
    user.post("/tasks/submit", one_more).await.expect_problem(429, "queue_full");
    admin.post("/tasks/queues/default/resume", json!({})).await.expect(200);
    app.drain().await;
}
