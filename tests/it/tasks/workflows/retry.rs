use halyard_tests::TestApp;
use serde_json::json;

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
    let mut codes: Vec<u16> = answers.iter().map(halyard_tests::TestResponse::code).collect();
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
