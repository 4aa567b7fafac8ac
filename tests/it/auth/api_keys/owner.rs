//! A key follows what becomes of its owner.

use halyard_tests::TestApp;
use serde_json::json;

use super::{BOUND, delete, key_with, keys_of, make, operator, path_of, permissions_of};
use crate::users::with_rights;

async fn app() -> TestApp {
    TestApp::builder().without_rate_limits().spawn().await
}

#[tokio::test]
async fn a_permission_that_the_owner_loses_is_lost_to_the_key_and_comes_back_with_it() {
    let app = app().await;
    let (admin, mut maria) = operator(&app).await;
    let program = key_with(&maria, &["system:manage", "users:read"]).await;
    program.get("/tasks/queues").await.expect(200);
    admin.patch(&path_of(&maria), json!({"role": "user", "permissions": ["users:read"]})).await.expect(200);
    // At once where no gateway keeps an authorizer's answer, and behind it within the bound.
    let answer = program.get("/auth/validate").await.expect(200);
    assert_eq!((answer.header("x-auth-role"), answer.header("x-auth-permissions")), ("user", "users:read"));
    app.advance(BOUND);
    program.get("/tasks/queues").await.expect_problem(403, "forbidden");
    program.get("/api/users").await.expect(200);
    maria.sign_in().await;
    assert_eq!(keys_of(&maria).await[0]["permissions"], json!(["users:read"]));
    admin.patch(&path_of(&maria), json!({"permissions": ["users:read", "system:*"]})).await.expect(200);
    app.advance(BOUND);
    program.get("/tasks/queues").await.expect(200);
}

#[tokio::test]
async fn the_keys_of_a_disabled_account_are_gone_for_good() {
    let app = app().await;
    let (admin, mut maria) = operator(&app).await;
    let (broad, narrow) = (key_with(&maria, &["users:read"]).await, key_with(&maria, &[]).await);
    for key in [&broad, &narrow] {
        key.get("/api/protected").await.expect(200);
    }
    admin.patch(&path_of(&maria), json!({"account_status": "disabled"})).await.expect(200);
    for key in [&broad, &narrow] {
        key.get("/auth/validate").await.expect_problem(401, "token_revoked");
    }
    app.advance(BOUND);
    for path in ["/api/protected", "/tasks", "/auth/profile"] {
        narrow.get(path).await.expect_problem(401, "token_revoked");
    }
    broad.get("/api/users").await.expect_problem(401, "token_revoked");
    admin.patch(&path_of(&maria), json!({"account_status": "active"})).await.expect(200);
    app.advance(BOUND);
    for key in [&broad, &narrow] {
        key.get("/auth/validate").await.expect_problem(401, "token_revoked");
    }
    maria.sign_in().await;
    assert_eq!(keys_of(&maria).await.len(), 0);
    key_with(&maria, &["users:read"]).await.get("/api/users").await.expect(200);
}

#[tokio::test]
async fn a_change_that_takes_nothing_from_a_key_leaves_it_alone() {
    let app = app().await;
    let (admin, maria) = operator(&app).await;
    let (program, id) = make(&maria, json!({"name": "a program", "permissions": ["metrics:read"]})).await;
    program.get("/api/protected").await.expect(200);
    for change in [json!({"permissions": ["users:write"]}), json!({"role": "user", "permissions": ["metrics:*"]})] {
        admin.patch(&path_of(&maria), change).await.expect(200);
        assert_eq!(permissions_of(&program).await, "metrics:read");
        app.advance(BOUND);
        program.get("/api/protected").await.expect(200);
    }
    // The sessions have ended with the change.
    delete(&maria, &id).await.expect_problem(401, "token_revoked");
}

#[tokio::test]
async fn who_acts_by_a_key_gives_no_more_than_the_key_holds() {
    let app = app().await;
    let admin = app.admin().await;
    let clerk = key_with(&admin, &["users:read", "users:write"]).await;
    let maria = app.user_named("maria").await;
    let path = path_of(&maria);
    clerk.patch(&path, json!({"permissions": ["users:read"]})).await.expect(200);
    for more in [json!({"role": "admin"}), json!({"permissions": ["system:manage"]}), json!({"permissions": ["*"]})] {
        clerk.patch(&path, more).await.expect_problem(403, "exceeds_own_rights");
    }
    let boss = with_rights(&app, &admin, "boss", json!({"role": "admin"})).await;
    clerk.patch(&path_of(&boss), json!({"role": "user"})).await.expect_problem(403, "exceeds_own_rights");
    clerk.patch(&path_of(&admin), json!({"permissions": ["users:read"]})).await.expect_problem(403, "own_account");
}
