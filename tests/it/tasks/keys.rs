//! `unique_key`, `concurrency_key`

use std::collections::BTreeSet;

use futures::future::join_all;
use halyard_tests::{Actor, TestApp};
use serde_json::{Value, json};

use crate::assert_snapshot;

async fn unique(user: &Actor, data: Value) -> Value {
    let body =
        json!({"task_type": "sample", "data": data, "unique_key": "nightly", "retry_config": {"max_retries": 0}});
    user.post("/tasks/submit", body).await.expect(200).json()["data"].take()
}

#[tokio::test]
async fn a_second_task_with_a_unique_key_is_answered_with_the_first() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let body = json!({"task_type": "sample", "data": {}, "unique_key": "nightly", "priority": 2, "timeout": 60});
    let first = user.post("/tasks/submit", body).await.expect(200).json();
    assert!(first["data"].get("deduplicated").is_none());
    let body = json!({"task_type": "user_specific", "data": {"note": "other"}, "unique_key": "nightly"});
    assert_snapshot!("deduplicated", user.post("/tasks/submit", body).await.expect(200));
    assert_eq!(app.depth_of("high").await, 1, "nothing rings for what was not accepted");
    app.drain().await;
    assert_eq!(app.count("select count(*) from tasks").await, 1);
}

#[tokio::test]
async fn any_end_releases_a_unique_key() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    for data in [json!({}), json!({"fail": "error"}), json!({"fail": "panic"})] {
        assert_ne!(unique(&user, data).await["deduplicated"], true);
        app.drain().await;
    }
    let cancelled = unique(&user, json!({})).await;
    user.post(&format!("/tasks/cancel/{}", cancelled["task_id"].as_str().expect("an id")), json!({})).await.expect(200);
    let dead = unique(&user, json!({})).await;
    assert_ne!(dead["deduplicated"], true);
    let last = "task_type = 'retired_type', lost_leases = 4";
    app.change_task(dead["task_id"].as_str().expect("an id"), last).await;
    app.drain().await;
    assert_ne!(unique(&user, json!({})).await["deduplicated"], true);
    app.drain().await;
    assert_eq!(app.count("select count(*) from tasks").await, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_is_accepted_and_all_are_told_which() {
    for managed in [true, false] {
        let builder = TestApp::builder().without_rate_limits();
        let app = if managed { builder.managed() } else { builder }.spawn().await;
        let user = app.user().await;
        let others = (0..20).map(|_| user.submit(json!({"task_type": "sample", "data": {}})));
        let (answers, others) = tokio::join!(join_all((0..30).map(|_| unique(&user, json!({})))), join_all(others));
        let ids: BTreeSet<_> = answers.iter().map(|data| data["task_id"].as_str().expect("an id")).collect();
        assert_eq!(ids.len(), 1);
        assert_eq!(answers.iter().filter(|data| data["deduplicated"] == true).count(), 29);
        assert_eq!(others.len(), 20, "their neighbours are accepted");
        assert_eq!(app.count("select count(*) from tasks").await, 21);
        app.drain().await;
    }
}

#[tokio::test]
async fn tasks_that_share_a_key_run_one_after_the_other_and_none_is_forgotten() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let user = app.user().await;
    let mut ids = Vec::new();
    for _ in 0..6 {
        let body = json!({"task_type": "sample", "data": {}, "concurrency_key": "printer", "concurrency_limit": 2});
        ids.push(user.submit(body).await);
    }
    let neighbour = user.submit(json!({"task_type": "sample", "data": {}})).await;
    // Two of the six doorbells find a task to take; each end rings for the next.
    app.drain().await;
    for id in ids.iter().chain([&neighbour]) {
        assert_eq!(user.state_of(id).await, "completed");
        assert_eq!((app.runs_of(id).await, app.ends_of(id).await), (1, 1));
    }
    let together = "select max(n) from (
        select count(*) filter (where e.state = 'running') over w - count(*) filter (where e.state = 'completed') over w as n
        from task_events e join tasks t on t.id = e.task_id and t.concurrency_key is not null
        window w as (order by e.id)) x";
    assert!(app.count(together).await <= 2);
}

#[tokio::test]
async fn keys_that_wait_for_their_time_do_not_stand_in_the_way_of_others() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let user = app.user().await;
    let keyed = |key: String| json!({"task_type": "sample", "data": {}, "concurrency_key": key});
    for n in 0..40 {
        let mut body = keyed(format!("a{n}"));
        body["scheduled_for"] = json!("2026-01-02T00:00:00Z");
        user.submit(body).await;
    }
    let id = user.submit(keyed("b".to_owned())).await;
    app.drain().await;
    assert_eq!(user.state_of(&id).await, "completed");
    app.leave_unfinished();
}

#[tokio::test]
async fn keys_have_bounds() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    for (field, value) in [
        ("unique_key", json!("")),
        ("unique_key", json!("x".repeat(201))),
        ("unique_key", json!("a\u{0}b")),
        ("unique_key", json!(7)),
        ("concurrency_key", json!("")),
        ("concurrency_limit", json!(1)),
    ] {
        let mut body = json!({"task_type": "sample", "data": {}});
        body[field] = value;
        user.post("/tasks/submit", body).await.expect(422);
    }
    for limit in [0, 101] {
        let body = json!({"task_type": "sample", "data": {}, "concurrency_key": "k", "concurrency_limit": limit});
        user.post("/tasks/submit", body).await.expect(422);
    }
}
