use halyard_tests::target;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_task_of_somebody_else_is_not_there() {
    let target = target!();
    let (owner, other) = (target.user("e2e-owner").await, target.user("e2e-other").await);
    let id = owner.submit(json!({"task_type": "sample", "data": {}})).await;
    for what in ["status", "result", "logs"] {
        other.get(&format!("/tasks/{what}/{id}")).await.expect_problem(404, "not_found");
    }
    other.post(&format!("/tasks/cancel/{id}"), json!({})).await.expect_problem(404, "not_found");
    let list = other.get("/tasks?limit=100").await.expect(200).text();
    assert!(!list.contains(&id), "{list}");
    assert_eq!(target.finished(&owner, &id).await["status"], "completed");
    // Who may read all, may.
    target.admin().await.get(&format!("/tasks/status/{id}")).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_for_operators_is_forbidden_to_others() {
    let target = target!();
    let user = target.user("e2e-forbidden").await;
    user.get("/tasks/queues").await.expect_problem(403, "forbidden");
    user.post("/tasks/queues/low/pause", json!({})).await.expect_problem(403, "forbidden");
}
