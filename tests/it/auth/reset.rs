use chrono::Duration;
use halyard_tests::{Actor, TestApp, TestResponse};
use http::Method;
use serde_json::json;

use super::{
    audited::entries,
    forgot::{SUBJECT, forgot},
};
use crate::assert_snapshot;

const NEW: &str = "a password that was never used";
const ADDRESS: &str = "maria@example.com";
/// Authorizer cache and session cache, and one second to be past both.
const BOUND: Duration = Duration::seconds(11);

async fn reset(app: &TestApp, token: &str, password: &str) -> TestResponse {
    app.anonymous().post("/auth/password/reset", json!({"token": token, "new_password": password})).await
}

async fn asked(app: &TestApp) -> String {
    forgot(app, ADDRESS).await.expect(200);
    app.mailed_token(ADDRESS, SUBJECT)
}

async fn spawn() -> (TestApp, Actor) {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let maria = app.user_named("maria").await;
    (app, maria)
}

async fn sign_in(app: &TestApp, password: &str) -> TestResponse {
    app.anonymous().post("/auth/login", json!({"username": "maria", "password": password})).await
}

#[tokio::test]
async fn a_forgotten_password_is_set_anew_by_the_token_of_the_mail_and_every_session_ends() {
    let (app, phone) = spawn().await;
    let (laptop, hanna) = (app.login("maria", &phone.password).await, app.user_named("hanna").await);
    // Caches are warm.
    phone.get("/api/protected").await.expect(200);
    let token = asked(&app).await;
    assert_snapshot!("done", reset(&app, &token, NEW).await.expect(200));
    app.advance(BOUND);
    for ended in [&phone, &laptop] {
        ended.get("/api/protected").await.expect_problem(401, "token_revoked");
        let refresh = ended.refresh_token.clone().expect("a refresh token");
        let refreshed = app.anonymous().request(Method::POST, "/auth/refresh").bearer(&refresh).send().await;
        refreshed.expect_problem(401, "token_revoked");
    }
    hanna.get("/api/protected").await.expect(200);
    sign_in(&app, &phone.password).await.expect_problem(401, "invalid_credentials");
    sign_in(&app, NEW).await.expect(200);
    assert_eq!(app.subjects_to(ADDRESS)[0], "Your password was changed");
}

#[tokio::test]
async fn a_reset_signs_nobody_in_and_verifies_no_address() {
    let (app, _) = spawn().await;
    let token = asked(&app).await;
    let answer = reset(&app, &token, NEW).await.expect(200);
    assert!(!answer.text().contains("access_token") && answer.header("set-cookie").is_empty());
    let user = app.login("maria", NEW).await.get("/auth/profile").await.expect(200).json();
    assert_eq!(user["data"]["user"]["email_verified"], false);
}

#[tokio::test]
async fn a_token_works_once() {
    let (app, _) = spawn().await;
    let token = asked(&app).await;
    reset(&app, &token, NEW).await.expect(200);
    assert_snapshot!("used", reset(&app, &token, "another password of mine").await.expect(422));
    sign_in(&app, NEW).await.expect(200);
}

#[tokio::test]
async fn of_two_uses_at_once_one_wins_and_its_password_is_the_accounts() {
    let (app, _) = spawn().await;
    let token = asked(&app).await;
    let other = "another password of mine";
    let (one, two) = tokio::join!(reset(&app, &token, NEW), reset(&app, &token, other));
    let mut codes = [one.code(), two.code()];
    codes.sort_unstable();
    assert_eq!(codes, [200, 422], "{} {}", one.text(), two.text());
    sign_in(&app, if one.code() == 200 { NEW } else { other }).await.expect(200);
    assert_eq!(entries(&app, "user.reset_password").await.len(), 1);
}

#[tokio::test]
async fn a_token_expires_after_half_an_hour() {
    let (app, _) = spawn().await;
    let token = asked(&app).await;
    app.advance(Duration::minutes(30));
    reset(&app, &token, NEW).await.expect_problem(422, "token_invalid");
    app.advance(Duration::minutes(-1));
    reset(&app, &token, NEW).await.expect(200);
}

