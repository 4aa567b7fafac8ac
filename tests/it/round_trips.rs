//! Invariant 10: round trips per invocation are counted and do not grow unnoticed.

use halyard_tests::{PrivateRedis, TestApp, Trips};
use http::Method;
use serde_json::json;

const TIMES: u64 = 20;

#[tokio::test]
async fn ping_touches_no_store() {
    let app = TestApp::builder().without_rate_limits().counting().spawn().await;
    let anonymous = app.anonymous();
    anonymous.get("/health/ping").await.expect(200);
    let trips = app.trips(TIMES, async || {
        anonymous.get("/health/ping").await.expect(200);
    });
    assert_eq!(trips.await, Trips { redis: 0, database: 0, queue: 0, table: 0 });
}

#[tokio::test]
async fn protected_is_one_round_trip_to_redis() {
    let app = TestApp::builder().without_rate_limits().counting().spawn().await;
    let user = app.user().await;
    user.get("/api/protected").await.expect(200);
    let trips = app.trips(TIMES, async || {
        user.get("/api/protected").await.expect(200);
    });
    assert_eq!(trips.await, Trips { redis: TIMES, database: 0, queue: 0, table: 0 });
}

#[tokio::test]
async fn protected_with_an_api_key_is_one_round_trip_to_redis_as_well() {
    let app = TestApp::builder().without_rate_limits().counting().spawn().await;
    let user = app.user().await;
    let made = user.post("/auth/api-keys", json!({"name": "a program"})).await.expect(200).json();
    let program = user.with_token(made["data"]["key"].as_str().expect("a key"));
    program.get("/api/protected").await.expect(200);
    let trips = app.trips(TIMES, async || {
        program.get("/api/protected").await.expect(200);
    });
    assert_eq!(trips.await, Trips { redis: TIMES, database: 0, queue: 0, table: 0 });
}

#[tokio::test]
async fn submit_is_one_round_trip_to_redis_one_to_the_database_and_one_to_the_queue() {
    let app = TestApp::builder().without_rate_limits().counting().spawn().await;
    let user = app.user().await;
    let submit = async || {
        user.submit(json!({"task_type": "sample", "data": {}})).await;
    };
    submit().await;
    assert_eq!(app.trips(TIMES, submit).await, Trips { redis: TIMES, database: TIMES, queue: TIMES, table: 0 });
    app.leave_unfinished();
}

#[tokio::test]
async fn an_idempotency_key_costs_two_writes_and_its_replay_a_write_and_a_read() {
    let app = TestApp::builder().without_rate_limits().counting().spawn().await;
    let user = app.user().await;
    let mut n = 0;
    let mut submit = async |again: bool| {
        n += i32::from(!again);
        let draft = user.request(Method::POST, "/tasks/submit").header("idempotency-key", &format!("k{n}"));
        draft.json(&json!({"task_type": "sample", "data": {}})).send().await.expect(200);
    };
    submit(false).await;
    let trips = app.trips(TIMES, async || submit(false).await).await;
    assert_eq!(trips, Trips { redis: TIMES, database: TIMES, queue: TIMES, table: 2 * TIMES });
    let trips = app.trips(TIMES, async || submit(true).await).await;
    assert_eq!(trips, Trips { redis: TIMES, database: 0, queue: 0, table: 2 * TIMES });
    app.leave_unfinished();
}

#[tokio::test]
async fn stats_is_one_round_trip_to_redis_and_one_to_the_database() {
    let app = TestApp::builder().without_rate_limits().counting().spawn().await;
    let user = app.user().await;
    user.get("/tasks/stats").await.expect(200);
    let trips = app.trips(TIMES, async || {
        user.get("/tasks/stats").await.expect(200);
    });
    assert_eq!(trips.await, Trips { redis: TIMES, database: TIMES, queue: 0, table: 0 });
}

#[tokio::test]
async fn redis_itself_counts_one_read_for_one_request() {
    // What the code counts and what Redis sees agree: nothing goes past the counter.
    let redis = PrivateRedis::start();
    let app = TestApp::builder().redis(&redis).without_rate_limits().spawn().await;
    let user = app.user().await;
    user.get("/api/protected").await.expect(200);
    let reads = || -> u64 {
        let info = redis.command("INFO stats").expect("figures");
        let line = info.lines().find_map(|l| l.strip_prefix("total_reads_processed:")).expect("the count of reads");
        line.trim().parse().expect("a number")
    };
    let before = reads();
    for _ in 0..TIMES {
        user.get("/api/protected").await.expect(200);
    }
    // Asking is one read itself, and so is the end of the connection that asked before.
    assert_eq!(reads() - before - 2, TIMES);
}
