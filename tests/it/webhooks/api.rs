//! What users see of their webhooks.

use halyard_tests::{Receiver, Reply, TestApp};
use serde_json::json;

use super::{finished, states};

#[tokio::test]
async fn the_log_tells_what_became_of_a_delivery_to_its_owner_and_to_nobody_else() {
    let app = TestApp::spawn().await;
    let receiver = Receiver::start();
    let user = app.user().await;
    receiver.reply(Reply::status(503).body("later"));
    let task = finished(&app, &user, &receiver).await;
    let list = user.get(&format!("/tasks/webhooks/deliveries?task_id={task}&state=owed")).await.expect(200).json();
    let item = &list["data"]["items"][0];
    assert_eq!((&item["task_id"], &item["event_type"]), (&json!(task), &json!("halyard.task.completed")));
    assert_eq!((&item["attempts"], &item["status_code"]), (&json!(1), &json!(503)));
    let path = format!("/tasks/webhooks/deliveries/{}", item["delivery_id"].as_str().expect("an id"));
    let one = user.get(&path).await.expect(200).json();
    let attempt = &one["data"]["log"][0];
    assert_eq!((&attempt["error"], &attempt["response"]), (&json!("answered 503"), &json!("later")));
    assert_eq!(
        user.get("/tasks/webhooks/deliveries?state=failed").await.expect(200).json()["data"]["items"],
        json!([])
    );
    let other = app.user_named("other").await;
    other.get(&path).await.expect_problem(404, "not_found");
    assert_eq!(other.get("/tasks/webhooks/deliveries").await.expect(200).json()["data"]["items"], json!([]));
    app.admin().await.get(&path).await.expect(200);
    user.get("/tasks/webhooks/deliveries?state=lost").await.expect(422);
    app.leave_unfinished();
}

#[tokio::test]
async fn a_delivery_is_replayed_under_its_id() {
    let app = TestApp::spawn().await;
    let receiver = Receiver::start();
    let user = app.user().await;
    finished(&app, &user, &receiver).await;
    let first = receiver.take().remove(0);
    let path = format!("/tasks/webhooks/deliveries/{}/replay", first.id());
    app.user_named("other").await.post(&path, json!({})).await.expect_problem(404, "not_found");
    app.advance(chrono::Duration::minutes(30));
    user.post(&path, json!({})).await.expect(200);
    user.post(&path, json!({})).await.expect_problem(409, "delivery_owed");
    app.drain().await;
    let again = receiver.take().remove(0);
    assert_eq!((again.id(), &again.body), (first.id(), &first.body));
    assert_eq!(states(&app).await, "completed delivered 2");
    app.execute("update webhook_deliveries set attempts = 1000").await;
    user.post(&path, json!({})).await.expect_problem(409, "sent_too_often");
    app.execute("update webhook_deliveries set attempts = 2").await;
    receiver.reply(Reply::status(410));
    user.post(&path, json!({})).await.expect(200);
    app.drain().await;
    user.post(&path, json!({})).await.expect_problem(409, "endpoint_disabled");
}

#[tokio::test]
async fn lists_come_in_pages() {
    let app = TestApp::spawn().await;
    let receiver = Receiver::start();
    let user = app.user().await;
    for _ in 0..3 {
        finished(&app, &user, &receiver).await;
        app.advance(chrono::Duration::seconds(1));
    }
    let first = user.get("/tasks/webhooks/deliveries?limit=2").await.expect(200).json();
    let cursor = first["data"]["next_cursor"].as_str().expect("more");
    let second = user.get(&format!("/tasks/webhooks/deliveries?limit=2&cursor={cursor}")).await.expect(200).json();
    assert_eq!(second["data"]["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(second["data"]["next_cursor"], json!(null));
    let endpoints = user.get("/tasks/webhooks/endpoints?limit=1").await.expect(200).json();
    assert_eq!(endpoints["data"]["items"][0]["url"], receiver.url("/completion"));
    let bad = json!({"url": "x", "more": 1});
    user.post("/tasks/webhooks/endpoints/enable", bad).await.expect(422);
    user.post("/tasks/webhooks/endpoints/enable", json!({"url": "https://hooks.example/"})).await.expect(404);
}