#[tokio::test]
async fn a_newer_token_takes_the_place_of_an_older_one() {
    let (app, _) = spawn().await;
    let older = asked(&app).await;
    app.advance(Duration::minutes(2));
    let newer = asked(&app).await;
    assert_ne!(older, newer);
    reset(&app, &older, NEW).await.expect_problem(422, "token_invalid");
    reset(&app, &newer, NEW).await.expect(200);
}

#[tokio::test]
async fn a_token_is_void_once_the_account_has_another_password_or_address_or_is_disabled() {
    let (app, maria) = spawn().await;
    let token = asked(&app).await;
    app.advance(Duration::seconds(1));
    let change = json!({"current_password": maria.password, "new_password": "a password by its owner"});
    maria.post("/auth/password", change).await.expect(200);
    reset(&app, &token, NEW).await.expect_problem(422, "token_invalid");

    app.advance(Duration::minutes(2));
    let token = asked(&app).await;
    app.execute("update users set status = 'disabled' where username = 'maria'").await;
    reset(&app, &token, NEW).await.expect_problem(422, "token_invalid");
    app.execute("update users set status = 'active' where username = 'maria'").await;

    let maria = app.login("maria", "a password by its owner").await;
    maria.put("/auth/profile", json!({"email": "maria@example.org"})).await.expect(200);
    reset(&app, &token, NEW).await.expect_problem(422, "token_invalid");
    sign_in(&app, "a password by its owner").await.expect(200);
}

#[tokio::test]
async fn a_token_for_something_else_or_for_nothing_is_refused() {
    let (app, maria) = spawn().await;
    asked(&app).await;
    let verification = app.mailed_token(ADDRESS, "Confirm your e-mail address");
    let refresh = maria.refresh_token.clone().expect("a refresh token");
    let foreign = format!("hm_{}", "A".repeat(43));
    for token in [&verification, &refresh, &foreign, "hm_", "x"] {
        reset(&app, token, NEW).await.expect_problem(422, "token_invalid");
    }
    let token = app.mailed_token(ADDRESS, SUBJECT);
    let verified = app.anonymous().post("/auth/email/verify", json!({ "token": token })).await;
    verified.expect_problem(422, "token_invalid");
    reset(&app, &token, NEW).await.expect(200);
}

#[tokio::test]
async fn a_password_that_breaks_a_rule_uses_no_token_up() {
    let (app, _) = spawn().await;
    let token = asked(&app).await;
    assert_snapshot!("bad_fields", reset(&app, "", "short").await.expect(422));
    reset(&app, &token, "short").await.expect(422);
    let more = json!({"token": token, "new_password": NEW, "role": "admin"});
    app.anonymous().post("/auth/password/reset", more).await.expect(422);
    reset(&app, &format!("  {token}\n"), NEW).await.expect(200);
}

#[tokio::test]
async fn a_reset_is_audited_without_password_or_token() {
    let (app, maria) = spawn().await;
    let token = asked(&app).await;
    reset(&app, &token, NEW).await.expect(200);
    let kept = entries(&app, "user.reset_password").await;
    let [(None, target, detail)] = kept.as_slice() else { panic!("{kept:?}") };
    assert_eq!(*target, format!("user:{}", maria.user_id));
    assert!(!detail.to_string().contains(NEW) && !detail.to_string().contains(&token), "{detail}");
}

#[tokio::test]
async fn nothing_in_the_database_is_the_token() {
    let (app, _) = spawn().await;
    let token = asked(&app).await;
    for table in ["mails", "mail_tokens", "mail_limits", "audit_log"] {
        let sql = format!("select count(*) from {table} t where t::text like '%' || $1 || '%'");
        assert_eq!(app.count_of(&sql, token[3..].to_owned()).await, 0, "{table}");
    }
    assert_eq!(app.count("select count(*) from mail_tokens where length(hash) = 32").await, 2);
}
