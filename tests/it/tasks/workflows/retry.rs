use halyard_tests::{Actor, TestApp, TestResponse};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, Postgres, Transaction};
use tokio::task::JoinHandle;

use super::{result, says, states, submit, taking, workflow};
use crate::assert_snapshot;

#[tokio::test]
async fn a_retry_runs_what_did_not_complete_and_keeps_the_rest() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let broken =
        json!({"task_type": "sample", "data": {"message": "b", "fail": "permanent"}, "input_from": "previous"});
    let id = submit(&user, "/tasks/chain", json!({"tasks": [says("a"), broken, taking(says("c"))]})).await;
    app.drain().await;
    assert_eq!(states(&user, &id).await.0, "failed");
    let first = workflow(&user, &id).await["steps"][1]["task_id"].take();
    // What was broken is mended.
    app.execute("update tasks set input = '{\"message\": \"mended\"}' where input::text like '%permanent%'").await;
    let answer = user.post(&format!("/tasks/workflows/{id}/retry"), json!({})).await;
    assert_snapshot!("retried", answer.expect(200));
    user.post(&format!("/tasks/workflows/{id}/retry"), json!({})).await.expect_problem(409, "workflow_not_ended");
    app.drain().await;
    assert_snapshot!("second_generation", user.get(&format!("/tasks/workflows/{id}")).await.expect(200));
    assert_eq!(result(&user, &id, 2).await["echo"]["input"]["message"], "mended");
    let first = first.as_str().expect("a task");
    assert_eq!(user.state_of(first).await, "failed", "what has ended stays as it ended");
    assert_eq!(app.count("select count(*) from tasks where retry_of is not null").await, 2);
    user.post(&format!("/tasks/workflows/{id}/retry"), json!({})).await.expect_problem(409, "nothing_to_retry");
}

#[tokio::test]
async fn of_several_who_retry_at_once_one_does() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let shaky = json!({"task_type": "sample", "data": {"fail": "permanent"}});
    let id = submit(&user, "/tasks/batch", json!({"tasks": [shaky]})).await;
    app.drain().await;
    let path = format!("/tasks/workflows/{id}/retry");
    let answers = futures::future::join_all((0..8).map(|_| user.post(&path, json!({})))).await;
    let mut codes: Vec<u16> = answers.iter().map(TestResponse::code).collect();
    codes.sort_unstable();
    assert_eq!(codes, [200, 409, 409, 409, 409, 409, 409, 409]);
    app.drain().await;
    assert_eq!(app.count("select count(*) from tasks").await, 2);
    assert_eq!(workflow(&user, &id).await["generation"], 2);
}

#[tokio::test]
async fn a_cancelled_workflow_can_be_taken_up_again() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let body = json!({"execution_mode": "sequential", "tasks": [says("a"), says("b")]});
    let id = submit(&user, "/tasks/batch", body).await;
    user.post(&format!("/tasks/workflows/{id}/cancel"), json!({})).await.expect(200);
    user.post(&format!("/tasks/workflows/{id}/retry"), json!({})).await.expect(200);
    app.drain().await;
    assert_eq!(states(&user, &id).await, ("completed".to_owned(), vec!["completed".to_owned(); 2]));
}

/// A workflow whose only step died and would not die again; and the step's task.
async fn dead_step(app: &TestApp, user: &Actor) -> (String, String) {
    let task = json!({"task_type": "data_processing", "data": {"csv": "a\n1\n"}});
    let id = submit(user, "/tasks/batch", json!({"tasks": [task]})).await;
    app.execute("update tasks set input = '[1]'").await;
    app.drain().await;
    app.execute(r#"update tasks set input = '{"csv": "a\n1\n"}'"#).await;
    let task = workflow(user, &id).await["steps"][0]["task_id"].as_str().expect("a task").to_owned();
    (id, task)
}

/// Holds every step of every workflow. Whoever wants one waits, and gets it in the order in which they came.
async fn hold(connection: &mut PgConnection) -> Transaction<'_, Postgres> {
    let mut held = connection.begin().await.expect("a transaction");
    sqlx::query("select from workflow_steps for update").execute(&mut *held).await.expect("the steps");
    held
}

fn begin(caller: &Actor, path: &str, body: Value) -> JoinHandle<TestResponse> {
    let (caller, path) = (caller.clone(), path.to_owned());
    tokio::spawn(async move { caller.post(&path, body).await })
}

