use halyard_tests::TestApp;
use serde_json::json;

use super::{fails, says, states, submit, workflow};
use crate::assert_snapshot;

#[tokio::test]
async fn a_batch_runs_and_ends_with_its_last_task() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let body = json!({"batch_name": "daily", "tasks": [says("a"), says("b"), says("c")]});
    let answer = user.post("/tasks/batch", body).await.expect(200);
    assert_snapshot!("accepted", answer);
    let id = answer.json()["data"]["batch_id"].as_str().expect("an id").to_owned();
    assert_snapshot!("waiting", user.get(&format!("/tasks/workflows/{id}")).await.expect(200));
    app.drain().await;
    assert_snapshot!("completed", user.get(&format!("/tasks/workflows/{id}")).await.expect(200));
    assert_snapshot!("listed", user.get("/tasks/workflows?status=completed").await.expect(200));
}

#[tokio::test]
async fn the_originals_batch_is_accepted_as_it_is_sent() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let body = json!({
        "batch_name": "daily_report_generation", "execution_mode": "sequential", "failure_strategy": "stop_on_error",
        "tasks": [says("extract"), says("transform"), says("report")],
    });
    let id = submit(&user, "/tasks/batch", body).await;
    let waiting = workflow(&user, &id).await;
    assert_eq!(waiting["counts"]["waiting"], 2);
    let second = waiting["steps"][1]["task_id"].as_str().expect("a task");
    assert_eq!(user.state_of(second).await, "scheduled", "a step that waits is a task like any other");
    app.drain().await;
    assert_eq!(states(&user, &id).await, ("completed".to_owned(), vec!["completed".to_owned(); 3]));
    let sql = "select extract(epoch from ended_at)::float8 from tasks where $1 = 0 and step is not null order by step";
    let runs = app.numbers(sql, 0).await;
    assert_eq!(runs.len(), 3);
    assert!(runs.is_sorted(), "{runs:?}");
}

#[tokio::test]
async fn a_batch_that_is_sent_twice_under_a_key_is_one() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let body = json!({"tasks": [says("a"), fails()]});
    let send = |path: String, body: serde_json::Value| {
        user.request(http::Method::POST, &path).header("idempotency-key", "once").json(&body).send()
    };
    let first = send("/tasks/batch".to_owned(), body.clone()).await.expect(200).json();
    let second = send("/tasks/batch".to_owned(), body).await.expect(200);
    assert_eq!((second.json(), second.header("idempotency-replayed")), (first.clone(), "true"));
    app.drain().await;
    assert_eq!(app.count("select count(*) from workflows").await, 1);
    assert_eq!(app.count("select count(*) from tasks").await, 2);
}

#[tokio::test]
async fn a_failure_stops_a_sequential_batch_or_does_not() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let body = |strategy: &str| {
        json!({"execution_mode": "sequential", "failure_strategy": strategy,
               "tasks": [says("a"), fails(), says("c"), says("d")]})
    };
    let stops = submit(&user, "/tasks/batch", body("stop_on_error")).await;
    let goes_on = submit(&user, "/tasks/batch", body("continue")).await;
    app.drain().await;
    let of = |states: [&str; 4]| ("failed".to_owned(), states.map(str::to_owned).to_vec());
    assert_eq!(states(&user, &stops).await, of(["completed", "failed", "cancelled", "cancelled"]));
    assert_eq!(states(&user, &goes_on).await, of(["completed", "failed", "completed", "completed"]));
    assert_snapshot!("stopped", user.get(&format!("/tasks/workflows/{stops}")).await.expect(200));
    assert_eq!(app.count("select count(*) from workflow_signals").await, 0);
}

#[tokio::test]
async fn a_failure_in_a_parallel_batch_cancels_what_has_not_begun() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let mut tasks = vec![fails()];
    tasks.extend((0..24).map(|_| says("x")));
    let id = submit(&user, "/tasks/batch", json!({"tasks": tasks})).await;
    app.drain().await;
    let (state, steps) = states(&user, &id).await;
    assert_eq!(state, "failed");
    // The first batch of ten ran side by side with the one that failed.
    let cancelled = steps.iter().filter(|state| *state == "cancelled").count();
    assert!((10..=15).contains(&cancelled), "{steps:?}");
    assert!(steps.iter().all(|state| ["completed", "failed", "cancelled"].contains(&state.as_str())), "{steps:?}");
}

#[tokio::test]
async fn a_step_of_a_type_that_no_worker_knows_fails_its_batch_once_it_is_given_up() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let body = json!({"execution_mode": "sequential", "tasks": [says("a"), says("b")]});
    let id = submit(&user, "/tasks/batch", body).await;
    app.execute("update tasks set task_type = 'retired_type' where step = 0").await;
    app.drain().await;
    assert_eq!(states(&user, &id).await.0, "running");
    app.drain_with_time().await;
    assert_eq!(states(&user, &id).await, ("failed".to_owned(), vec!["dead".to_owned(), "cancelled".to_owned()]));
}

#[tokio::test]
async fn the_ends_of_a_wide_batch_are_counted_many_at_a_time() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let tasks: Vec<_> = (0..300).map(|_| says("x")).collect();
    let id = submit(&user, "/tasks/batch", json!({"tasks": tasks})).await;
    app.drain().await;
    assert_eq!(states(&user, &id).await.0, "completed");
    assert_eq!(app.count("select version from workflows").await, 2, "decisions: after 250 ends, and at the last");
    assert_eq!(app.count("select count(*) from workflow_signals").await, 0);
}
