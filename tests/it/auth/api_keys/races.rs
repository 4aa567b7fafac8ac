//! Keys against what happens at the same time: each race is brought about, none is left to luck.

use halyard_tests::{Actor, TestApp, TestResponse, unreliable_table::Moment};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{BOUND, delete, key_with, keys_of, make, operator, path_of, permissions_of};
use crate::auth::audited;

/// Asks for a key while others do something else.
fn begin(owner: &Actor, body: Value) -> JoinHandle<TestResponse> {
    let owner = owner.clone();
    tokio::spawn(async move { owner.post("/auth/api-keys", body).await })
}

#[tokio::test]
async fn a_fill_that_began_before_a_deletion_brings_no_key_back() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    let (program, id) = make(&admin, json!({"name": "a program"})).await;
    let held = app.table().hold(Moment::AfterRead, "api_key#");
    let late = tokio::spawn({
        let program = program.clone();
        async move { program.get("/auth/validate").await }
    });
    held.reached().await;
    delete(&admin, &id).await.expect(200);
    held.release();
    // It had read the key before it was deleted.
    late.await.expect("an answer").expect(200);
    program.get("/auth/validate").await.expect_problem(401, "token_revoked");
}

#[tokio::test]
async fn a_key_that_is_made_while_its_owner_loses_rights_is_none() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let (admin, mut maria) = operator(&app).await;
    let held = app.table().hold(Moment::BeforeWrite, "api_key#");
    let late = begin(&maria, json!({"name": "a program", "permissions": ["system:manage"]}));
    held.reached().await;
    admin.patch(&path_of(&maria), json!({"role": "user"})).await.expect(200);
    held.release();
    late.await.expect("an answer").expect_problem(503, "unavailable");
    maria.sign_in().await;
    assert_eq!(keys_of(&maria).await, Vec::<Value>::new());
    let count = async |action| audited::entries(&app, action).await.len();
    assert_eq!((count("api_key.create").await, count("api_key.delete").await), (1, 1));
}

#[tokio::test]
async fn a_key_that_is_deleted_while_its_owner_changes_stays_deleted() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let (admin, maria) = operator(&app).await;
    let (program, id) = make(&maria, json!({"name": "a program", "permissions": ["users:read"]})).await;
    let other = key_with(&maria, &["users:read", "metrics:read"]).await;
    program.get("/auth/validate").await.expect(200);
    let held = app.table().hold(Moment::BeforeWrite, "api_key#");
    let change = tokio::spawn({
        let (admin, path) = (admin.clone(), path_of(&maria));
        async move { admin.patch(&path, json!({"role": "user", "permissions": ["users:read"]})).await }
    });
    held.reached().await;
    delete(&maria, &id).await.expect(200);
    held.release();
    change.await.expect("an answer").expect(200);
    program.get("/auth/validate").await.expect_problem(401, "token_revoked");
    assert_eq!(permissions_of(&other).await, "users:read");
    app.forget_redis().await;
    app.advance(BOUND);
    program.get("/api/protected").await.expect_problem(401, "token_revoked");
    assert_eq!(permissions_of(&other).await, "users:read");
}

#[tokio::test]
async fn of_keys_that_are_made_at_the_same_time_none_is_one_too_many() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let maria = app.user_named("maria").await;
    for n in 1..50 {
        make(&maria, json!({"name": format!("number {n}")})).await;
    }
    let held = app.table().hold(Moment::BeforeWrite, "api_key#");
    let late = begin(&maria, json!({"name": "late"}));
    held.reached().await;
    make(&maria, json!({"name": "number 50"})).await;
    held.release();
    late.await.expect("an answer").expect_problem(409, "too_many_api_keys");
    let left = keys_of(&maria).await;
    assert!(left.len() == 50 && left.iter().all(|key| key["name"] != "late"), "{left:?}");
}
