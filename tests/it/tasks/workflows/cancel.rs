use std::time::Duration;

use halyard_tests::TestApp;
use serde_json::json;

use super::{says, states, submit, workflow};

#[tokio::test]
async fn a_workflow_is_cancelled_as_a_whole() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let long = json!({"task_type": "sample", "data": {"duration_ms": 60_000, "steps": 6000}});
    let body = json!({"execution_mode": "sequential", "tasks": [says("a"), long, says("c"), says("d")]});
    let id = submit(&user, "/tasks/batch", body).await;
    let running = workflow(&user, &id).await["steps"][1]["task_id"].as_str().expect("a task").to_owned();
    let (answer, ()) = tokio::join!(
        async {
            app.until_state(&user, &running, "running", Duration::from_secs(10)).await;
            user.post(&format!("/tasks/workflows/{id}/cancel"), json!({"reason": "enough"})).await
        },
        app.drain(),
    );
    // Not as a snapshot: how often was polled before stands in its headers.
    let data = answer.expect(200).json()["data"].take();
    let expected =
        json!({"workflow_id": id, "cancel_requested": true, "cancelled_tasks": 2, "told_tasks": 1, "reason": "enough"});
    assert_eq!(data, expected);
    let steps = ["completed", "cancelled", "cancelled", "cancelled"].map(str::to_owned);
    assert_eq!(states(&user, &id).await, ("cancelled".to_owned(), steps.to_vec()));
    assert_eq!(user.task(&running).await["error"], json!({"code": "cancelled", "message": "enough"}));
    user.post(&format!("/tasks/workflows/{id}/cancel"), json!({})).await.expect_problem(409, "workflow_ended");
}

#[tokio::test]
async fn a_workflow_that_has_not_begun_ends_where_it_is_cancelled() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = submit(&user, "/tasks/batch", json!({"tasks": [says("a"), says("b")]})).await;
    user.post(&format!("/tasks/workflows/{id}/cancel"), json!({})).await.expect(200);
    assert_eq!(states(&user, &id).await, ("cancelled".to_owned(), vec!["cancelled".to_owned(); 2]));
    app.drain().await;
    assert_eq!(app.count("select count(*) from outbox").await, 0);
}

#[tokio::test]
async fn cancelling_one_step_takes_its_workflow_along() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let body = json!({"execution_mode": "sequential", "tasks": [says("a"), says("b"), says("c")]});
    let id = submit(&user, "/tasks/batch", body).await;
    let second = workflow(&user, &id).await["steps"][1]["task_id"].as_str().expect("a task").to_owned();
    user.post(&format!("/tasks/cancel/{second}"), json!({})).await.expect(200);
    assert_eq!(states(&user, &id).await, ("failed".to_owned(), vec!["cancelled".to_owned(); 3]));
    app.drain().await;
}
