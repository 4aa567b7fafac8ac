use halyard_tests::{PrivateRedis, TestApp};
use serde_json::json;

#[tokio::test]
async fn a_flushed_redis_costs_nothing_but_warmth() {
    let redis = PrivateRedis::start();
    let app = TestApp::builder().redis(&redis).spawn().await;
    let user = app.user().await;
    let before = user.submit(json!({"task_type": "sample", "data": {}})).await;
    assert_eq!(redis.command("FLUSHALL").expect("an answer"), "+OK");
    let after = user.submit(json!({"task_type": "sample", "data": {}})).await;
    app.drain().await;
    for id in [&before, &after] {
        assert_eq!(user.state_of(id).await, "completed");
    }
}

#[tokio::test]
async fn without_redis_the_api_answers_and_tasks_run_and_limits_are_still_kept() {
    let mut redis = PrivateRedis::start();
    let app = TestApp::builder().redis(&redis).spawn().await;
    let user = app.user().await;
    redis.stop();
    user.get("/api/protected").await.expect(200);
    let id = user.submit(json!({"task_type": "sample", "data": {}})).await;
    app.drain().await;
    assert_eq!(user.state_of(&id).await, "completed");
    // Never an open door: a bad token is refused, a logged-out one too, and a flood is stopped.
    app.anonymous().request(http::Method::GET, "/api/protected").bearer("nonsense").send().await.expect(401);
    let mut stopped = false;
    for _ in 0..40_000 {
        let answer = user.get("/api/protected").await;
        if answer.code() == 429 {
            stopped = true;
            break;
        }
        answer.expect(200);
    }
    assert!(stopped, "no limit without Redis");

    app.advance(chrono::Duration::minutes(2));
    user.post("/auth/logout", json!({})).await.expect(200);
    app.advance(chrono::Duration::seconds(6));
    user.get("/api/protected").await.expect_problem(401, "token_revoked");

    redis.start_again();
    let back = app.user_named("back").await;
    back.get("/api/protected").await.expect(200);
}

#[tokio::test]
async fn a_session_that_ended_while_redis_was_away_stays_ended_when_it_is_back() {
    let mut redis = PrivateRedis::start();
    let app = TestApp::builder().redis(&redis).spawn().await;
    let user = app.user().await;
    user.get("/api/protected").await.expect(200);
    redis.stop();
    user.post("/auth/logout", json!({})).await.expect(200);
    redis.start_again();
    app.advance(chrono::Duration::seconds(6));
    user.get("/api/protected").await.expect_problem(401, "token_revoked");
}
