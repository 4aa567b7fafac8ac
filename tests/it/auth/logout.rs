use chrono::Duration;
use halyard_tests::TestApp;
use http::Method;
use serde_json::json;

use crate::assert_snapshot;

#[tokio::test]
async fn logout_ends_this_session_and_its_refresh_token_and_no_other() {
    let app = TestApp::spawn().await;
    let phone = app.admin().await;
    let laptop = app.admin().await;
    assert_snapshot!("ended", phone.post("/auth/logout", json!({})).await.expect(200));
    app.advance(Duration::seconds(6));
    phone.get("/api/protected").await.expect_problem(401, "token_revoked");
    let token = phone.refresh_token.clone().expect("a refresh token");
    let refused = phone.request(Method::POST, "/auth/refresh").bearer(&token).send().await;
    refused.expect_problem(401, "token_revoked");
    laptop.get("/api/protected").await.expect(200);
}

#[tokio::test]
async fn logout_needs_no_body() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    admin.request(Method::POST, "/auth/logout").send().await.expect(200);
}

#[tokio::test]
async fn logout_all_ends_every_session_of_the_user_and_of_nobody_else() {
    let app = TestApp::spawn().await;
    let (phone, laptop) = (app.admin().await, app.admin().await);
    let maria = app.user_named("maria").await;
    let answer = phone.post("/auth/logout-all", json!({})).await.expect(200);
    assert_eq!(answer.json()["data"]["sessions_ended"], 2);
    app.advance(Duration::seconds(6));
    for gone in [&phone, &laptop] {
        gone.get("/api/protected").await.expect_problem(401, "token_revoked");
    }
    maria.get("/api/protected").await.expect(200);
    app.admin().await.get("/api/protected").await.expect(200);
}
