use std::time::Duration;

use halyard_tests::{target, wait};
use serde_json::json;

/// Nothing answers there (RFC 6761, section 6.4), in any profile: that it was tried is in the log.
const NOWHERE: &str = "https://hook.invalid/completed";

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_task_is_told_and_the_log_says_what_became_of_it() {
    let target = target!();
    // It is tried for a day.
    target.leave_unfinished();
    let user = target.user("e2e-hook").await;
    let body = json!({"task_type": "sample", "data": {}, "callbacks": {"completion_url": NOWHERE}});
    let id = user.submit(body).await;
    assert_eq!(target.finished(&user, &id).await["status"], "completed");
    let path = format!("/tasks/webhooks/deliveries?task_id={id}");
    // An attempt counts from its claim on, before it is known how it went.
    let tried = wait::until("the webhook to have failed", Duration::from_mins(2), async || {
        let item = user.get(&path).await.expect(200).json()["data"]["items"][0].take();
        item["error"].is_string().then_some(item)
    })
    .await;
    assert_eq!((&tried["event_type"], &tried["state"]), (&json!("halyard.task.completed"), &json!("owed")), "{tried}");
    assert!(tried["attempts"].as_i64().is_some_and(|n| n > 0), "{tried}");
}
