use halyard_tests::target;
use http::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_previewed_run_by_hand_paused_and_deleted() {
    let target = target!();
    let user = target.user("e2e-schedule").await;
    let body = json!({
        "task_type": "sample", "data": {"message": "at two"},
        "schedule": {"type": "cron", "expression": "0 2 * * *", "timezone": "Europe/Berlin"},
    });
    let made = user.post("/tasks/schedule", body).await.expect(200).json();
    let path = format!("/tasks/schedules/{}", made["data"]["schedule_id"].as_str().expect("an id"));
    let shown = user.get(&format!("{path}?preview=3")).await.expect(200).json();
    assert_eq!(shown["data"]["next_runs"].as_array().expect("times").len(), 3, "{shown}");
    let run = user.post(&format!("{path}/run"), json!({})).await.expect(200).json();
    let task = target.finished(&user, run["task_id"].as_str().expect("a task")).await;
    assert_eq!((task["status"].as_str(), task["result"]["message"].as_str()), (Some("completed"), Some("at two")));
    let paused = user.request(Method::PATCH, &path).json(&json!({"active": false})).send().await.expect(200).json();
    assert_eq!(paused["data"]["status"], "paused", "{paused}");
    user.request(Method::DELETE, &path).send().await.expect(200);
    user.get(&path).await.expect_problem(404, "not_found");
}
