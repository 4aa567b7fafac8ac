use halyard_tests::{Actor, target};
use serde_json::{Value, json};

async fn page(user: &Actor, query: &str) -> (Vec<String>, Option<String>) {
    let data = user.get(&format!("/tasks?{query}")).await.expect(200).json()["data"].take();
    let ids = data["items"].as_array().expect("items").iter();
    let ids = ids.map(|item| item["task_id"].as_str().expect("an id").to_owned()).collect();
    (ids, data["next_cursor"].as_str().map(str::to_owned))
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_by_cursor_hold_every_task_once() {
    let target = target!();
    let user = target.user("e2e-list").await;
    let mut submitted = Vec::new();
    for n in 0..5 {
        submitted.push(user.submit(json!({"task_type": "sample", "data": {"message": n}})).await);
    }
    for id in &submitted {
        target.finished(&user, id).await;
    }
    // Nobody else uses the account now: its five newest tasks are these, newest first.
    submitted.reverse();
    let (mut seen, mut query) = (Vec::new(), "limit=2".to_owned());
    while seen.len() < 5 {
        let (ids, next) = page(&user, &query).await;
        assert!(ids.len() <= 2);
        seen.extend(ids);
        let Some(next) = next else { break };
        query = format!("limit=2&cursor={next}");
    }
    seen.truncate(5);
    assert_eq!(seen, submitted);
    let errors = user.get("/tasks?limit=101&cursor=nonsense&priority=0").await.expect(422).json();
    assert!(errors["errors"].as_array().is_some_and(|e| !e.is_empty()), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_count_each_task_once() {
    let target = target!();
    let user = target.user("e2e-stats").await;
    let overview = async || user.get("/tasks/stats").await.expect(200).json()["data"]["overview"].take();
    let count = |overview: &Value, field: &str| overview[field].as_i64().expect("a number");
    let before = overview().await;
    let good = user.submit(json!({"task_type": "sample", "data": {}})).await;
    let bad = user.submit(json!({"task_type": "sample", "data": {"fail": "permanent"}})).await;
    assert_eq!(target.finished(&user, &good).await["status"], "completed");
    assert_eq!(target.finished(&user, &bad).await["status"], "failed");
    let after = overview().await;
    for (field, more) in [("total_tasks", 2), ("completed_tasks", 1), ("failed_tasks", 1)] {
        assert_eq!(count(&after, field), count(&before, field) + more, "{field}: {before} {after}");
    }
    for (field, status) in [(&good, "completed"), (&bad, "failed")] {
        assert!(page(&user, &format!("status={status}")).await.0.contains(field), "{status}");
    }
}
