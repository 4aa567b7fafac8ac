use halyard_tests::Target;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_submitted_watched_and_done() {
    let target = Target::find().await;
    let user = target.user("e2e-task").await;
    let id = user.submit(json!({"task_type": "sample", "data": {"message": "hello", "steps": 3}})).await;
    let task = target.finished(&user, &id).await;
    assert_eq!(task["status"], "completed", "{task}");
    assert_eq!(task["result"]["message"], "hello");
    assert!(user.get(&format!("/tasks/logs/{id}")).await.expect(200).text().contains("step 2 of 3"));
    let stats = user.get("/tasks/stats").await.expect(200).json();
    assert_eq!(stats["data"]["overview"]["completed_tasks"], 1);
    let list = user.get("/tasks?status=completed").await.expect(200).json();
    assert_eq!(list["data"]["items"][0]["task_id"], id.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_fails_is_retried_and_then_failed() {
    let target = Target::find().await;
    let user = target.user("e2e-retry").await;
    let retry = json!({"max_retries": 1, "retry_delay": 1, "exponential_backoff": false});
    let id = user.submit(json!({"task_type": "sample", "data": {"fail": "error"}, "retry_config": retry})).await;
    let task = target.finished(&user, &id).await;
    assert_eq!(task["status"], "failed", "{task}");
    let states: Vec<&str> =
        task["history"].as_array().expect("history").iter().filter_map(|e| e["status"].as_str()).collect();
    assert_eq!(states, ["queued", "running", "retrying", "running", "failed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tasks_at_once_all_end() {
    let target = Target::find().await;
    let user = target.user("e2e-many").await;
    let body = |n: usize| json!({"task_type": "sample", "data": {"message": n}, "priority": n % 10 + 1});
    let ids = futures::future::join_all((0..30).map(|n| user.submit(body(n)))).await;
    for id in &ids {
        assert_eq!(target.finished(&user, id).await["status"], "completed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_of_somebody_else_is_not_there() {
    let target = Target::find().await;
    let (owner, other) = (target.user("e2e-owner").await, target.user("e2e-other").await);
    let id = owner.submit(json!({"task_type": "sample", "data": {}})).await;
    other.get(&format!("/tasks/status/{id}")).await.expect(404);
    target.finished(&owner, &id).await;
}