#[tokio::test]
async fn a_step_that_its_workflow_runs_again_at_this_moment_is_not_tried_again_on_its_own() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let (user, admin) = (app.user().await, app.admin().await);
    let (id, task) = dead_step(&app, &user).await;
    let mut connection = app.connect().await;
    let held = hold(&mut connection).await;
    let whole = begin(&user, &format!("/tasks/workflows/{id}/retry"), json!({}));
    app.until_waiting(1).await;
    let alone = begin(&user, &format!("/tasks/retry/{task}"), json!({}));
    let many = [
        begin(&user, "/tasks/bulk/retry", json!({"all": true})),
        begin(&admin, "/tasks/dead-letters/redrive", json!({"task_ids": [task]})),
    ];
    app.until_waiting(4).await;
    held.rollback().await.expect("out of the way");
    whole.await.expect("an answer").expect(200);
    alone.await.expect("an answer").expect_problem(409, "retried_before");
    for many in many {
        let skipped = many.await.expect("an answer").expect(200).json()["data"]["skipped"].take();
        assert_eq!(skipped["retried_before"], 1, "{skipped}");
    }
    app.drain().await;
    assert_eq!(states(&user, &id).await, ("completed".to_owned(), vec!["completed".to_owned()]));
    assert_eq!(app.count("select count(*) from tasks").await, 2);
}

#[tokio::test]
async fn a_try_of_a_step_is_not_tried_again_once_its_workflow_has_run_the_step() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let (user, admin) = (app.user().await, app.admin().await);
    let (id, task) = dead_step(&app, &user).await;
    let alone = user.post(&format!("/tasks/retry/{task}"), json!({})).await.expect(200).json();
    let alone = alone["data"]["task_id"].as_str().expect("an id");
    user.post(&format!("/tasks/cancel/{alone}"), json!({})).await.expect(200);
    user.post(&format!("/tasks/workflows/{id}/retry"), json!({})).await.expect(200);
    app.drain().await;
    let latest = workflow(&user, &id).await["steps"][0]["task_id"].as_str().expect("a task").to_owned();
    let refused = user.post(&format!("/tasks/retry/{alone}"), json!({})).await.expect_problem(409, "retried_before");
    let refused = refused.json();
    assert!(refused["detail"].as_str().is_some_and(|text| text.contains(&latest)), "{refused}");
    app.execute("update tasks set state = 'dead' where state = 'cancelled'").await;
    let redrive = json!({"task_ids": [alone]});
    let done = admin.post("/tasks/dead-letters/redrive", redrive).await.expect(200).json();
    assert_eq!(done["data"]["skipped"]["retried_before"], 1, "{done}");
    assert_eq!(app.count("select count(*) from tasks").await, 3);
}

#[tokio::test]
async fn a_workflow_is_not_retried_while_a_step_of_it_is_tried_again_on_its_own() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let user = app.user().await;
    let (id, task) = dead_step(&app, &user).await;
    let path = format!("/tasks/workflows/{id}/retry");
    let mut connection = app.connect().await;
    let held = hold(&mut connection).await;
    let alone = begin(&user, &format!("/tasks/retry/{task}"), json!({}));
    app.until_waiting(1).await;
    let whole = begin(&user, &path, json!({}));
    app.until_waiting(2).await;
    held.rollback().await.expect("out of the way");
    let new = alone.await.expect("an answer").expect(200).json()["data"]["task_id"].take();
    let new = new.as_str().expect("an id");
    let refused = whole.await.expect("an answer").expect_problem(409, "retried_before").json();
    assert!(refused["detail"].as_str().is_some_and(|text| text.contains(new)), "{refused}");
    // A try of the try is one of the step.
    user.post(&format!("/tasks/cancel/{new}"), json!({})).await.expect(200);
    user.post(&format!("/tasks/retry/{new}"), json!({})).await.expect(200);
    user.post(&path, json!({})).await.expect_problem(409, "retried_before");
    assert_eq!(app.count("select count(*) from tasks").await, 3);
    app.drain().await;
    assert_eq!(states(&user, &id).await.0, "failed", "what was tried outside of it is none of its steps");
    user.post(&path, json!({})).await.expect(200);
    app.drain().await;
    assert_eq!(states(&user, &id).await.0, "completed");
}
