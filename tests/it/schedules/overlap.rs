//! A run that does not end is a task that nobody works off.

use chrono::Duration;
use halyard_tests::TestApp;
use serde_json::json;

use super::{body, every, made, tasks, told};

#[tokio::test]
async fn skip_leaves_out_what_is_due_while_an_earlier_run_has_not_ended() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let path = made(&user, body(every(60), json!({"overlap": "skip"}))).await;
    app.beat().await;
    for _ in 0..3 {
        app.advance(Duration::minutes(1));
        app.beat().await;
    }
    // The time that is to come is not decided about: the run may end until then.
    assert_eq!(told(&user, &path).await, ["12:01:00 fired", "12:02:00 overlap", "12:03:00 overlap"]);
    app.drain().await;
    app.beat().await;
    app.drain_with_time().await;
    let told = told(&user, &path).await;
    assert_eq!(told, ["12:01:00 fired", "12:02:00 overlap", "12:03:00 overlap", "12:04:00 fired"]);
}

#[tokio::test]
async fn a_run_that_goes_on_is_not_forgotten_however_many_times_were_left_out_since() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    made(&user, body(every(60), json!({"overlap": "skip"}))).await;
    app.beat().await;
    // As after hours.
    app.execute(
        "insert into schedule_runs (schedule_id, nominal_at, decided_at, times, manual, reason)
         select schedule_id, nominal_at + n * interval '1 millisecond', decided_at, 1, false, 'overlap'
         from schedule_runs, generate_series(1, 250) n",
    )
    .await;
    for _ in 0..4 {
        app.advance(Duration::minutes(1));
        app.beat().await;
    }
    assert_eq!(app.count("select count(*) from tasks").await, 1, "no second one beside it");
    assert_eq!(app.count("select count(*) from schedule_runs").await, 201, "the latest, and the one that goes on");
    app.drain().await;
    app.beat().await;
    assert_eq!(app.count("select count(*) from tasks").await, 2);
    assert_eq!(app.count("select count(*) from schedule_runs").await, 200);
    app.drain_with_time().await;
}

#[tokio::test]
async fn a_run_that_goes_on_is_seen_behind_later_ones_that_have_ended() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let path = made(&user, body(every(60), json!({"overlap": "skip"}))).await;
    app.beat().await;
    user.submit(json!({"task_type": "sample", "data": {}})).await;
    app.drain().await;
    // Eleven by hand, as far as anybody can tell.
    app.execute(
        "insert into schedule_runs (schedule_id, nominal_at, decided_at, times, manual, task_id)
         select r.schedule_id, r.nominal_at + n * interval '1 millisecond', r.decided_at, 1, true, t.id
         from schedule_runs r, tasks t, generate_series(1, 11) n where t.ended_at is not null",
    )
    .await;
    app.advance(Duration::minutes(2));
    app.beat().await;
    assert_eq!(told(&user, &path).await.pop().as_deref(), Some("12:02:00 overlap"));
    assert_eq!(app.count("select count(*) from tasks where ended_at is null").await, 1);
    app.drain_with_time().await;
}

#[tokio::test]
async fn queue_lets_one_wait_and_leaves_out_the_others() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let path = made(&user, body(every(60), json!({"overlap": "queue"}))).await;
    app.beat().await;
    for _ in 0..3 {
        app.advance(Duration::minutes(1));
        app.beat().await;
    }
    assert_eq!(told(&user, &path).await, ["12:01:00 fired", "12:02:00 fired", "12:03:00 overlap"]);
    let ids = tasks(&user, &path).await;
    let keys = "select count(distinct concurrency_key) from tasks where concurrency_limit = 1";
    assert_eq!(app.count(keys).await, 1, "one at a time, by the key that they share");
    app.drain().await;
    for id in ids {
        assert_eq!(user.state_of(&id).await, "completed");
    }
}

#[tokio::test]
async fn allow_lets_them_run_side_by_side() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let path = made(&user, body(every(60), json!({"overlap": "allow"}))).await;
    for _ in 0..3 {
        app.advance(Duration::minutes(1));
        app.beat().await;
    }
    assert_eq!(told(&user, &path).await.len(), 4);
    assert_eq!(app.count("select count(*) from tasks where ended_at is null").await, 4);
    app.drain_with_time().await;
}
