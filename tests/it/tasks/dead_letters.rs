//! `GET /tasks/dead-letters` and `POST /tasks/dead-letters/redrive`

use futures::future::join_all;
use halyard_tests::{Actor, TestApp};
use serde_json::{Value, json};

use crate::assert_snapshot;

/// Tasks whose input is spoiled: they die, and die again when they are redriven as they are.
async fn spoiled(app: &TestApp, user: &Actor, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let id = user.submit(json!({"task_type": "data_processing", "data": {"csv": "a\n1\n"}})).await;
        app.change_task(&id, "input = '[1]'").await;
        ids.push(id);
        app.advance(chrono::Duration::milliseconds(1));
    }
    app.drain().await;
    ids
}

async fn mend(app: &TestApp) {
    app.execute(r#"update tasks set input = '{"csv": "a\n1\n"}' where input::text = '[1]'"#).await;
}

async fn redrive(admin: &Actor, body: Value) -> Value {
    admin.post("/tasks/dead-letters/redrive", body).await.expect(200).json()["data"].take()
}

async fn listed(admin: &Actor, query: &str) -> usize {
    let data = admin.get(&format!("/tasks/dead-letters{query}")).await.expect(200).json()["data"].take();
    data["items"].as_array().expect("items").len()
}

#[tokio::test]
async fn dead_letters_are_browsed_with_their_reasons() {
    let app = TestApp::spawn().await;
    let (user, admin) = (app.user().await, app.admin().await);
    let gone = user.submit(json!({"task_type": "sample", "data": {}})).await;
    app.change_task(&gone, "task_type = 'retired_type', lost_leases = 4").await;
    let failed = user.submit(json!({"task_type": "sample", "data": {"fail": "permanent"}})).await;
    spoiled(&app, &user, 1).await;
    assert_eq!(user.state_of(&failed).await, "failed");
    assert_snapshot!("browsed", admin.get("/tasks/dead-letters").await.expect(200));
    let user_id = user.user_id;
    for (query, count) in [
        ("?reason=unknown_type", 1),
        ("?reason=unknown", 0),
        ("?task_type=data_processing", 1),
        (&format!("?user_id={user_id}"), 2),
        ("?user_id=999999", 0),
        ("?died_before=2020-01-01T00:00:00Z", 0),
        ("?died_after=2020-01-01T00:00:00Z", 2),
        ("?redriven=true", 0),
        ("?limit=1", 1),
    ] {
        assert_eq!(listed(&admin, query).await, count, "{query}");
    }
    user.get("/tasks/dead-letters").await.expect(403);
}

#[tokio::test]
async fn some_are_redriven_by_their_ids_and_what_is_not_dead_is_left_alone() {
    let app = TestApp::spawn().await;
    let (user, admin) = (app.user().await, app.admin().await);
    let dead = spoiled(&app, &user, 2).await;
    let alive = user.submit(json!({"task_type": "sample", "data": {}})).await;
    let failed = user.submit(json!({"task_type": "sample", "data": {"fail": "permanent"}})).await;
    app.drain().await;
    mend(&app).await;
    let nobody = "task_7ZZZZZZZZZZZZZZZZZZZZZZZZZ";
    let body = json!({"task_ids": [dead[0], dead[0], alive, failed, nobody]});
    assert_snapshot!("by_ids", admin.post("/tasks/dead-letters/redrive", body).await.expect(200));
    app.drain_with_time().await;
    let new = user.task(&dead[0]).await["retried_as"].take();
    let new = user.task(new.as_str().expect("an id")).await;
    assert_eq!((new["status"].as_str(), new["retry_of"].as_str()), (Some("completed"), Some(dead[0].as_str())));
    assert!(user.task(&dead[1]).await["retried_as"].is_null());
    assert_eq!((listed(&admin, "?redriven=true").await, listed(&admin, "?redriven=false").await), (1, 1));
    let kept = "select count(*) from audit_log where action = 'task.redrive' and detail->>'count' = '1' and target = 'dead-letters'";
    assert_eq!(app.count(kept).await, 1);
}

#[tokio::test]
async fn all_are_redriven_one_after_the_other_at_the_rate_that_is_asked_for() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let (user, admin) = (app.user().await, app.admin().await);
    spoiled(&app, &user, 5).await;
    mend(&app).await;
    let counted = redrive(&admin, json!({"all": true, "rate": 1, "dry_run": true})).await;
    assert_eq!((&counted["matched"], &counted["redriven"]), (&json!(5), &json!(0)));
    let first = redrive(&admin, json!({"all": true, "rate": 1, "limit": 3})).await;
    assert_eq!(first["redriven"], 3);
    let due = |data: &Value| -> Vec<chrono::DateTime<chrono::Utc>> {
        let at = |task: &Value| task["scheduled_for"].as_str().expect("a time").parse().expect("a time");
        data["tasks"].as_array().expect("tasks").iter().map(at).collect()
    };
    let (now, second_long) = (app.now(), chrono::Duration::seconds(1));
    assert_eq!(due(&first), [now, now + second_long, now + second_long * 2]);
    let next = json!({"all": true, "rate": 1, "cursor": first["next_cursor"], "not_before": first["last_due"]});
    let second = redrive(&admin, next).await;
    assert_eq!((&second["redriven"], &second["next_cursor"]), (&json!(2), &Value::Null));
    assert_eq!(due(&second)[0], now + second_long * 2);
    app.drain().await;
    assert_eq!(app.count("select count(*) from tasks where state = 'completed'").await, 1, "only the first is due");
    app.drain_with_time().await;
    assert_eq!(app.count("select count(*) from tasks where state = 'completed'").await, 5);
    let nothing = redrive(&admin, json!({"all": true})).await;
    assert_eq!((&nothing["matched"], &nothing["last_due"]), (&json!(0), &Value::Null));
}

