//! The end of a workflow is told once for each of its generations.

use halyard_tests::{Receiver, TestApp};
use serde_json::json;

use super::states;

#[tokio::test]
async fn the_end_of_a_workflow_is_told_once_and_again_after_a_retry() {
    let app = TestApp::spawn().await;
    let receiver = Receiver::start();
    let user = app.user().await;
    let step = |fail: Option<&str>| json!({"task_type": "sample", "data": {"fail": fail}});
    let body = json!({
        "batch_name": "told", "tasks": [step(None), step(Some("permanent")), step(None)], "failure_strategy": "continue",
        "callbacks": {"completion_url": receiver.url("/done"), "error_url": receiver.url("/error")},
    });
    let id = user.post("/tasks/batch", body).await.expect(200).json()["data"]["batch_id"].take();
    let id = id.as_str().expect("an id").to_owned();
    app.drain().await;
    // Three who look again change nothing.
    tokio::join!(app.beat(), app.beat(), app.beat());
    app.drain().await;
    let heard = receiver.take();
    let [one] = heard.as_slice() else { panic!("{heard:?}") };
    let event = one.json();
    assert_eq!((one.path.as_str(), &event["type"]), ("/error", &json!("halyard.workflow.failed")));
    assert_eq!((&event["subject"], &event["data"]["unsuccessful_tasks"]), (&json!(id), &json!(1)));
    app.execute("update tasks set input = '{}'").await;
    app.advance(chrono::Duration::seconds(1));
    user.post(&format!("/tasks/workflows/{id}/retry"), json!({})).await.expect(200);
    app.drain().await;
    let heard = receiver.take();
    let [one] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!((one.path.as_str(), &one.json()["data"]["generation"]), ("/done", &json!(2)));
    assert_eq!(states(&app).await, "failed delivered 1, completed delivered 1");
}
