use chrono::Duration;
use halyard_tests::{Actor, TestApp, TestResponse};
use http::Method;
use serde_json::json;

use super::audited::entries;
use crate::assert_snapshot;

const NEW: &str = "correct horse battery staple";
/// Authorizer cache and session cache.
const BOUND: Duration = Duration::seconds(6);

async fn change(actor: &Actor, current: &str, new: &str) -> TestResponse {
    actor.post("/auth/password", json!({"current_password": current, "new_password": new})).await
}

async fn sign_in(app: &TestApp, name: &str, password: &str) -> TestResponse {
    app.anonymous().post("/auth/login", json!({"username": name, "password": password})).await
}

async fn refresh(app: &TestApp, actor: &Actor) -> TestResponse {
    let token = actor.refresh_token.clone().expect("a refresh token");
    app.anonymous().request(Method::POST, "/auth/refresh").bearer(&token).send().await
}

#[tokio::test]
async fn a_new_password_ends_every_other_session_and_this_one_goes_on() {
    let app = TestApp::spawn().await;
    let (phone, laptop, maria) = (app.admin().await, app.admin().await, app.user_named("maria").await);
    // Caches are warm.
    phone.get("/api/protected").await.expect(200);
    assert_snapshot!("changed", change(&laptop, "admin123", NEW).await.expect(200));
    app.advance(BOUND);
    phone.get("/api/protected").await.expect_problem(401, "token_revoked");
    refresh(&app, &phone).await.expect_problem(401, "token_revoked");
    laptop.get("/api/protected").await.expect(200);
    let sessions = laptop.get("/auth/sessions").await.expect(200).json();
    assert_eq!(sessions["data"]["items"].as_array().map(Vec::len), Some(1), "{sessions}");
    refresh(&app, &laptop).await.expect(200);
    maria.get("/api/protected").await.expect(200);
    sign_in(&app, "admin", "admin123").await.expect_problem(401, "invalid_credentials");
    sign_in(&app, "admin", NEW).await.expect(200);
}

#[tokio::test]
async fn a_change_is_audited_without_either_password() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    change(&admin, "wrong-password", NEW).await.expect(422);
    assert_eq!(entries(&app, "user.change_password").await, [], "nothing was changed");
    change(&admin, "admin123", NEW).await.expect(200);
    let kept = entries(&app, "user.change_password").await;
    let [(Some(1), target, detail)] = kept.as_slice() else { panic!("{kept:?}") };
    assert_eq!(target, "user:1");
    assert!(detail["session"].is_string(), "{detail}");
    assert!(!detail.to_string().contains(NEW) && !detail.to_string().contains("admin123"), "{detail}");
}

#[tokio::test]
async fn a_change_that_breaks_a_rule_changes_nothing() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    assert_snapshot!("wrong", change(&admin, "admin124", NEW).await.expect(422));
    assert_snapshot!("unchanged", change(&admin, "admin123", "admin123").await.expect(422));
    assert_snapshot!("bad_fields", admin.post("/auth/password", json!({"new_password": "short"})).await.expect(422));
    let more = json!({"current_password": "admin123", "new_password": NEW, "role": "admin"});
    admin.post("/auth/password", more).await.expect(422);
    app.advance(Duration::minutes(1));
    app.admin().await.get("/api/protected").await.expect(200);
}

#[tokio::test]
async fn a_session_that_has_ended_changes_no_password_though_caches_still_know_it() {
    let app = TestApp::spawn().await;
    let (phone, laptop) = (app.admin().await, app.admin().await);
    phone.get("/api/protected").await.expect(200);
    laptop.post("/auth/logout-all", json!({})).await.expect(200);
    change(&phone, "admin123", NEW).await.expect_problem(401, "token_revoked");
    sign_in(&app, "admin", "admin123").await.expect(200);
}

#[tokio::test]
async fn of_two_changes_at_once_one_wins_and_its_password_is_the_accounts() {
    let app = TestApp::spawn().await;
    let (phone, laptop) = (app.admin().await, app.admin().await);
    let other = "another long password";
    let (one, two) = tokio::join!(change(&phone, "admin123", NEW), change(&laptop, "admin123", other));
    let won = [one.code(), two.code()].iter().filter(|code| **code == 200).count();
    assert_eq!(won, 1, "{} {}", one.text(), two.text());
    let winner = if one.code() == 200 { NEW } else { other };
    sign_in(&app, "admin", winner).await.expect(200);
    assert_eq!(entries(&app, "user.change_password").await.len(), 1);
}

#[tokio::test]
async fn logging_out_everywhere_after_a_change_ends_the_session_that_made_it() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    change(&admin, "admin123", NEW).await.expect(200);
    let ended = admin.post("/auth/logout-all", json!({})).await.expect(200).json();
    assert_eq!(ended["data"]["sessions_ended"], 1);
    app.advance(BOUND);
    admin.get("/api/protected").await.expect_problem(401, "token_revoked");
    refresh(&app, &admin).await.expect_problem(401, "token_revoked");
}
