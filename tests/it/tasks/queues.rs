use halyard_tests::TestApp;
use serde_json::json;

use crate::assert_snapshot;

#[tokio::test]
async fn a_paused_lane_accepts_and_holds_until_it_is_resumed() {
    let app = TestApp::spawn().await;
    let (admin, user) = (app.admin().await, app.user().await);
    assert_snapshot!("paused", admin.post("/tasks/queues/default/pause", json!({})).await.expect(200));
    let held = user.submit(json!({"task_type": "sample", "data": {}})).await;
    let urgent = user.submit(json!({"task_type": "sample", "data": {}, "priority": 1})).await;
    app.drain_eligible().await;
    assert_eq!(user.state_of(&held).await, "queued");
    assert_eq!(user.state_of(&urgent).await, "completed", "another lane goes on");
    assert_snapshot!("lanes", admin.get("/tasks/queues").await.expect(200));
    admin.post("/tasks/queues/default/resume", json!({})).await.expect(200);
    app.beat().await;
    app.drain().await;
    assert_eq!(user.state_of(&held).await, "completed");
}

#[tokio::test]
async fn lanes_are_for_those_who_manage_the_system() {
    let app = TestApp::spawn().await;
    let (admin, user) = (app.admin().await, app.user().await);
    assert_snapshot!("forbidden", user.post("/tasks/queues/default/pause", json!({})).await.expect(403));
    user.get("/tasks/queues").await.expect(403);
    admin.post("/tasks/queues/no-such-lane/pause", json!({})).await.expect(404);
}

#[tokio::test]
async fn a_lane_that_is_drained_takes_nothing_new_and_runs_what_it_has() {
    let app = TestApp::spawn().await;
    let (user, admin) = (app.user().await, app.admin().await);
    let body = |priority: i64| json!({"task_type": "sample", "data": {}, "priority": priority});
    let there = user.submit(body(9)).await;
    let cancelled = user.submit(body(9)).await;
    user.post(&format!("/tasks/cancel/{cancelled}"), json!({})).await.expect(200);
    assert_snapshot!("drain", admin.post("/tasks/queues/low/drain", json!({})).await.expect(200));
    admin.post("/tasks/queues/low/drain", json!({})).await.expect(200);
    assert_snapshot!("draining", user.post("/tasks/submit", body(8)).await.expect(409));
    let elsewhere = user.submit(body(5)).await;
    // What follows from tasks that are there is none of a client's new ones.
    user.post(&format!("/tasks/retry/{cancelled}"), json!(null)).await.expect(200);
    app.drain().await;
    for id in [&there, &elsewhere] {
        assert_eq!(user.state_of(id).await, "completed");
    }
    let queues = admin.get("/tasks/queues").await.expect(200).json()["data"]["queues"].take();
    let low = queues.as_array().expect("lanes").iter().find(|lane| lane["name"] == "low").expect("low").clone();
    assert_eq!((&low["draining"], &low["paused"], &low["depth"]), (&json!(true), &json!(false), &json!(0)));
    admin.post("/tasks/queues/low/resume", json!({})).await.expect(200);
    user.submit(body(8)).await;
    app.drain().await;
    let kept = "select count(*) from audit_log where action in ('lane.drain', 'lane.resume') and target = 'lane:low'";
    assert_eq!(app.count(kept).await, 2);
    user.post("/tasks/queues/low/drain", json!({})).await.expect(403);
    admin.post("/tasks/queues/nowhere/drain", json!({})).await.expect(404);
}

#[tokio::test]
async fn who_has_too_much_waiting_is_told_to_come_again() {
    let app = TestApp::builder().without_rate_limits().var("MAX_WAITING_OF_USER", "25").spawn().await;
    let (user, other, admin) = (app.user().await, app.user_named("other").await, app.admin().await);
    admin.post("/tasks/queues/default/pause", json!({})).await.expect(200);
    let body = json!({"task_type": "sample", "data": {}});
    let mut accepted = 0;
    let refused = loop {
        let answer = user.post("/tasks/submit", body.clone()).await;
        if answer.code() != 200 {
            break answer;
        }
        accepted += 1;
        // What was counted is believed for some seconds.
        if accepted < 25 {
            app.advance(chrono::Duration::seconds(6));
        }
        assert!(accepted < 40, "there is no end");
    };
    assert_eq!(accepted, 25);
    let refused = refused.expect_problem(429, "queue_full");
    assert_eq!(refused.header("retry-after"), "5");
    other.submit(body.clone()).await;
    user.submit(json!({"task_type": "sample", "data": {}, "priority": 1})).await;
    admin.post("/tasks/queues/default/resume", json!({})).await.expect(200);
    app.drain().await;
    app.advance(chrono::Duration::seconds(6));
    user.submit(body).await;
    app.drain().await;
}

#[tokio::test]
async fn what_waits_is_counted_after_workflows_as_well() {
    let app = TestApp::builder()
        .without_rate_limits()
        .var("MAX_WAITING_OF_USER", "20")
        .var("MAX_WAITING_OF_LANE", "30")
        .spawn()
        .await;
    let (user, other, admin) = (app.user().await, app.user_named("other").await, app.admin().await);
    admin.post("/tasks/queues/default/pause", json!({})).await.expect(200);
    let task = json!({"task_type": "sample", "data": {}});
    let batch = |n: usize| json!({"tasks": vec![task.clone(); n]});
    user.post("/tasks/batch", batch(20)).await.expect(200);
    user.post("/tasks/batch", batch(1)).await.expect_problem(429, "queue_full");
    user.post("/tasks/chain", batch(1)).await.expect_problem(429, "queue_full");
    app.advance(chrono::Duration::seconds(6));
    other.post("/tasks/batch", batch(10)).await.expect(200);
    let refused = admin.post("/tasks/submit", task.clone()).await.expect_problem(429, "queue_full").json();
    assert!(refused["detail"].as_str().is_some_and(|text| text.contains("in this lane")), "{refused}");
    admin.post("/tasks/queues/default/resume", json!({})).await.expect(200);
    app.drain().await;
}
