//! What is owed, and when.

use chrono::Duration;
use halyard_tests::{Receiver, TestApp};
use serde_json::json;

use super::{finished, states, task};

#[tokio::test]
async fn a_completed_task_is_told_as_a_cloud_event() {
    let app = TestApp::spawn().await;
    let receiver = Receiver::start();
    let user = app.user().await;
    let id = finished(&app, &user, &receiver).await;
    let heard = receiver.take();
    let [one] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!(
        (one.path.as_str(), one.headers["content-type"].as_str()),
        ("/completion", "application/cloudevents+json")
    );
    let event = one.json();
    assert_eq!(event["id"], one.id());
    assert_eq!((&event["specversion"], &event["type"]), (&json!("1.0"), &json!("halyard.task.completed")));
    assert_eq!((&event["subject"], &event["source"]), (&json!(id), &json!("https://api.example.com/tasks")));
    assert_eq!(event["time"], app.now_text());
    let data = &event["data"];
    assert_eq!((&data["task_id"], &data["status"], &data["attempt"]), (&json!(id), &json!("completed"), &json!(1)));
    let result = user.get(&format!("/tasks/result/{id}")).await.expect(200).json();
    assert_eq!(data["result"], result["data"]["result"], "{data} {result}");
    assert_eq!(states(&app).await, "completed delivered 1");
}

#[tokio::test]
async fn every_bad_end_is_told_to_the_error_url() {
    let app = TestApp::spawn().await;
    let receiver = Receiver::start();
    let user = app.user().await;
    user.submit(task(&receiver, &json!({"fail": "error"}))).await;
    app.drain().await;
    let mut late = task(&receiver, &json!({}));
    late["expires_in"] = json!(5);
    user.submit(late).await;
    app.advance(Duration::seconds(10));
    app.drain().await;
    let cancelled = user.submit(task(&receiver, &json!({}))).await;
    user.post(&format!("/tasks/cancel/{cancelled}"), json!({"reason": "enough"})).await.expect(200);
    assert_eq!(app.depth_of("callbacks").await, 1, "whoever cancels rings");
    app.drain().await;
    user.submit(task(&receiver, &json!({"fail": "panic"}))).await;
    app.drain().await;
    let heard: Vec<_> = receiver.take().iter().map(|h| (h.path.clone(), h.json())).collect();
    let told: Vec<_> = heard.iter().map(|(path, e)| (path.as_str(), e["type"].as_str().expect("a type"))).collect();
    assert_eq!(
        told,
        [
            ("/error", "halyard.task.failed"),
            ("/error", "halyard.task.expired"),
            ("/error", "halyard.task.cancelled"),
            ("/error", "halyard.task.dead"),
        ]
    );
    let error = &heard[2].1["data"]["error"];
    assert_eq!(*error, json!({"code": "cancelled", "message": "enough"}));
    assert_eq!(heard[3].1["data"]["error"]["code"], "panicked");
}

#[tokio::test]
async fn a_task_whose_worker_vanishes_too_often_is_told_as_dead_by_whoever_finds_it() {
    let app = TestApp::spawn().await;
    let receiver = Receiver::start();
    let user = app.user().await;
    let id = user.submit(task(&receiver, &json!({}))).await;
    app.change_task(&id, "state = 'running', fence = 9, attempt = 3, lost_leases = 99, lease_until = created_at").await;
    app.execute("delete from outbox").await;
    app.forget_queues().await;
    app.advance(Duration::minutes(2));
    let report = app.beat().await;
    assert_eq!((&report["webhooks"]["due"], &report["webhooks"]["rung"]), (&json!(1), &json!(1)), "{report}");
    app.drain().await;
    assert_eq!(receiver.take()[0].json()["type"], "halyard.task.dead");
}

#[tokio::test]
async fn a_task_without_callbacks_owes_nothing() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    user.submit(json!({"task_type": "sample", "data": {}})).await;
    app.drain().await;
    let mut one = json!({"task_type": "sample", "data": {"fail": "error"}, "retry_config": {"max_retries": 0}});
    one["callbacks"] = json!({"completion_url": "https://hooks.example/completion"});
    user.submit(one).await;
    app.drain().await;
    assert_eq!(states(&app).await, "");
    assert_eq!(app.invocations("NotifierFunction"), 1, "one doorbell for callbacks that may have been meant");
}

/// What a worker says of a task that it runs.
async fn renew(app: &TestApp, id: &str, percentage: i64) {
    let at = app.now().to_rfc3339();
    let set = format!(r#"progress = '{{"percentage": {percentage}}}', progress_at = '{at}'"#);
    app.change_task(id, &set).await;
}

#[tokio::test]
async fn progress_is_told_every_ten_seconds_at_most_and_the_last_word_always() {
    let app = TestApp::spawn().await;
    let receiver = Receiver::start();
    let user = app.user().await;
    let id = user.submit(task(&receiver, &json!({}))).await;
    app.forget_queues().await;
    app.execute("delete from outbox").await;
    app.change_task(&id, "state = 'running', fence = 1, attempt = 1, lease_until = created_at + interval '1 day'")
        .await;
    let percentages = async |app: &TestApp| {
        app.ring("callbacks", r#"{"v":1,"webhooks":"due"}"#).await;
        app.drain().await;
        let told = receiver.take();
        told.iter().map(|h| h.json()["data"]["progress"]["percentage"].clone()).collect::<Vec<_>>()
    };
    renew(&app, &id, 10).await;
    assert_eq!(percentages(&app).await, [10], "the first one at once");
    for percentage in [20, 30, 40] {
        app.advance(Duration::seconds(1));
        renew(&app, &id, percentage).await;
    }
    assert_eq!(percentages(&app).await, [0; 0], "too soon");
    assert_eq!(states(&app).await, "progress delivered 1, progress owed 0", "one id for the three");
    app.advance(Duration::seconds(7));
    assert_eq!(percentages(&app).await, [40]);
    app.advance(Duration::seconds(60));
    renew(&app, &id, 50).await;
    assert_eq!(percentages(&app).await, [50]);
    app.advance(Duration::seconds(1));
    renew(&app, &id, 90).await;
    let end = app.now().to_rfc3339();
    app.change_task(&id, &format!("state = 'completed', lease_until = null, ended_at = '{end}'")).await;
    assert_eq!(percentages(&app).await, [json!(100.0)], "the end takes the place of progress that was not told yet");
    assert_eq!(
        states(&app).await,
        "progress delivered 1, progress delivered 1, progress delivered 1, progress superseded 0, completed delivered 1"
    );
}

#[tokio::test]
async fn progress_that_was_not_taken_gives_way_to_later_progress() {
    let app = TestApp::spawn().await;
    let receiver = Receiver::start();
    let user = app.user().await;
    let id = user.submit(task(&receiver, &json!({}))).await;
    app.forget_queues().await;
    app.execute("delete from outbox").await;
    app.change_task(&id, "state = 'running', fence = 1, attempt = 1, lease_until = created_at + interval '1 day'")
        .await;
    receiver.reply(halyard_tests::Reply::status(503));
    renew(&app, &id, 10).await;
    app.ring("callbacks", r#"{"v":1,"webhooks":"due"}"#).await;
    app.drain().await;
    app.advance(Duration::seconds(3));
    renew(&app, &id, 20).await;
    assert_eq!(states(&app).await, "progress superseded 1, progress owed 0");
    app.advance(Duration::seconds(8));
    app.drain().await;
    let told = receiver.take();
    assert_eq!(told.len(), 2);
    assert_ne!(told[0].id(), told[1].id(), "another event");
    app.leave_unfinished();
}
