//! `debounce` and `throttle`

use std::collections::BTreeSet;

use chrono::Duration;
use futures::future::join_all;
use halyard_tests::{Actor, TestApp};
use serde_json::{Value, json};

use crate::assert_snapshot;

async fn submit(user: &Actor, more: Value) -> Value {
    let mut body = json!({"task_type": "sample", "data": {}, "unique_key": "index"});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    user.post("/tasks/submit", body).await.expect(200).json()["data"].take()
}

fn id(data: &Value) -> &str {
    data["task_id"].as_str().expect("an id")
}

#[tokio::test]
async fn a_debounced_task_starts_once_nobody_asks_for_it_any_more_with_what_was_asked_last() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let user = app.user().await;
    let data = |n: i32| json!({"data": {"message": format!("edit {n}")}, "debounce": {"wait": 30}});
    let first = submit(&user, data(0)).await;
    for n in 1..5 {
        app.advance(Duration::seconds(20));
        app.drain().await;
        let again = submit(&user, data(n)).await;
        assert_eq!((id(&again), &again["deduplicated"]), (id(&first), &json!(true)));
    }
    app.advance(Duration::seconds(29));
    app.drain().await;
    assert_eq!(user.state_of(id(&first)).await, "scheduled");
    app.advance(Duration::seconds(2));
    app.drain().await;
    let status = user.get(&format!("/tasks/status/{}", id(&first))).await.expect(200).json();
    assert_eq!((&status["data"]["status"], app.runs_of(id(&first)).await), (&json!("completed"), 1));
    assert_eq!(status["data"]["result"]["message"], "edit 4");
    assert_eq!(app.count("select count(*) from tasks").await, 1);
    assert_eq!(app.count("select count(*) from outbox").await, 0);
}

#[tokio::test]
async fn a_debounced_task_starts_after_its_longest_wait_whatever_comes() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let user = app.user().await;
    let asked = || json!({"debounce": {"wait": 30, "max_wait": 70}});
    let first = submit(&user, asked()).await;
    let mut due = Vec::new();
    for _ in 0..3 {
        app.advance(Duration::seconds(20));
        due.push(submit(&user, asked()).await["scheduled_for"].take());
    }
    assert_eq!(due[1], due[2], "70 s after the first");
    app.advance(Duration::seconds(11));
    app.drain().await;
    assert_eq!(user.state_of(id(&first)).await, "completed");
    // What comes after the start is no part of it.
    let second = submit(&user, asked()).await;
    assert_ne!(id(&second), id(&first));
    app.leave_unfinished();
}

#[tokio::test]
async fn what_comes_while_a_debounced_task_runs_is_a_task_of_its_own() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let first = submit(
        &user,
        json!({"debounce": {"wait": 1}, "data": {"fail": "error"},
                                     "retry_config": {"max_retries": 1, "retry_delay": 60}}),
    )
    .await;
    app.advance(Duration::seconds(2));
    app.drain().await;
    assert_eq!(user.state_of(id(&first)).await, "retrying");
    let second = submit(&user, json!({"debounce": {"wait": 1}})).await;
    assert_ne!(id(&second), id(&first), "the first has begun with what it was given");
    let other = user
        .post(
            "/tasks/submit",
            json!({"task_type": "user_specific", "data": {}, "unique_key": "index",
                                                  "debounce": {"wait": 1}}),
        )
        .await
        .expect(200)
        .json();
    assert_eq!(
        (id(&other["data"]), &other["data"]["task_type"]),
        (id(&second), &json!("sample")),
        "data of another type"
    );
    app.drain_with_time().await;
    assert_eq!(user.state_of(id(&second)).await, "completed");
    app.leave_unfinished();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_debounced_at_once_one_task_is_made() {
    for managed in [true, false] {
        let builder = TestApp::builder().without_rate_limits();
        let app = if managed { builder.managed() } else { builder }.spawn().await;
        let user = app.user().await;
        let answers = join_all((0..30).map(|_| submit(&user, json!({"debounce": {"wait": 5}})))).await;
        assert_eq!(answers.iter().map(id).collect::<BTreeSet<_>>().len(), 1);
        assert_eq!(app.count("select count(*) from tasks").await, 1);
        app.advance(Duration::seconds(6));
        app.drain().await;
    }
}

