use serde_json::json;

use super::{app, path_of, with_rights};
use crate::assert_snapshot;

#[tokio::test]
async fn an_account_is_shown_with_its_rights_and_an_entity_tag_and_without_its_secrets() {
    let app = app().await;
    let admin = app.admin().await;
    let rights = json!({"role": "operator", "permissions": ["users:write"]});
    let olga = with_rights(&app, &admin, "olga", rights).await;
    let shown = admin.get(&path_of(&olga)).await.expect(200);
    assert!(!shown.text().contains("argon2"), "{}", shown.text());
    assert_snapshot!("operator", shown);
}

#[tokio::test]
async fn what_is_no_account_is_not_found() {
    let app = app().await;
    let admin = app.admin().await;
    for id in ["0", "-1", "999", "x", "1x", "9223372036854775808", "%00"] {
        admin.get(&format!("/api/users/{id}")).await.expect_problem(404, "not_found");
        admin.patch(&format!("/api/users/{id}"), json!({})).await.expect_problem(404, "not_found");
    }
}

#[tokio::test]
async fn each_route_wants_its_permission_from_the_role_or_a_grant() {
    let app = app().await;
    let admin = app.admin().await;
    let user = app.user_named("uwe").await;
    let operator = with_rights(&app, &admin, "olga", json!({"role": "operator"})).await;
    let reader = with_rights(&app, &admin, "rita", json!({"permissions": ["users:read"]})).await;
    let writer = with_rights(&app, &admin, "willi", json!({"permissions": ["users:*"]})).await;
    let auditor = with_rights(&app, &admin, "adam", json!({"permissions": ["system:manage"]})).await;
    let path = path_of(&user);
    let cases = [
        ("anonymous", &app.anonymous(), 401, 401, 401),
        ("user", &user, 403, 403, 403),
        ("operator", &operator, 200, 403, 200),
        ("reader", &reader, 200, 403, 403),
        ("writer", &writer, 200, 200, 403),
        ("auditor", &auditor, 403, 403, 200),
        ("admin", &admin, 200, 200, 200),
    ];
    for (who, caller, reads, writes, audits) in cases {
        assert_eq!(caller.get("/api/users").await.code(), reads, "{who} lists");
        assert_eq!(caller.get(&path).await.code(), reads, "{who} reads");
        assert_eq!(caller.patch(&path, json!({})).await.code(), writes, "{who} changes");
        for path in ["/api/audit", "/api/audit/head", "/api/audit/verify"] {
            assert_eq!(caller.get(path).await.code(), audits, "{who} reads {path}");
        }
    }
    assert_snapshot!("forbidden", user.get("/api/users").await.expect(403));
}

#[tokio::test]
async fn limits_are_those_of_the_contract() {
    let app = halyard_tests::TestApp::spawn().await;
    let admin = app.admin().await;
    for (path, quota) in [("/api/users", 50), ("/api/users/1", 100)] {
        let policy = admin.get(path).await.expect(200).header("ratelimit-policy").to_owned();
        assert_eq!(policy, format!("\"caller\";q={quota};w=60"), "{path}");
    }
    let policy = admin.patch("/api/users/1", json!({})).await.expect(200).header("ratelimit-policy").to_owned();
    assert_eq!(policy, "\"caller\";q=50;w=60");
}
