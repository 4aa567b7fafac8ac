use halyard_tests::TestApp;
use serde_json::json;

use crate::assert_snapshot;

#[tokio::test]
async fn the_result_of_a_completed_task() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "sample", "data": {"message": "hello"}})).await;
    app.drain().await;
    assert_snapshot!("completed", user.get(&format!("/tasks/result/{id}")).await.expect(200));
}

#[tokio::test]
async fn a_task_that_waits_or_failed_has_no_result() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "sample", "data": {"fail": "permanent"}})).await;
    assert_snapshot!("not_ended", user.get(&format!("/tasks/result/{id}")).await.expect(409));
    app.drain().await;
    assert_snapshot!("failed", user.get(&format!("/tasks/result/{id}")).await.expect(409));
}
