//! Workers that die between the end of a step and what follows from it.

use std::time::Duration;

use halyard_domain::WorkflowId;
use halyard_store::workflows;
use halyard_tests::{TestApp, wait};
use serde_json::json;

use super::{says, states, submit, workflow};

/// The end of the first step is committed, and nobody takes the workflow further.
async fn left_alone(app: &TestApp, user: &halyard_tests::Actor, body: serde_json::Value) -> String {
    let id = submit(user, "/tasks/batch", body).await;
    app.forget_queues().await;
    app.execute(
        "update tasks set state = 'completed', ended_at = available_at, result = '1'
         where step = 0 and state = 'queued'",
    )
    .await;
    app.execute("delete from outbox where task_id in (select id from tasks where step = 0)").await;
    assert_eq!(app.count("select count(*) from workflow_signals").await, 1, "whoever writes the end leaves a signal");
    id
}

#[tokio::test]
async fn beat_takes_further_what_a_dead_worker_left() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let body = json!({"execution_mode": "sequential", "tasks": [says("a"), says("b")]});
    let id = left_alone(&app, &user, body).await;
    assert_eq!(states(&user, &id).await.1, ["completed", "waiting"]);
    app.beat().await;
    app.drain().await;
    assert_eq!(states(&user, &id).await, ("completed".to_owned(), vec!["completed".to_owned(); 2]));
}

#[tokio::test]
async fn ends_from_which_nothing_follows_yet_wait_for_those_from_which_something_does() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let tasks: Vec<_> = (0..60).map(|_| says("x")).collect();
    let id = submit(&user, "/tasks/batch", json!({"tasks": tasks})).await;
    app.poll_once("default").await;
    let ended = app.count("select count(*) from tasks where state = 'completed'").await;
    assert!((1..60).contains(&ended), "{ended}");
    app.beat().await;
    assert_eq!(
        app.count("select count(*) from workflow_signals").await,
        ended,
        "neither the worker nor beat stopped for them"
    );
    assert_eq!(workflow(&user, &id).await["counts"]["completed"], ended, "and yet they are counted for whoever asks");
    app.drain().await;
    assert_eq!(states(&user, &id).await.0, "completed");
    assert_eq!(app.count("select count(*) from workflow_signals").await, 0);
}

#[tokio::test]
async fn two_beats_at_once_release_a_step_once() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let body = json!({"execution_mode": "sequential", "tasks": [says("a"), says("b"), says("c")]});
    let id = left_alone(&app, &user, body).await;
    tokio::join!(app.beat(), app.beat(), app.beat());
    app.drain().await;
    assert_eq!(states(&user, &id).await.0, "completed");
    let released = "select count(*) from task_events where message like 'Task released%'";
    assert_eq!(app.count(released).await, 2, "the second and the third");
    assert_eq!(app.count("select max(attempt)::bigint from tasks").await, 1);
}

#[tokio::test]
async fn whoever_finds_a_workflow_in_other_hands_leaves_it_to_them() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let body = json!({"execution_mode": "sequential", "tasks": [says("a"), says("b")]});
    let id = left_alone(&app, &user, body).await;
    let waits = ("running".to_owned(), vec!["completed".to_owned(), "waiting".to_owned()]);
    let workflow: WorkflowId = id.parse().expect("an id");
    let pool = halyard_store::connect(&app.database().url(), 1).expect("a pool");
    let mut connection = pool.acquire().await.expect("a connection");
    let mut deciding = connection.begin().await.expect("a transaction");
    let seen =
        workflows::snapshot(&mut deciding, workflow).await.expect("an answer").expect("a workflow to decide about");
    assert_eq!(seen.signals.len(), 1);
    app.beat().await;
    assert_eq!(states(&user, &id).await, waits, "beat has not waited, and done nothing");
    // Given up without a word: that lets go of the workflow, whoever has the connection next and whenever.
    drop(deciding);
    drop(connection);
    wait::until("the workflow to be let go", Duration::from_secs(20), async || {
        app.beat().await;
        (states(&user, &id).await != waits).then_some(())
    })
    .await;
    app.drain().await;
    assert_eq!(states(&user, &id).await.0, "completed");
    pool.acquire().await.expect("another connection in the place of the one that was closed");
}

#[tokio::test]
async fn each_end_leaves_one_signal_whoever_writes_it() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = submit(&user, "/tasks/batch", json!({"tasks": [says("a"), says("b"), says("c")]})).await;
    let workflow: WorkflowId = id.parse().expect("an id");
    let pool = halyard_store::connect(&app.database().url(), 1).expect("a pool");
    let mut connection = pool.acquire().await.expect("a connection");
    let mut deciding = connection.begin().await.expect("a transaction");
    let lock = sqlx::query("select from workflows where id = $1 for update").bind(workflow.0);
    lock.execute(&mut *deciding).await.expect("its row");
    // One by a statement that does not say that it signals, two by a worker's, which does.
    app.execute("update tasks set state = 'failed', ended_at = available_at, error = 'x' where step = 1").await;
    app.execute("delete from outbox where task_id in (select id from tasks where step = 1)").await;
    app.drain_eligible().await;
    let signals = "select count(*) from workflow_signals g join tasks t on t.id = g.task_id
                   where (g.workflow_id, g.step, g.state, g.at) = (t.workflow_id, t.step, t.state, t.ended_at)";
    assert_eq!((app.count(signals).await, app.count("select count(*) from workflow_signals").await), (3, 3));
    let by_the_worker = "select count(*) from tasks where signalled and state = 'completed'";
    assert_eq!(app.count(by_the_worker).await, 2);
    deciding.rollback().await.expect("let go");
    app.beat().await;
    assert_eq!(states(&user, &id).await.1, ["completed", "failed", "completed"]);
    assert_eq!(app.count("select count(*) from workflow_signals").await, 0);
}

#[tokio::test]
async fn a_worker_that_vanishes_with_a_step_holds_its_workflow_up_and_no_more() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let body = json!({"execution_mode": "sequential", "tasks": [says("a"), says("b")]});
    let id = submit(&user, "/tasks/batch", body).await;
    app.execute(
        "update tasks set state = 'running', lease_until = available_at + interval '15 s', attempt = 5, fence = 5,
                          lost_leases = 4, attempt_at = available_at where step = 0",
    )
    .await;
    app.execute("delete from outbox where task_id in (select id from tasks where step = 0)").await;
    app.forget_queues().await;
    app.advance(chrono::Duration::minutes(1));
    app.beat().await;
    app.drain().await;
    assert_eq!(states(&user, &id).await, ("failed".to_owned(), vec!["dead".to_owned(), "cancelled".to_owned()]));
}
