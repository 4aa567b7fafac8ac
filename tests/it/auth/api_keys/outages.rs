//! A dependency fails: an answer is right or 503, and no door opens.

use chrono::Duration;
use halyard_tests::{PrivatePostgres, PrivateRedis, TestApp, unreliable_table::Fault};
use serde_json::json;

use super::{BOUND, delete, key_with, keys_of, make, operator, path_of, permissions_of};

#[tokio::test]
async fn a_deletion_that_is_not_confirmed_is_no_success() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    let (program, id) = make(&admin, json!({"name": "a program"})).await;
    app.table().set_broken(true);
    delete(&admin, &id).await.expect(503);
    app.advance(BOUND);
    // Nobody can say: no open door, and no 401 either.
    program.get("/auth/validate").await.expect(503);
    app.table().set_broken(false);
    program.get("/auth/validate").await.expect(200);
    delete(&admin, &id).await.expect(200);
    program.get("/auth/validate").await.expect_problem(401, "token_revoked");
}

#[tokio::test]
async fn without_redis_the_table_says_whether_a_key_is_good() {
    let mut redis = PrivateRedis::start();
    let app = TestApp::builder().redis(&redis).spawn().await;
    let admin = app.admin().await;
    let (program, id) = make(&admin, json!({"name": "a program"})).await;
    program.get("/auth/validate").await.expect(200);
    assert_eq!(redis.command("FLUSHALL").expect("an answer"), "+OK");
    program.get("/auth/validate").await.expect(200);
    redis.stop();
    program.get("/auth/validate").await.expect(200);
    delete(&admin, &id).await.expect(200);
    program.get("/auth/validate").await.expect_problem(401, "token_revoked");
}

#[tokio::test]
async fn without_redis_a_key_loses_at_once_what_its_owner_loses() {
    let mut redis = PrivateRedis::start();
    let app = TestApp::builder().redis(&redis).without_rate_limits().spawn().await;
    let (admin, maria) = operator(&app).await;
    let program = key_with(&maria, &["system:manage"]).await;
    redis.stop();
    assert_eq!(permissions_of(&program).await, "system:manage");
    admin.patch(&path_of(&maria), json!({"role": "user"})).await.expect(200);
    assert_eq!(permissions_of(&program).await, "");
    admin.patch(&path_of(&maria), json!({"account_status": "disabled"})).await.expect(200);
    program.get("/auth/validate").await.expect_problem(401, "token_revoked");
}

/// The epoch goes out, the key does not hear of it.
#[tokio::test]
async fn a_key_that_could_not_be_told_counts_as_ended_until_it_was() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let (admin, maria) = operator(&app).await;
    let program = key_with(&maria, &["system:manage", "users:read"]).await;
    program.get("/tasks/queues").await.expect(200);
    for fault in [Fault::Refused, Fault::AnswerLost] {
        app.table().spoil(fault, "api_key#");
        let change = match fault {
            Fault::Refused => json!({"role": "user", "permissions": ["users:read"]}),
            Fault::AnswerLost => json!({"permissions": ["users:*"]}),
        };
        admin.patch(&path_of(&maria), change).await.expect_problem(503, "unavailable");
        app.advance(BOUND);
        let meanwhile = program.get("/tasks/queues").await.code();
        assert!(matches!(meanwhile, 401 | 403), "{meanwhile}");
        assert_eq!(app.beat().await["epochs"]["published"], 1);
        assert_eq!(permissions_of(&program).await, "users:read");
        app.advance(BOUND);
    }
}

#[tokio::test]
async fn without_the_table_nobody_can_say_and_whoever_was_disabled_meanwhile_stays_out() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let (admin, maria) = operator(&app).await;
    let program = key_with(&maria, &["users:read"]).await;
    for path in ["/api/users", "/auth/validate"] {
        program.get(path).await.expect(200);
    }
    app.table().set_broken(true);
    maria.post("/auth/api-keys", json!({"name": "x"})).await.expect_problem(503, "unavailable");
    admin.patch(&path_of(&maria), json!({"account_status": "disabled"})).await.expect_problem(503, "unavailable");
    // Redis heard of it.
    program.get("/auth/validate").await.expect_problem(401, "token_revoked");
    app.advance(BOUND);
    for path in ["/api/users", "/auth/validate"] {
        program.get(path).await.expect_problem(503, "unavailable");
    }
    app.table().set_broken(false);
    // It kept the epoch, which the table does not know yet.
    program.get("/auth/validate").await.expect_problem(401, "token_revoked");
    assert_eq!(app.beat().await["epochs"]["published"], 1);
    app.advance(Duration::minutes(5));
    app.forget_redis().await;
    for path in ["/api/users", "/auth/validate"] {
        program.get(path).await.expect_problem(401, "token_revoked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_database_keys_go_on_none_is_made_and_one_can_be_deleted() {
    let mut postgres = PrivatePostgres::start().await;
    let app = TestApp::builder().postgres(&postgres).without_rate_limits().spawn().await;
    let admin = app.admin().await;
    let (program, id) = make(&admin, json!({"name": "a program", "permissions": ["*"]})).await;
    postgres.stop();
    program.get("/api/protected").await.expect(200);
    admin.post("/auth/api-keys", json!({"name": "x"})).await.expect_problem(503, "unavailable");
    assert_eq!(keys_of(&admin).await.len(), 1);
    delete(&admin, &id).await.expect(200);
    program.get("/auth/validate").await.expect_problem(401, "token_revoked");
    postgres.start_again().await;
    assert_eq!(keys_of(&admin).await.len(), 0);
}
