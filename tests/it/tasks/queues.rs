use halyard_tests::TestApp;
use serde_json::json;

use crate::assert_snapshot;

#[tokio::test]
async fn a_paused_lane_accepts_and_holds_until_it_is_resumed() {
    let app = TestApp::spawn().await;
    let (admin, user) = (app.admin().await, app.user().await);
    assert_snapshot!("paused", admin.post("/tasks/queues/default/pause", json!({})).await.expect(200));
    let held = user.submit(json!({"task_type": "sample", "data": {}})).await;
    let urgent = user.submit(json!({"task_type": "sample", "data": {}, "priority": 1})).await;
    app.drain_eligible().await;
    assert_eq!(user.state_of(&held).await, "queued");
    assert_eq!(user.state_of(&urgent).await, "completed", "another lane goes on");
    assert_snapshot!("lanes", admin.get("/tasks/queues").await.expect(200));
    admin.post("/tasks/queues/default/resume", json!({})).await.expect(200);
    app.beat().await;
    app.drain().await;
    assert_eq!(user.state_of(&held).await, "completed");
}

#[tokio::test]
async fn lanes_are_for_those_who_manage_the_system() {
    let app = TestApp::spawn().await;
    let (admin, user) = (app.admin().await, app.user().await);
    assert_snapshot!("forbidden", user.post("/tasks/queues/default/pause", json!({})).await.expect(403));
    user.get("/tasks/queues").await.expect(403);
    admin.post("/tasks/queues/no-such-lane/pause", json!({})).await.expect(404);
}
