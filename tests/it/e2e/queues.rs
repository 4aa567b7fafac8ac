use std::time::Duration;

use halyard_tests::target;
use serde_json::json;

/// The lane `low` belongs to this test: no other of the suite uses priorities 8 to 10.
#[tokio::test(flavor = "multi_thread")]
async fn a_paused_lane_accepts_and_holds_until_it_is_resumed() {
    let target = target!();
    target.alone_with("lane-low").await;
    let (admin, user) = (target.admin().await, target.user("e2e-lane").await);
    admin.post("/tasks/queues/low/pause", json!({})).await.expect(200);
    let held = user.submit(json!({"task_type": "sample", "data": {}, "priority": 9})).await;
    let urgent = user.submit(json!({"task_type": "sample", "data": {}, "priority": 1})).await;
    let urgent = target.finished(&user, &urgent).await;
    let (waits, queues) = (user.task(&held).await, admin.get("/tasks/queues").await);
    // Whatever was found above: the lane is not to stay shut.
    admin.post("/tasks/queues/low/resume", json!({})).await.expect(200);
    assert_eq!(urgent["status"], "completed", "another lane goes on");
    assert_eq!((waits["status"].as_str(), waits["lane"].as_str()), (Some("queued"), Some("low")));
    let queues = queues.expect(200).json()["data"]["queues"].take();
    let low = queues.as_array().and_then(|q| q.iter().find(|q| q["name"] == "low")).expect("the lane").clone();
    assert_eq!(low["paused"], true, "{low}");
    assert!(low["depth"].as_i64() >= Some(1), "{low}");
    // Its doorbell has been heard meanwhile: the beat rings again, once a minute.
    let task = target.finished_within(&user, &held, Duration::from_mins(3)).await;
    assert_eq!(task["status"], "completed", "{task}");
}
