//! What is answered while a dependency is down.

use halyard_tests::{PrivatePostgres, TestApp, unreliable_table::Fault};
use serde_json::json;

use super::{BOUND, app, path_of, read};

/// The session table refuses the next epoch.
fn refuse_epoch(app: &TestApp) {
    app.table().spoil(Fault::Refused, "epoch");
}

const OWED: &str = "select count(*) from auth_epoch_outbox";

#[tokio::test(flavor = "multi_thread")]
async fn without_a_database_every_route_says_that_it_is_down() {
    let mut postgres = PrivatePostgres::start().await;
    let app = TestApp::builder().postgres(&postgres).without_rate_limits().spawn().await;
    let admin = app.admin().await;
    admin.get("/api/users").await.expect(200);
    postgres.stop();
    for path in ["/api/users", "/api/users/1", "/api/audit", "/api/audit/head", "/api/audit/verify"] {
        let answer = admin.get(path).await.expect_problem(503, "unavailable");
        assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|s| s >= 1), "{path}");
    }
    admin.patch("/api/users/1", json!({"role": "user"})).await.expect_problem(503, "unavailable");
    postgres.start_again().await;
    app.until_ok("/api/users").await;
    assert_eq!(read(&admin, &admin).await["role"], "admin");
}

#[tokio::test]
async fn a_change_whose_end_of_sessions_is_not_confirmed_is_answered_503_until_it_is() {
    let app = app().await;
    let admin = app.admin().await;
    let maria = app.user_named("maria").await;
    let disable = json!({"account_status": "disabled"});
    refuse_epoch(&app);
    let answer = admin.patch(&path_of(&maria), disable.clone()).await.expect_problem(503, "unavailable");
    assert!(answer.text().contains("was changed"), "{}", answer.text());
    assert!(!answer.header("retry-after").is_empty());
    assert_eq!(read(&admin, &maria).await["account_status"], "disabled", "it counts all the same");
    maria.try_login().await.expect_problem(401, "invalid_credentials");
    // Who asks again is not told that all is well.
    refuse_epoch(&app);
    admin.patch(&path_of(&maria), disable.clone()).await.expect_problem(503, "unavailable");
    assert_eq!(app.count(OWED).await, 1);
    admin.patch(&path_of(&maria), disable).await.expect(200);
    assert_eq!(app.count(OWED).await, 0);
    app.advance(BOUND);
    maria.get("/api/protected").await.expect_problem(401, "token_revoked");
}

#[tokio::test]
async fn what_nobody_asks_for_again_beat_publishes() {
    let app = app().await;
    let admin = app.admin().await;
    let maria = app.user_named("maria").await;
    refuse_epoch(&app);
    admin.patch(&path_of(&maria), json!({"account_status": "disabled"})).await.expect(503);
    assert_eq!(app.beat().await["epochs"]["published"], 1);
    app.advance(BOUND);
    maria.get("/api/protected").await.expect_problem(401, "token_revoked");
}
