use std::time::Duration;

use halyard_tests::TestApp;
use http::Method;
use serde_json::json;

use crate::assert_snapshot;

#[tokio::test]
async fn a_task_that_waits_is_cancelled_at_once() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "sample", "data": {}})).await;
    let answer = user.post(&format!("/tasks/cancel/{id}"), json!({"reason": "changed my mind", "force": false})).await;
    assert_snapshot!("cancelled", answer.expect(200));
    app.drain().await;
    assert_eq!(user.state_of(&id).await, "cancelled");
    assert_eq!(app.runs_of(&id).await, 0);
}

#[tokio::test]
async fn cancel_takes_a_body_without_a_content_type() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "sample", "data": {}})).await;
    let draft = user.request(Method::POST, &format!("/tasks/cancel/{id}"));
    draft.body("{\"reason\": \"User requested cancellation\", \"force\": false}").send().await.expect(200);
    let other = user.submit(json!({"task_type": "sample", "data": {}})).await;
    user.request(Method::POST, &format!("/tasks/cancel/{other}")).send().await.expect(200);
    app.drain().await;
}

#[tokio::test]
async fn a_task_that_ended_cannot_be_cancelled() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "sample", "data": {}})).await;
    app.drain().await;
    assert_snapshot!("ended", user.post(&format!("/tasks/cancel/{id}"), json!({})).await.expect(409));
    assert_eq!(user.state_of(&id).await, "completed");
}

#[tokio::test]
async fn a_running_task_is_told_to_stop_and_ends_cancelled() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let data = json!({"duration_ms": 60_000, "steps": 6000});
    let id = user.submit(json!({"task_type": "sample", "data": data})).await;
    let (cancelled, ()) = tokio::join!(
        async {
            app.until_state(&user, &id, "running", Duration::from_secs(10)).await;
            user.post(&format!("/tasks/cancel/{id}"), json!({})).await
        },
        app.drain(),
    );
    cancelled.expect(200);
    assert_eq!(user.state_of(&id).await, "cancelled");
    assert_eq!(app.ends_of(&id).await, 1);
}
