//! Nobody gains rights that nobody gave them.

use serde_json::{Value, json};

use super::{app, clerk, path_of, read, with_rights};
use crate::assert_snapshot;

#[tokio::test]
async fn nobody_grants_what_they_do_not_hold() {
    let app = app().await;
    let admin = app.admin().await;
    let clerk = clerk(&app, &admin).await;
    let friend = app.user_named("friend").await;
    for change in [
        json!({"role": "admin"}),
        json!({"role": "operator"}),
        json!({"permissions": ["*"]}),
        json!({"permissions": ["users:*"]}),
        json!({"permissions": ["users:read", "system:manage"]}),
        json!({"permissions": ["tasks:*"]}),
        json!({"role": "admin", "account_status": "disabled"}),
    ] {
        let answer = clerk.patch(&path_of(&friend), change.clone()).await;
        answer.expect_problem(403, "exceeds_own_rights");
        assert_eq!(read(&admin, &friend).await["effective_permissions"], json!([]), "{change}");
    }
    assert_snapshot!("grants_more", clerk.patch(&path_of(&friend), json!({"role": "admin"})).await.expect(403));
    // What they hold themselves, they may pass on.
    clerk.patch(&path_of(&friend), json!({"permissions": ["users:read"]})).await.expect(200);
}

#[tokio::test]
async fn nobody_changes_who_holds_more() {
    let app = app().await;
    let admin = app.admin().await;
    let clerk = clerk(&app, &admin).await;
    let operator = with_rights(&app, &admin, "olga", json!({"role": "operator"})).await;
    let holder = with_rights(&app, &admin, "hugo", json!({"permissions": ["metrics:read"]})).await;
    for (user, change) in [
        (&admin, json!({"account_status": "disabled"})),
        (&admin, json!({"role": "user"})),
        (&operator, json!({"account_status": "disabled"})),
        (&operator, json!({"role": "user"})),
        (&holder, json!({"permissions": null})),
        (&holder, json!({"permissions": ["metrics:read", "users:read"]})),
    ] {
        let before = read(&admin, user).await;
        clerk.patch(&path_of(user), change).await.expect_problem(403, "exceeds_own_rights");
        assert_eq!(read(&admin, user).await, before);
    }
    operator.get("/api/users").await.expect(200);
}

#[tokio::test]
async fn nobody_changes_their_own_rights() {
    let app = app().await;
    let admin = app.admin().await;
    let other = with_rights(&app, &admin, "other", json!({"role": "admin"})).await;
    for change in [
        json!({"role": "user"}),
        json!({"account_status": "disabled"}),
        json!({"permissions": ["users:read"]}),
        json!({"role": "operator", "permissions": ["*"]}),
    ] {
        other.patch(&path_of(&other), change).await.expect_problem(403, "own_account");
    }
    other.patch(&path_of(&other), json!({"role": "admin", "account_status": "active"})).await.expect(200);
    assert_eq!(read(&admin, &other).await["role"], "admin");
}

/// The gateway still has the authorizer's answer from before.
async fn uses_a_token_from_before(change: Value, code: u16, error: &str) {
    let app = app().await;
    let admin = app.admin().await;
    let clerk = clerk(&app, &admin).await;
    let accomplice = app.user_named("accomplice").await;
    clerk.patch(&path_of(&accomplice), json!({})).await.expect(200);
    admin.patch(&path_of(&clerk), change).await.expect(200);
    let revenge = json!({"permissions": ["users:write"]});
    clerk.patch(&path_of(&accomplice), revenge).await.expect_problem(code, error);
    assert_eq!(read(&admin, &accomplice).await["permissions"], json!([]));
}

#[tokio::test]
async fn who_lost_rights_changes_nobody_though_caches_still_know_their_token() {
    uses_a_token_from_before(json!({"permissions": ["users:read"]}), 403, "forbidden").await;
}

#[tokio::test]
async fn who_was_disabled_changes_nobody_though_caches_still_know_their_token() {
    uses_a_token_from_before(json!({"account_status": "disabled"}), 401, "token_revoked").await;
}
