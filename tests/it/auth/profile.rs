use chrono::Duration;
use halyard_tests::{Actor, PrivateRedis, TestApp};
use http::Method;
use serde_json::json;

use crate::assert_snapshot;

#[tokio::test]
async fn profile_shows_user_preferences_and_statistics() {
    let app = TestApp::spawn().await;
    let maria = app.user_named("maria").await;
    assert_snapshot!("fresh", maria.get("/auth/profile").await.expect(200));
}

#[tokio::test]
async fn profile_counts_the_tasks_of_its_user() {
    let app = TestApp::spawn().await;
    let maria = app.user_named("maria").await;
    for fail in [None, None, Some("permanent")] {
        maria.submit(json!({"task_type": "sample", "data": {"fail": fail}})).await;
    }
    app.drain().await;
    let statistics = maria.get("/auth/profile").await.expect(200).json()["data"]["statistics"].take();
    assert_eq!(statistics["tasks_submitted"], 3);
    assert_eq!(statistics["tasks_completed"], 2);
    assert_eq!(statistics["tasks_failed"], 1);
}

async fn calls(actor: &Actor) -> i64 {
    let statistics = actor.get("/auth/profile").await.expect(200).json()["data"]["statistics"].take();
    statistics["total_api_calls"].as_i64().expect("a number")
}

#[tokio::test]
async fn profile_counts_the_calls_of_its_user_each_once_before_and_after_they_are_folded() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let (maria, peter) = (app.user_named("maria").await, app.user_named("peter").await);
    for _ in 0..3 {
        maria.get("/api/protected").await.expect(200);
    }
    maria.get("/api/users").await.expect(403);
    assert_eq!((calls(&maria).await, calls(&peter).await), (5, 1));
    // Too early, then just right, then nothing new.
    for minutes in [1, 2, 0] {
        app.advance(Duration::minutes(minutes));
        app.beat().await;
    }
    assert_eq!((calls(&maria).await, calls(&peter).await), (6, 2));
    app.advance(Duration::minutes(30));
    app.beat().await;
    app.forget_redis().await;
    assert_eq!((calls(&maria).await, calls(&peter).await), (7, 3));
}

#[tokio::test]
async fn without_redis_profile_counts_the_calls_that_are_folded_and_beat_folds_the_others_later() {
    let mut redis = PrivateRedis::start();
    let app = TestApp::builder().redis(&redis).without_rate_limits().spawn().await;
    let maria = app.user_named("maria").await;
    maria.get("/api/protected").await.expect(200);
    app.advance(Duration::minutes(3));
    app.beat().await;
    redis.stop();
    assert_eq!(calls(&maria).await, 1);
    app.advance(Duration::minutes(3));
    assert_eq!(app.beat().await["failed"], json!([]));
    redis.start_again();
    assert_eq!(calls(&maria).await, 2);
    app.advance(Duration::minutes(3));
    app.beat().await;
    app.forget_redis().await;
    assert_eq!(calls(&maria).await, 3);
}

#[tokio::test]
async fn profile_changes_what_is_named_and_merges_preferences() {
    let app = TestApp::spawn().await;
    let maria = app.user_named("maria").await;
    let first = json!({"preferences": {"timezone": "UTC", "notifications": {"email": true, "push": false}}});
    maria.put("/auth/profile", first).await.expect(200);
    let second = json!({
        "full_name": "Maria Anders",
        "email": "maria.anders@example.com",
        "department": "DevOps Engineering",
        "preferences": {"timezone": "America/New_York", "notifications": {"push": true}},
    });
    assert_snapshot!("changed", maria.put("/auth/profile", second).await.expect(200));
    let data = maria.get("/auth/profile").await.expect(200).json()["data"].take();
    assert_eq!(data["preferences"]["notifications"], json!({"email": true, "push": true}));
    assert_eq!(data["preferences"]["timezone"], "America/New_York");
    assert_eq!(data["user"]["full_name"], "Maria Anders");
}

#[tokio::test]
async fn a_change_over_a_stale_copy_is_refused() {
    let app = TestApp::spawn().await;
    let maria = app.user_named("maria").await;
    let etag = maria.get("/auth/profile").await.expect(200).header("etag").to_owned();
    assert!(etag.starts_with('"'), "a strong entity tag: {etag}");
    let change = async |tag: &str, name: &str| {
        let draft = maria.request(Method::PUT, "/auth/profile").header("if-match", tag);
        draft.json(&json!({"full_name": name})).send().await
    };
    change(&etag, "First").await.expect(200);
    assert_snapshot!("stale", change(&etag, "Second").await.expect(412));
    let data = maria.get("/auth/profile").await.expect(200).json()["data"].take();
    assert_eq!(data["user"]["full_name"], "First");
}

#[tokio::test]
async fn an_address_that_somebody_else_has_is_taken_down_as_any_other() {
    let app = TestApp::spawn().await;
    app.user_named("maria").await;
    app.verify_address_of("maria").await;
    let hanna = app.user_named("hanna").await;
    app.advance(Duration::minutes(2));
    let change = async |email: &str| {
        let answer = hanna.put("/auth/profile", json!({"email": email})).await.expect(200);
        let mut user = answer.json()["data"]["user"].take();
        user["email"].take();
        user
    };
    let told = change("Maria@example.com").await;
    assert_eq!(app.subjects_to("maria@example.com")[0], "Your e-mail address was given again");
    assert_eq!(change("nobody@example.com").await, told);
    // It never was hanna's: whoever reads it is not told that she has moved.
    assert_eq!(app.mails_to("Maria@example.com").len(), 0);
}

#[tokio::test]
async fn a_bad_change_names_the_fields_and_changes_nothing() {
    let app = TestApp::spawn().await;
    let maria = app.user_named("maria").await;
    let bad = json!({"full_name": "x".repeat(500), "email": "nobody", "preferences": ["a"]});
    assert_snapshot!("bad_fields", maria.put("/auth/profile", bad).await.expect(422));
    let data = maria.get("/auth/profile").await.expect(200).json()["data"].take();
    assert_eq!(data["user"]["email"], "maria@example.com");
}

#[tokio::test]
async fn a_profile_cannot_raise_its_own_role() {
    let app = TestApp::spawn().await;
    let maria = app.user_named("maria").await;
    let change = json!({"role": "admin", "permissions": ["*"], "account_status": "active", "full_name": "M"});
    maria.put("/auth/profile", change).await.expect(200);
    let user = maria.get("/auth/profile").await.expect(200).json()["data"]["user"].take();
    assert_eq!(user["role"], "user");
    assert_eq!(user["permissions"], json!([]));
}
