//! What becomes of a key when something fails on the way.

use halyard_tests::{
    Actor, PrivatePostgres, TestApp,
    unreliable_table::{Fault, Moment},
};
use serde_json::{Value, json};

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

/// Sends a request whose answer reaches nobody and is not kept, though what it makes is made, and waits until it may be carried out
/// anew.
async fn lost(app: &TestApp, actor: &Actor, path: &str, body: Value) -> Value {
    let before = app.table().hold(Moment::BeforeWrite, RECORD);
    let after = app.table().hold(Moment::BeforeWrite, RECORD);
    let (first, ()) = tokio::join!(post(actor, path, "k", body), async {
        before.reached().await;
        before.release();
        after.reached().await;
        app.table().spoil(Fault::Refused, RECORD);
        after.release();
    });
    app.advance(lease());
    first.expect(200).json()["data"].take()
}

/// Such a request, then the same one. Both answers.
async fn twice(app: &TestApp, actor: &Actor, path: &str, body: Value) -> (Value, Value) {
    let first = lost(app, actor, path, body.clone()).await;
    let again = post(actor, path, "k", body.clone()).await.expect(200);
    assert!(!replayed(&again), "it was found out anew");
    assert!(replayed(&post(actor, path, "k", body).await.expect(200)), "and is kept from now on");
    (first, again.json()["data"].take())
}

/// Tasks that have failed, and one that ended well.
async fn failed(app: &TestApp, user: &Actor) -> Vec<String> {
    let mut ids = Vec::new();
    for data in [json!({"fail": "permanent"}), json!({"fail": "permanent"}), json!({})] {
        ids.push(user.submit(json!({"task_type": "sample", "data": data})).await);
        app.advance(chrono::Duration::milliseconds(1));
    }
    app.drain().await;
    ids
}

#[tokio::test]
async fn a_task_that_was_tried_again_is_found_by_the_key_that_it_was_tried_again_under() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let ids = failed(&app, &user).await;
    let path = format!("/tasks/retry/{}", ids[0]);
    let (first, again) = twice(&app, &user, &path, json!({})).await;
    assert_eq!(again["task_id"], first["task_id"]);
    assert_eq!(again["retry_of"], *ids[0]);
    post(&user, &path, "other", json!({})).await.expect_problem(409, "retried_before");
    assert_eq!(app.count("select count(*) from tasks").await, 4);
    app.drain().await;
}

#[tokio::test]
async fn a_task_that_was_tried_again_is_found_by_the_key_however_much_waits_by_then() {
    let app = TestApp::builder().without_rate_limits().var("MAX_WAITING_OF_USER", "1").spawn().await;
    let (user, admin) = (app.user().await, app.admin().await);
    let ids = failed(&app, &user).await;
    admin.post("/tasks/queues/default/pause", json!({})).await.expect(200);
    let path = format!("/tasks/retry/{}", ids[0]);
    let first = lost(&app, &user, &path, json!({})).await;
    post(&user, &format!("/tasks/retry/{}", ids[1]), "other", json!({})).await.expect(200);
    let again = post(&user, &path, "k", json!({})).await.expect(200);
    assert_eq!(again.json()["data"]["task_id"], first["task_id"]);
    admin.post("/tasks/queues/default/resume", json!({})).await.expect(200);
    app.drain().await;
}

#[tokio::test]
async fn many_that_were_tried_again_are_found_by_the_key() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    failed(&app, &user).await;
    let (first, again) = twice(&app, &user, "/tasks/bulk/retry", json!({"all": true})).await;
    assert_eq!((first["retried"].as_i64(), again["retried"].as_i64()), (Some(2), Some(2)));
    assert_eq!(again["tasks"], first["tasks"]);
    // Where the first one ended it cannot know any more: going on finds nothing.
    let body = json!({"all": true, "cursor": again["next_cursor"]});
    let rest = user.post("/tasks/bulk/retry", body).await.expect(200).json()["data"].take();
    assert_eq!((rest["retried"].as_i64(), rest["next_cursor"].as_str()), (Some(0), None));
    assert_eq!(app.count("select count(*) from tasks").await, 5);
    app.drain().await;
}

#[tokio::test]
async fn dead_letters_that_were_redriven_are_found_by_the_key() {
    let app = TestApp::spawn().await;
    let (user, admin) = (app.user().await, app.admin().await);
    let ids = failed(&app, &user).await;
    app.execute("update tasks set state = 'dead' where state = 'failed'").await;
    let body = json!({"task_ids": ids, "rate": 1});
    let (first, again) = twice(&app, &admin, "/tasks/dead-letters/redrive", body).await;
    assert_eq!(again["tasks"], first["tasks"]);
    assert_eq!(again["tasks"].as_array().map(Vec::len), Some(2));
    assert_eq!(again["last_due"], first["last_due"]);
    assert!(again["next_cursor"].is_null());
    assert_eq!(app.count("select count(*) from tasks").await, 5);
    app.drain_with_time().await;
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
