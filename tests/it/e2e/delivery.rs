//! How tasks get to the workers: doorbells in SQS with their delays, batches, and the repairs of the beat.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use halyard_domain::{Clock as _, SystemClock};
use halyard_tests::{target, wait};
use serde_json::{Value, json};

fn states(task: &Value) -> Vec<&str> {
    task["history"].as_array().expect("history").iter().filter_map(|e| e["status"].as_str()).collect()
}

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{value} is no time"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_later_starts_when_it_is_due() {
    let target = target!();
    let user = target.user("e2e-later").await;
    let due = (SystemClock.now() + TimeDelta::seconds(5)).to_rfc3339();
    let body = json!({"task_type": "sample", "data": {}, "scheduled_for": due, "priority": 2});
    let answer = user.post("/tasks/submit", body).await.expect(200).json();
    assert_eq!(answer["data"]["status"], "scheduled", "{answer}");
    assert_eq!((answer["data"]["priority"].as_i64(), answer["data"]["lane"].as_str()), (Some(2), Some("high")));
    let task = target.finished(&user, answer["task_id"].as_str().expect("an id")).await;
    assert_eq!(task["status"], "completed", "{task}");
    assert!(time(&task["execution"]["started_at"]) >= time(&task["scheduled_for"]), "{task}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_fails_is_retried_and_then_failed() {
    let target = target!();
    let user = target.user("e2e-retry").await;
    let retry = json!({"max_retries": 1, "retry_delay": 1, "exponential_backoff": false});
    let id = user.submit(json!({"task_type": "sample", "data": {"fail": "error"}, "retry_config": retry})).await;
    let task = target.finished(&user, &id).await;
    assert_eq!(task["status"], "failed", "{task}");
    assert_eq!(states(&task), ["queued", "running", "retrying", "running", "failed"]);
    assert!(task["error"].is_object(), "{task}");
    user.get(&format!("/tasks/result/{id}")).await.expect(409);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_recovers_completes() {
    let target = target!();
    let user = target.user("e2e-recover").await;
    let data = json!({"fail": "error", "fail_attempts": 1});
    let retry = json!({"max_retries": 3, "retry_delay": 1, "exponential_backoff": false});
    let id = user.submit(json!({"task_type": "sample", "data": data, "retry_config": retry})).await;
    let task = target.finished(&user, &id).await;
    assert_eq!((task["status"].as_str(), task["result"]["attempt"].as_i64()), (Some("completed"), Some(2)), "{task}");
}

/// The worker that hears of it goes on: neighbours of a batch end too.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_harms_no_neighbour() {
    let target = target!();
    let user = target.user("e2e-panic").await;
    let body =
        |fail: Option<&str>| json!({"task_type": "sample", "data": {"fail": fail}, "retry_config": {"max_retries": 0}});
    let ids = futures::future::join_all((0..6).map(|n| user.submit(body((n == 2).then_some("panic"))))).await;
    let mut dead = 0;
    for id in &ids {
        let task = target.finished(&user, id).await;
        dead += i32::from(task["status"] == "dead");
        assert!(matches!(task["status"].as_str(), Some("dead" | "completed")), "{task}");
    }
    assert_eq!(dead, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_waits_is_cancelled_at_once_and_never_runs() {
    let target = target!();
    let user = target.user("e2e-cancel").await;
    let due = (SystemClock.now() + TimeDelta::hours(1)).to_rfc3339();
    let id = user.submit(json!({"task_type": "sample", "data": {}, "scheduled_for": due})).await;
    let cancel = format!("/tasks/cancel/{id}");
    let answer = user.post(&cancel, json!({"reason": "changed my mind", "force": false})).await.expect(200).json();
    assert_eq!(answer["data"]["status"], "cancelled", "{answer}");
    assert_eq!(states(&user.task(&id).await), ["scheduled", "cancelled"]);
    user.post(&cancel, json!({})).await.expect(409);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_task_is_told_to_stop() {
    let target = target!();
    let user = target.user("e2e-stop").await;
    let data = json!({"duration_ms": 120_000, "steps": 1200});
    let id = user.submit(json!({"task_type": "sample", "data": data})).await;
    wait::until("the task to run", Duration::from_mins(1), async || {
        (user.state_of(&id).await == "running").then_some(())
    })
    .await;
    user.post(&format!("/tasks/cancel/{id}"), json!({})).await.expect(200);
    assert_eq!(target.finished(&user, &id).await["status"], "cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tasks_at_once_all_end() {
    let target = target!();
    let user = target.user("e2e-many").await;
    let body = |n: usize| json!({"task_type": "sample", "data": {"message": n}, "priority": n % 7 + 1});
    let ids = futures::future::join_all((0..30).map(|n| user.submit(body(n)))).await;
    for id in &ids {
        let task = target.finished(&user, id).await;
        assert_eq!((task["status"].as_str(), states(&task).len()), (Some("completed"), 3), "{task}");
    }
}
