//! Servers that are down, seen through functions of which each is a process of its own.

use std::time::Duration;

use halyard_tests::{PrivatePostgres, stack::EmulatedStack, wait};
use serde_json::json;

/// On a machine that is busy the emulator may be too slow for a doorbell; then the beat rings.
const BEATS: Duration = Duration::from_mins(4);

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_requests_go_on_and_without_the_database_they_are_refused_until_it_is_back() {
    let mut postgres = PrivatePostgres::start().await;
    let stack = EmulatedStack::prepare("depend").await;
    let nobody = "redis+unix:///nonexistent/redis.sock";
    let target = stack.deploy(&[("DatabaseUrl", &postgres.url()), ("RedisUrl", nobody)]).await.target();

    let user = target.user("depend").await;
    user.get("/api/protected").await.expect(200);
    let id = user.submit(json!({"task_type": "sample", "data": {}})).await;
    assert_eq!(target.finished_within(&user, &id, BEATS).await["status"], "completed");
    let health = target.anonymous().get("/health/status").await.expect(200).json();
    assert_eq!(health["status"], "degraded", "{health}");

    postgres.stop();
    let refused = user.post("/tasks/submit", json!({"task_type": "sample", "data": {}})).await;
    assert!(!refused.header("retry-after").is_empty());
    refused.expect_problem(503, "unavailable");
    user.get("/api/protected").await.expect(200);
    target.anonymous().get("/health/status").await.expect(503);
    let beat = stack.emulator.invoke(&stack.output("BeatFunction").await, &json!({})).await.json();
    assert!(
        beat["errorMessage"].as_str().is_some_and(|why| why.contains("could not do everything")),
        "a beat that could not do everything has failed: {beat}"
    );

    postgres.start_again().await;
    wait::until("the database to be used again", Duration::from_mins(1), async || {
        (target.anonymous().get("/health/status").await.code() == 200).then_some(())
    })
    .await;
    let id = user.submit(json!({"task_type": "sample", "data": {}})).await;
    assert_eq!(target.finished_within(&user, &id, BEATS).await["status"], "completed");
}
