use chrono::Duration;
use halyard_tests::TestApp;
use http::Method;

use crate::assert_snapshot;

#[tokio::test]
async fn sessions_are_listed_with_the_present_one_marked() {
    let app = TestApp::spawn().await;
    let _phone = app.admin().await;
    app.advance(Duration::minutes(1));
    let laptop = app.admin().await;
    let answer = laptop.get("/auth/sessions").await.expect(200);
    assert_snapshot!("two_sessions", answer);
    assert!(!answer.text().contains("refresh"), "no secret is shown: {}", answer.text());
}

#[tokio::test]
async fn one_session_can_be_ended_from_another_and_nobody_elses() {
    let app = TestApp::spawn().await;
    let (phone, laptop, maria) = (app.admin().await, app.admin().await, app.user_named("maria").await);
    let items = laptop.get("/auth/sessions").await.expect(200).json()["data"]["items"].take();
    let other = items.as_array().expect("items").iter().find(|s| s["current"] == false).expect("the phone's session");
    let path = format!("/auth/sessions/{}", other["id"].as_str().or(other["session_id"].as_str()).expect("an id"));
    maria.request(Method::DELETE, &path).send().await.expect(404);
    laptop.request(Method::DELETE, &path).send().await.expect(200);
    laptop.request(Method::DELETE, &path).send().await.expect(404);
    app.advance(Duration::seconds(6));
    phone.get("/api/protected").await.expect_problem(401, "token_revoked");
    laptop.get("/api/protected").await.expect(200);
}

#[tokio::test]
async fn the_public_keys_are_published_and_the_private_one_is_not() {
    let app = TestApp::spawn().await;
    let answer = app.anonymous().get("/.well-known/jwks.json").await.expect(200);
    assert_snapshot!("key_set", answer);
    for key in answer.json()["keys"].as_array().expect("keys") {
        assert!(key.get("d").is_none(), "the private part");
    }
}
