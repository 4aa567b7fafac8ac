use halyard_tests::TestApp;
use http::Method;
use serde_json::json;

use super::{id_of, post, replayed, submit};
use crate::assert_snapshot;

#[tokio::test]
async fn the_same_request_again_is_answered_alike_and_makes_nothing() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let first = submit(&user, "\"8e03978e-40d5-43dd-bc93-6894a57f9324\"", json!({"message": "once"})).await.expect(200);
    assert!(!replayed(&first));
    app.drain().await;
    // With quotes or without: one key. The task has moved on meanwhile, the answer has not.
    let again = submit(&user, "8e03978e-40d5-43dd-bc93-6894a57f9324", json!({"message": "once"})).await.expect(200);
    assert!(replayed(&again));
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("content-type"), first.header("content-type"));
    assert_ne!(again.header("x-request-id"), first.header("x-request-id"), "it is another request all the same");
    assert_eq!(app.count("select count(*) from tasks").await, 1);
    assert_eq!(user.state_of(&id_of(&first)).await, "completed");
}

#[tokio::test]
async fn a_key_stands_for_one_request_of_one_user() {
    let app = TestApp::spawn().await;
    let (maria, hanna) = (app.user_named("maria").await, app.user_named("hanna").await);
    let first = submit(&maria, "order-17", json!({"n": 1})).await.expect(200);
    let other = submit(&maria, "order-17", json!({"n": 2})).await;
    assert_snapshot!("another_body", other.expect_problem(422, "idempotency_key_reused"));
    let elsewhere = post(&maria, "/tasks/submit?x=1", "order-17", json!({"task_type": "sample", "data": {"n": 1}}));
    elsewhere.await.expect_problem(422, "idempotency_key_reused");
    let hers = submit(&hanna, "order-17", json!({"n": 1})).await.expect(200);
    assert!(!replayed(&hers));
    assert_ne!(id_of(&hers), id_of(&first));
    let next = submit(&maria, "order-18", json!({"n": 1})).await.expect(200);
    assert_ne!(id_of(&next), id_of(&first));
    app.drain().await;
    assert_eq!(app.count("select count(*) from tasks").await, 3);
}

#[tokio::test]
async fn a_key_that_is_none_is_refused_and_nothing_is_made() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    for key in ["", "\"\"", "\"open", "a b", &"k".repeat(256)] {
        submit(&user, key, json!({})).await.expect_problem(400, "invalid_idempotency_key");
    }
    let body = json!({"task_type": "sample", "data": {}});
    let two = user.request(Method::POST, "/tasks/submit").json(&body).header("idempotency-key", "a");
    two.header("idempotency-key", "b").send().await.expect(400);
    assert_eq!(app.count("select count(*) from tasks").await, 0);
}

#[tokio::test]
async fn a_refusal_is_an_answer_too() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let body = json!({"task_type": "no_such_type", "data": {}});
    let first = post(&user, "/tasks/submit", "k", body.clone()).await.expect_problem(422, "validation_failed");
    let again = post(&user, "/tasks/submit", "k", body).await.expect_problem(422, "validation_failed");
    assert!(replayed(&again) && !replayed(&first));
    assert_eq!(again.body, first.body, "with the request id of the first");
}

#[tokio::test]
async fn after_a_day_a_key_is_a_new_one_though_the_table_still_has_it() {
    let app = TestApp::spawn().await;
    let mut user = app.user().await;
    let first = submit(&user, "daily", json!({})).await.expect(200);
    app.drain().await;
    app.advance(chrono::Duration::hours(24) - chrono::Duration::seconds(2));
    user.sign_in().await;
    assert!(replayed(&submit(&user, "daily", json!({})).await.expect(200)));
    app.advance(chrono::Duration::seconds(2));
    let next = submit(&user, "daily", json!({})).await.expect(200);
    assert!(!replayed(&next));
    assert_ne!(id_of(&next), id_of(&first));
    app.drain().await;
}

#[tokio::test]
async fn an_answer_with_a_secret_is_not_kept_and_the_secret_not_made_twice() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let body = json!({"name": "a program"});
    let first = post(&user, "/auth/api-keys", "k", body.clone()).await.expect(200).json();
    let again = post(&user, "/auth/api-keys", "k", body).await;
    assert_snapshot!("not_kept", again.expect_problem(409, "idempotency_answer_not_kept"));
    let keys = user.get("/auth/api-keys").await.expect(200).json();
    assert_eq!(keys["data"]["items"].as_array().map(Vec::len), Some(1), "{keys}");
    user.with_token(first["data"]["key"].as_str().expect("a key")).get("/api/protected").await.expect(200);
}

#[tokio::test]
async fn what_is_about_the_credential_is_asked_again() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let user = app.user().await;
    app.advance(chrono::Duration::minutes(11));
    let body = json!({"name": "a program"});
    post(&user, "/auth/api-keys", "k", body.clone()).await.expect_problem(401, "step_up_required");
    user.post("/auth/step-up", json!({"password": user.password})).await.expect(200);
    let fresh = app.login(&user.username, &user.password).await;
    let made = post(&fresh, "/auth/api-keys", "k", body).await.expect(200);
    assert!(!replayed(&made));
}

#[tokio::test]
async fn where_no_key_is_taken_the_header_says_nothing() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "sample", "data": {}})).await;
    for _ in 0..2 {
        let cancel = post(&user, &format!("/tasks/cancel/{id}"), "a b c", json!({})).await;
        assert!(!replayed(&cancel));
        assert!([200, 409].contains(&cancel.code()), "{}", cancel.text());
    }
}
