//! What is kept.

use serde_json::{Value, json};

use super::{data, faults, with_entries};

async fn newest(admin: &halyard_tests::Actor) -> Value {
    data(admin, "/api/audit?limit=1").await["items"][0].take()
}

#[tokio::test]
async fn that_the_first_administrator_was_made() {
    let (_app, admin, _) = with_entries(0).await;
    let entry = newest(&admin).await;
    assert_eq!(
        (&entry["action"], &entry["target"], &entry["actor"], &entry["detail"]),
        (&json!("user.create"), &json!("user:1"), &json!(null), &json!({"role": "admin"}))
    );
}

#[tokio::test]
async fn that_a_lane_was_paused_and_resumed_each_once() {
    let (_app, admin, _) = with_entries(0).await;
    for (verb, action) in [("pause", "lane.pause"), ("resume", "lane.resume")] {
        for _ in 0..2 {
            admin.post(&format!("/tasks/queues/low/{verb}"), json!({})).await.expect(200);
        }
        let entry = newest(&admin).await;
        assert_eq!((&entry["action"], &entry["target"]), (&json!(action), &json!("lane:low")));
        assert_eq!(entry["actor"], json!({"id": 1, "username": "admin"}));
    }
    assert_eq!(data(&admin, "/api/audit/head").await["head"]["id"], 3, "what changed nothing is not kept");
}

#[tokio::test]
async fn a_change_of_rights_with_the_request_that_made_it() {
    let (_app, admin, user) = with_entries(0).await;
    let draft = admin.request(http::Method::PATCH, &format!("/api/users/{}", user.user_id));
    let answer = draft.json(&json!({"permissions": ["metrics:read"]})).send().await.expect(200);
    let entry = newest(&admin).await;
    assert_eq!(entry["request_id"], answer.header("x-request-id"));
    assert_eq!(entry["detail"]["before"]["permissions"], json!([]));
    assert_eq!(entry["detail"]["after"]["permissions"], json!(["metrics:read"]));
    assert!(entry["detail"]["credential"].as_str().is_some_and(|id| id.starts_with("sess_")), "{entry}");
}

#[tokio::test]
async fn a_changed_password_goes_through_the_chain_too() {
    let (_app, admin, user) = with_entries(0).await;
    let change = json!({"current_password": user.password, "new_password": "correct horse battery staple"});
    user.post("/auth/password", change).await.expect(200);
    assert_eq!(newest(&admin).await["action"], "user.change_password");
    assert_eq!(faults(&admin, 1000).await, []);
}