#[tokio::test]
async fn two_who_redrive_at_once_redrive_each_letter_once() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let (user, admin) = (app.user().await, app.admin().await);
    spoiled(&app, &user, 4).await;
    mend(&app).await;
    let redriven = join_all((0..4).map(|_| redrive(&admin, json!({"all": true, "rate": 1000})))).await;
    let redriven: i64 = redriven.iter().map(|data| data["redriven"].as_i64().expect("a number")).sum();
    assert_eq!(redriven, 4);
    assert_eq!(app.count("select count(*) from tasks").await, 8);
    app.drain_with_time().await;
}

#[tokio::test]
async fn what_dies_time_and_again_is_not_put_back_for_ever() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let (user, admin) = (app.user().await, app.admin().await);
    spoiled(&app, &user, 1).await;
    for _ in 0..halyard_domain::task::MAX_REDRIVEN {
        assert_eq!(redrive(&admin, json!({"all": true})).await["redriven"], 1);
        app.drain().await;
    }
    let last = redrive(&admin, json!({"all": true})).await;
    assert_eq!((&last["redriven"], &last["skipped"]["too_often"]), (&json!(0), &json!(1)));
    let id = admin.get("/tasks/dead-letters?redriven=false").await.json()["data"]["items"][0]["task_id"].take();
    admin.post(&format!("/tasks/retry/{}", id.as_str().expect("an id")), Value::Null).await.expect(200);
    app.drain().await;
}

#[tokio::test]
async fn a_redrive_must_say_which() {
    let app = TestApp::spawn().await;
    let (user, admin) = (app.user().await, app.admin().await);
    for body in [
        json!({}),
        json!({"all": true, "filter": {"task_type": "sample"}}),
        json!({"filter": {}}),
        json!({"task_ids": []}),
        json!({"all": true, "rate": 0}),
        json!({"all": true, "rate": 1001}),
        json!({"all": true, "unknown": 1}),
    ] {
        admin.post("/tasks/dead-letters/redrive", body.clone()).await.expect(422);
    }
    user.post("/tasks/dead-letters/redrive", json!({"all": true})).await.expect(403);
}

#[tokio::test]
async fn a_step_that_its_workflow_has_run_again_is_not_redriven() {
    let app = TestApp::spawn().await;
    let (user, admin) = (app.user().await, app.admin().await);
    let task = json!({"task_type": "data_processing", "data": {"csv": "a\n1\n"}});
    let answer = user.post("/tasks/batch", json!({"tasks": [task.clone(), task]})).await.expect(200).json();
    let workflow = answer["data"]["workflow_id"].as_str().expect("an id");
    app.execute("update tasks set input = '[1]'").await;
    app.drain().await;
    assert_eq!(listed(&admin, "?redriven=false").await, 2);
    mend(&app).await;
    user.post(&format!("/tasks/workflows/{workflow}/retry"), json!({})).await.expect(200);
    app.drain().await;
    assert_eq!(app.count("select count(*) from tasks where state = 'completed'").await, 2);
    assert_eq!((listed(&admin, "?redriven=true").await, listed(&admin, "?redriven=false").await), (2, 0));
    assert_eq!(redrive(&admin, json!({"all": true})).await["matched"], 0);
    let letters = admin.get("/tasks/dead-letters").await.expect(200).json();
    for letter in letters["data"]["items"].as_array().expect("items") {
        let (old, new) = (letter["task_id"].as_str().expect("an id"), letter["redriven_as"].as_str().expect("an id"));
        assert_eq!(user.state_of(new).await, "completed");
        let named = redrive(&admin, json!({"task_ids": [old]})).await;
        assert_eq!(named["redriven"], 0, "{named}");
        let refused = user.post(&format!("/tasks/retry/{old}"), json!({})).await.expect_problem(409, "retried_before");
        assert!(refused.json()["detail"].as_str().is_some_and(|text| text.contains(new)));
    }
    let bulk = user.post("/tasks/bulk/retry", json!({"filter": {"status": "dead"}})).await.expect(200).json();
    assert_eq!(bulk["data"]["matched"], 0, "{bulk}");
    assert_eq!(app.count("select count(*) from tasks").await, 4);
}

#[tokio::test]
async fn a_redrive_is_let_through_however_much_waits() {
    let app = TestApp::builder().without_rate_limits().var("MAX_WAITING_OF_LANE", "20").spawn().await;
    let (user, admin) = (app.user().await, app.admin().await);
    spoiled(&app, &user, 1).await;
    mend(&app).await;
    admin.post("/tasks/queues/default/pause", json!({})).await.expect(200);
    let task = json!({"task_type": "sample", "data": {}});
    user.post("/tasks/batch", json!({"tasks": vec![task.clone(); 20]})).await.expect(200);
    admin.post("/tasks/submit", task).await.expect_problem(429, "queue_full");
    assert_eq!(redrive(&admin, json!({"all": true})).await["redriven"], 1);
    admin.post("/tasks/queues/default/resume", json!({})).await.expect(200);
    app.drain().await;
    assert_eq!(app.count("select count(*) from tasks where state = 'completed'").await, 21);
}
