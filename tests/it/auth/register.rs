use halyard_tests::TestApp;
use serde_json::json;

use crate::assert_snapshot;

#[tokio::test]
async fn register_makes_an_account_that_can_sign_in() {
    let app = TestApp::spawn().await;
    let body = json!({"username": "Maria", "email": "maria@example.com", "password": "correct horse battery"});
    let answer = app.anonymous().post("/auth/register", body).await.expect(200);
    assert_snapshot!("account_made", answer);
    assert!(!answer.text().contains("password_hash") && !answer.text().contains("argon2"), "{}", answer.text());

    let maria = app.login("maria", "correct horse battery").await;
    assert_eq!(maria.user_id, answer.json()["data"]["user"]["id"]);
}

#[tokio::test]
async fn register_refuses_a_name_that_is_taken_whatever_its_case() {
    let app = TestApp::spawn().await;
    app.user_named("maria").await;
    let body = json!({"username": "MARIA", "email": "other@example.com", "password": "correct horse battery"});
    let answer = app.anonymous().post("/auth/register", body).await.expect(409);
    assert_snapshot!("name_taken", answer);
}

#[tokio::test]
async fn register_names_every_bad_field_at_once() {
    let app = TestApp::spawn().await;
    let body = json!({"username": "a b", "email": "nobody", "password": "short"});
    let answer = app.anonymous().post("/auth/register", body).await.expect(422);
    assert_snapshot!("bad_fields", answer);
    assert_eq!(app.count("select count(*) from users").await, 1, "only the administrator is stored");
}

#[tokio::test]
async fn register_names_every_missing_field() {
    let app = TestApp::spawn().await;
    let answer = app.anonymous().post("/auth/register", json!({})).await.expect(422);
    assert_snapshot!("missing_fields", answer);
}

#[tokio::test]
async fn register_refuses_what_is_not_json() {
    let app = TestApp::spawn().await;
    let anonymous = app.anonymous();
    let draft = || anonymous.request(http::Method::POST, "/auth/register");
    let broken = draft().header("content-type", "application/json").body("{\"username\":").send().await;
    assert_snapshot!("broken_json", broken.expect(400));
    let form = draft().header("content-type", "application/x-www-form-urlencoded").body("username=maria").send().await;
    assert_snapshot!("not_json", form.expect(415));
}

#[tokio::test]
async fn register_ignores_fields_that_it_does_not_know_and_grants_nothing() {
    let app = TestApp::spawn().await;
    let body = json!({
        "username": "mallory", "email": "mallory@example.com", "password": "correct horse battery",
        "role": "admin", "permissions": ["*"], "id": 1, "is_admin": true,
    });
    let user = &app.anonymous().post("/auth/register", body).await.expect(200).json()["data"]["user"];
    assert_eq!(user["role"], "user");
    assert_eq!(user["permissions"], json!([]));
}

#[tokio::test]
async fn register_limits_one_address_to_five_a_minute() {
    let app = TestApp::spawn().await;
    let register = async |n: usize| {
        let body = json!({"username": format!("user{n}"), "email": format!("user{n}@example.com"), "password": "correct horse"});
        app.anonymous().post("/auth/register", body).await
    };
    for n in 0..5 {
        register(n).await.expect(200);
    }
    let refused = register(5).await.expect_problem(429, "rate_limited");
    let wait: i64 = refused.header("retry-after").parse().expect("seconds");
    app.advance(chrono::Duration::seconds(wait));
    register(5).await.expect(200);
}
