//! What becomes of a key when something fails on the way.

use halyard_tests::{
    PrivatePostgres, TestApp,
    unreliable_table::{Fault, Moment},
};
use serde_json::json;

use super::{id_of, post, replayed, submit};
use crate::assert_snapshot;

/// The sort key of every record.
const RECORD: &str = "request";

fn lease() -> chrono::Duration {
    halyard_domain::idempotency::LEASE
}

#[tokio::test]
async fn while_the_first_is_under_way_the_second_waits() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let before = app.table().hold(Moment::BeforeWrite, RECORD);
    let after = app.table().hold(Moment::BeforeWrite, RECORD);
    let (first, second) = tokio::join!(submit(&user, "k", json!({})), async {
        before.reached().await;
        before.release();
        after.reached().await;
        // The task is there, its answer is not kept yet.
        let second = submit(&user, "k", json!({})).await;
        let other = submit(&user, "k", json!({"n": 2})).await.expect_problem(422, "idempotency_key_reused");
        assert!(!replayed(&other));
        after.release();
        second
    });
    let second = second.expect_problem(409, "idempotency_in_progress");
    assert_eq!(second.header("retry-after"), "1");
    assert_snapshot!("under_way", second);
    let third = submit(&user, "k", json!({})).await.expect(200);
    assert!(replayed(&third));
    assert_eq!(third.body, first.expect(200).body);
    app.drain().await;
}

#[tokio::test]
async fn a_request_that_dies_after_it_has_made_its_task_makes_no_second_one() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let before = app.table().hold(Moment::BeforeWrite, RECORD);
    let after = app.table().hold(Moment::BeforeWrite, RECORD);
    let (first, ()) = tokio::join!(submit(&user, "k", json!({})), async {
        before.reached().await;
        before.release();
        after.reached().await;
        app.table().spoil(Fault::Refused, RECORD);
        after.release();
    });
    // The client may never have seen this answer; the record says that the request is under way.
    let first = id_of(&first.expect(200));
    submit(&user, "k", json!({})).await.expect_problem(409, "idempotency_in_progress");
    app.drain().await;
    app.advance(lease());
    let again = submit(&user, "k", json!({})).await.expect(200);
    assert_eq!(id_of(&again), first);
    assert!(!replayed(&again), "it was found out anew");
    assert_eq!(again.json()["data"]["status"], "completed");
    assert_eq!(app.count("select count(*) from tasks").await, 1);
    assert!(replayed(&submit(&user, "k", json!({})).await.expect(200)), "and is kept from now on");
    app.drain().await;
}

#[tokio::test]
async fn an_api_key_that_nobody_was_shown_is_not_made_twice() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let before = app.table().hold(Moment::BeforeWrite, RECORD);
    let after = app.table().hold(Moment::BeforeWrite, RECORD);
    let body = json!({"name": "a program"});
    let (first, ()) = tokio::join!(post(&user, "/auth/api-keys", "k", body.clone()), async {
        before.reached().await;
        before.release();
        after.reached().await;
        app.table().spoil(Fault::Refused, RECORD);
        after.release();
    });
    first.expect(200);
    app.advance(lease());
    post(&user, "/auth/api-keys", "k", body).await.expect_problem(409, "idempotency_answer_not_kept");
    let keys = user.get("/auth/api-keys").await.expect(200).json();
    assert_eq!(keys["data"]["items"].as_array().map(Vec::len), Some(1), "{keys}");
}

#[tokio::test]
async fn without_the_table_nothing_is_made_under_a_key() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    user.get("/api/protected").await.expect(200);
    app.table().set_broken(true);
    let refused = submit(&user, "k", json!({})).await;
    assert_snapshot!("table_down", refused.expect_problem(503, "unavailable"));
    assert_eq!(app.count("select count(*) from tasks").await, 0);
    user.submit(json!({"task_type": "sample", "data": {}})).await;
    app.table().set_broken(false);
    assert!(!replayed(&submit(&user, "k", json!({})).await.expect(200)));
    app.drain().await;
    assert_eq!(app.count("select count(*) from tasks").await, 2);
}

#[tokio::test]
async fn a_key_whose_answer_was_lost_on_the_way_is_taken_until_its_lease_ends() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    app.table().spoil(Fault::AnswerLost, RECORD);
    submit(&user, "k", json!({})).await.expect_problem(503, "unavailable");
    submit(&user, "k", json!({})).await.expect_problem(409, "idempotency_in_progress");
    app.advance(lease());
    submit(&user, "k", json!({})).await.expect(200);
    app.drain().await;
    assert_eq!(app.count("select count(*) from tasks").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_because_something_was_down_is_tried_again_at_once() {
    let mut postgres = PrivatePostgres::start().await;
    let app = TestApp::builder().postgres(&postgres).spawn().await;
    let user = app.user().await;
    postgres.stop();
    submit(&user, "k", json!({})).await.expect_problem(503, "unavailable");
    postgres.start_again().await;
    app.until_ok("/health/status").await;
    let done = submit(&user, "k", json!({})).await.expect(200);
    assert!(!replayed(&done));
    assert!(replayed(&submit(&user, "k", json!({})).await.expect(200)));
    app.drain().await;
    assert_eq!(app.count("select count(*) from tasks").await, 1);
}
