//! Invariant 5: a revocation takes effect everywhere within the authorizer's cache and the session cache together.

use chrono::Duration;
use halyard_tests::TestApp;
use serde_json::json;

/// Authorizer cache 5 s, session cache 1 s.
const BOUND: Duration = Duration::seconds(6);

#[tokio::test]
async fn a_logged_out_token_is_refused_everywhere_within_the_bound() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    // Both caches are warm.
    admin.get("/api/protected").await.expect(200);
    admin.get("/tasks").await.expect(200);
    admin.post("/auth/logout", json!({})).await.expect(200);
    app.advance(BOUND);
    for path in ["/api/protected", "/tasks", "/auth/profile", "/auth/validate", "/tasks/stats"] {
        admin.get(path).await.expect_problem(401, "token_revoked");
    }
    admin.post("/tasks/submit", json!({"task_type": "sample", "data": {}})).await.expect_problem(401, "token_revoked");
}

#[tokio::test]
async fn validate_has_no_authorizer_in_front_and_refuses_at_once() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    admin.get("/auth/validate").await.expect(200);
    admin.post("/auth/logout", json!({})).await.expect(200);
    admin.get("/auth/validate").await.expect_problem(401, "token_revoked");
}

#[tokio::test]
async fn a_flushed_session_cache_does_not_bring_a_revoked_session_back() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    admin.get("/api/protected").await.expect(200);
    admin.post("/auth/logout", json!({})).await.expect(200);
    app.forget_redis().await;
    app.advance(BOUND);
    admin.get("/api/protected").await.expect_problem(401, "token_revoked");
}