#[tokio::test]
async fn a_throttled_key_is_accepted_once_in_a_period() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let user = app.user().await;
    let asked = || json!({"throttle": {"period": 60}});
    let first = submit(&user, asked()).await;
    assert_eq!(id(&submit(&user, asked()).await), id(&first), "while it waits");
    app.drain().await;
    let body = json!({"task_type": "sample", "data": {}, "unique_key": "index", "throttle": {"period": 60}});
    assert_snapshot!("throttled", user.post("/tasks/submit", body).await.expect(200));
    // Whoever does not ask for it is not throttled.
    let plain = submit(&user, json!({})).await;
    assert_ne!(id(&plain), id(&first));
    app.drain().await;
    app.advance(Duration::seconds(61));
    let second = submit(&user, asked()).await;
    assert!(second.get("deduplicated").is_none());
    app.drain().await;
    app.advance(Duration::seconds(61));
    app.beat().await;
    assert_eq!(app.count("select count(*) from throttles").await, 0, "past ones are forgotten");
}

#[tokio::test]
async fn any_end_but_completion_releases_a_throttle() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let user = app.user().await;
    let asked = |data: Value| json!({"throttle": {"period": 3_600}, "data": data, "retry_config": {"max_retries": 0}});
    let mut ids = BTreeSet::new();
    for data in [json!({"fail": "error"}), json!({"fail": "panic"})] {
        ids.insert(id(&submit(&user, asked(data)).await).to_owned());
        app.drain().await;
    }
    let cancelled = submit(&user, asked(json!({}))).await;
    user.post(&format!("/tasks/cancel/{}", id(&cancelled)), json!({})).await.expect(200);
    ids.insert(id(&cancelled).to_owned());
    let last = submit(&user, asked(json!({}))).await;
    ids.insert(id(&last).to_owned());
    assert_eq!(ids.len(), 4);
    app.drain().await;
    assert_eq!(id(&submit(&user, asked(json!({}))).await), id(&last));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_throttled_at_once_one_is_accepted() {
    for managed in [true, false] {
        let builder = TestApp::builder().without_rate_limits();
        let app = if managed { builder.managed() } else { builder }.spawn().await;
        let user = app.user().await;
        let asked = |n: usize| if n.is_multiple_of(3) { json!({}) } else { json!({"throttle": {"period": 60}}) };
        let answers = join_all((0..30).map(|n| submit(&user, asked(n)))).await;
        assert_eq!(answers.iter().map(id).collect::<BTreeSet<_>>().len(), 1);
        assert_eq!(app.count("select count(*) from tasks").await, 1);
        app.drain().await;
        // Whoever had the key then, throttled or not: at most one more in the period.
        let later = join_all((0..30).map(|_| submit(&user, json!({"throttle": {"period": 60}})))).await;
        assert_eq!(later.iter().map(id).collect::<BTreeSet<_>>().len(), 1);
        app.drain().await;
    }
}

#[tokio::test]
async fn a_pace_has_bounds() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    for more in [
        json!({"debounce": {"wait": 0}}),
        json!({"debounce": {"wait": 86_401}}),
        json!({"debounce": {"wait": 10, "max_wait": 9}}),
        json!({"debounce": {}}),
        json!({"debounce": 5}),
        json!({"debounce": {"wait": 5}, "scheduled_for": "2026-02-01T00:00:00Z"}),
        json!({"debounce": {"wait": 5}, "throttle": {"period": 5}}),
        json!({"debounce": {"wait": 5}, "unique_key": null}),
        json!({"throttle": {"period": 0}}),
        json!({"throttle": {"period": 5}, "unique_key": null}),
    ] {
        let mut body = json!({"task_type": "sample", "data": {}, "unique_key": "index"});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        user.post("/tasks/submit", body).await.expect(422);
    }
}

#[tokio::test]
async fn what_is_put_off_expires_after_what_was_asked_last() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let user = app.user().await;
    let asked = || json!({"debounce": {"wait": 30}, "expires_in": 40});
    let first = submit(&user, asked()).await;
    for _ in 0..3 {
        app.advance(Duration::seconds(20));
        let again = submit(&user, asked()).await;
        assert_eq!(id(&again), id(&first));
    }
    app.advance(Duration::seconds(31));
    app.drain().await;
    assert_eq!(user.state_of(id(&first)).await, "completed", "91 s after the first, 31 s after the last");
}

#[tokio::test]
async fn what_is_put_off_is_rung_for_in_its_own_lane() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let user = app.user().await;
    let first = submit(&user, json!({"debounce": {"wait": 10}})).await;
    app.advance(Duration::seconds(5));
    let again = submit(&user, json!({"debounce": {"wait": 10}, "priority": 1})).await;
    assert_eq!((id(&again), &again["priority"]), (id(&first), &json!(5)));
    app.advance(Duration::seconds(11));
    app.poll_once("default").await;
    app.poll_once("default").await;
    assert_eq!(user.state_of(id(&first)).await, "completed");
    app.drain().await;
}
