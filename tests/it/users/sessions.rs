//! What a change of rights does to sessions.

use halyard_tests::{Actor, TestApp};
use http::Method;
use serde_json::json;

use super::{BOUND, app, path_of, with_rights};

async fn refresh(app: &TestApp, actor: &Actor) -> halyard_tests::TestResponse {
    let token = actor.refresh_token.clone().expect("a refresh token");
    app.anonymous().request(Method::POST, "/auth/refresh").bearer(&token).send().await
}

#[tokio::test]
async fn a_disabled_user_is_out_within_the_bound_and_cannot_come_back() {
    let app = app().await;
    let admin = app.admin().await;
    let maria = app.user_named("maria").await;
    let second = app.login("maria", &maria.password).await;
    // Caches are warm.
    for session in [&maria, &second] {
        session.get("/api/protected").await.expect(200);
        session.get("/auth/validate").await.expect(200);
    }
    admin.patch(&path_of(&maria), json!({"account_status": "disabled"})).await.expect(200);
    // Where no gateway keeps an authorizer's answer, at once.
    for session in [&maria, &second] {
        session.get("/auth/validate").await.expect_problem(401, "token_revoked");
        refresh(&app, session).await.expect_problem(401, "token_revoked");
    }
    maria.try_login().await.expect_problem(401, "invalid_credentials");
    app.advance(BOUND);
    for path in ["/api/protected", "/tasks", "/auth/profile", "/auth/sessions"] {
        maria.get(path).await.expect_problem(401, "token_revoked");
    }
    admin.get("/api/protected").await.expect(200);
}

#[tokio::test]
async fn a_user_who_was_enabled_again_signs_in_anew_and_old_sessions_stay_ended() {
    let app = app().await;
    let admin = app.admin().await;
    let maria = app.user_named("maria").await;
    admin.patch(&path_of(&maria), json!({"account_status": "disabled"})).await.expect(200);
    admin.patch(&path_of(&maria), json!({"account_status": "active"})).await.expect(200);
    refresh(&app, &maria).await.expect_problem(401, "token_revoked");
    app.advance(BOUND);
    maria.get("/api/protected").await.expect_problem(401, "token_revoked");
    let again = app.login("maria", &maria.password).await;
    again.get("/api/protected").await.expect(200);
    refresh(&app, &again).await.expect(200);
}

#[tokio::test]
async fn a_new_role_takes_effect_and_one_that_was_taken_away_is_gone() {
    let app = app().await;
    let admin = app.admin().await;
    let mut olga = app.user_named("olga").await;
    olga.get("/tasks/queues").await.expect(403);
    admin.patch(&path_of(&olga), json!({"role": "operator"})).await.expect(200);
    app.advance(BOUND);
    olga.get("/tasks/queues").await.expect_problem(401, "token_revoked");
    olga.sign_in().await;
    olga.get("/tasks/queues").await.expect(200);
    admin.patch(&path_of(&olga), json!({"role": "user"})).await.expect(200);
    app.advance(BOUND);
    olga.get("/tasks/queues").await.expect_problem(401, "token_revoked");
    refresh(&app, &olga).await.expect_problem(401, "token_revoked");
    olga.sign_in().await;
    olga.get("/tasks/queues").await.expect_problem(403, "forbidden");
}

#[tokio::test]
async fn a_flushed_redis_does_not_bring_a_disabled_user_back() {
    let app = app().await;
    let admin = app.admin().await;
    let maria = with_rights(&app, &admin, "maria", json!({"permissions": ["users:read"]})).await;
    maria.get("/api/users").await.expect(200);
    admin.patch(&path_of(&maria), json!({"account_status": "disabled"})).await.expect(200);
    app.forget_redis().await;
    app.advance(BOUND);
    maria.get("/api/users").await.expect_problem(401, "token_revoked");
}
