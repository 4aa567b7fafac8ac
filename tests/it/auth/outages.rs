//! The session table fails, wholly or for one write: an answer is right or 503, and no door opens.

use chrono::Duration;
use halyard_tests::{Actor, PrivateRedis, TestApp, TestResponse, unreliable_table::Fault};
use http::Method;
use serde_json::json;

/// How old an answer from the cache of sessions may be.
const CACHE: Duration = Duration::seconds(1);
/// The gateway's cache on top.
const BOUND: Duration = Duration::seconds(6);

async fn validate(actor: &Actor) -> TestResponse {
    actor.get("/auth/validate").await
}

async fn log_out(actor: &Actor) -> TestResponse {
    actor.post("/auth/logout", json!({})).await
}

async fn log_out_everywhere(actor: &Actor) -> TestResponse {
    actor.post("/auth/logout-all", json!({})).await
}

async fn refresh(actor: &Actor) -> TestResponse {
    let token = actor.refresh_token.clone().expect("a refresh token");
    actor.request(Method::POST, "/auth/refresh").bearer(&token).send().await
}

/// A session that the gateway and Redis know.
async fn session(app: &TestApp) -> Actor {
    let admin = app.admin().await;
    admin.get("/api/protected").await.expect(200);
    admin
}

#[tokio::test]
async fn without_the_table_a_cached_session_is_good_for_the_bound_and_then_nobody_can_say() {
    let app = TestApp::spawn().await;
    let session = session(&app).await;
    app.table().set_broken(true);
    validate(&session).await.expect(200);
    app.advance(CACHE);
    let unknown = validate(&session).await.expect_problem(503, "unavailable");
    assert!(!unknown.header("retry-after").is_empty());
    session.get("/api/protected").await.expect(200);
    for answer in [log_out(&session).await, log_out_everywhere(&session).await, refresh(&session).await] {
        answer.expect_problem(503, "unavailable");
    }
    session.try_login().await.expect_problem(503, "unavailable");
    app.advance(BOUND - CACHE);
    session.get("/api/protected").await.expect_problem(503, "unavailable");
    app.table().set_broken(false);
    // Logging out everywhere was committed, though not confirmed.
    app.beat().await;
    validate(&session).await.expect_problem(401, "token_revoked");
}

#[tokio::test]
async fn a_logout_whose_write_failed_did_not_happen_and_says_so() {
    let app = TestApp::spawn().await;
    let session = session(&app).await;
    app.table().spoil(Fault::Refused, "session#");
    log_out(&session).await.expect_problem(503, "unavailable");
    app.advance(BOUND);
    session.get("/api/protected").await.expect(200);
    log_out(&session).await.expect(200);
    validate(&session).await.expect_problem(401, "token_revoked");
}

#[tokio::test]
async fn a_logout_whose_answer_was_lost_is_seen_after_the_bound_by_caches_that_heard_nothing() {
    let app = TestApp::spawn().await;
    let session = session(&app).await;
    app.table().spoil(Fault::AnswerLost, "session#");
    log_out(&session).await.expect_problem(503, "unavailable");
    app.advance(CACHE);
    validate(&session).await.expect_problem(401, "token_revoked");
    app.advance(BOUND - CACHE);
    session.get("/api/protected").await.expect_problem(401, "token_revoked");
}

#[tokio::test]
async fn a_refresh_whose_answer_was_lost_is_repeated_with_the_same_token() {
    let app = TestApp::spawn().await;
    let session = session(&app).await;
    app.table().spoil(Fault::AnswerLost, "session#");
    refresh(&session).await.expect_problem(503, "unavailable");
    let given = refresh(&session).await.expect(200).json()["refresh_token"].take();
    assert_eq!(refresh(&session).await.expect(200).json()["refresh_token"], given);
}

/// The database has committed the epoch, the table does not know it: the caller hears 503. Redis was told, so that the
/// sessions have ended at once; beat tells the table.
#[tokio::test]
async fn an_epoch_that_is_owed_to_the_table_is_kept_by_the_cache_until_beat_has_published_it() {
    let app = TestApp::spawn().await;
    for fault in [Fault::Refused, Fault::AnswerLost] {
        let session = session(&app).await;
        app.table().spoil(fault, "epoch");
        log_out_everywhere(&session).await.expect_problem(503, "unavailable");
        validate(&session).await.expect_problem(401, "token_revoked");
        // Past what the cache counts as fresh; beat is late.
        app.advance(Duration::minutes(2));
        validate(&session).await.expect_problem(401, "token_revoked");
        refresh(&session).await.expect_problem(401, "token_revoked");
        assert_eq!(app.beat().await["epochs"]["published"], 1);
        app.forget_redis().await;
        validate(&session).await.expect_problem(401, "token_revoked");
    }
}

/// Neither the table nor Redis could be told: nobody knows but the database, which the caller's 503 says and beat ends.
#[tokio::test]
async fn an_epoch_that_nobody_could_be_told_of_counts_once_beat_has_published_it() {
    let mut redis = PrivateRedis::start();
    let app = TestApp::builder().redis(&redis).spawn().await;
    let session = session(&app).await;
    redis.stop();
    app.table().spoil(Fault::Refused, "epoch");
    log_out_everywhere(&session).await.expect_problem(503, "unavailable");
    validate(&session).await.expect(200);
    assert_eq!(app.beat().await["epochs"]["published"], 1);
    validate(&session).await.expect_problem(401, "token_revoked");
    redis.start_again();
    app.advance(CACHE);
    validate(&session).await.expect_problem(401, "token_revoked");
}

#[tokio::test]
async fn without_redis_every_end_is_seen_at_once() {
    let mut redis = PrivateRedis::start();
    let app = TestApp::builder().redis(&redis).spawn().await;
    let (one, other) = (session(&app).await, session(&app).await);
    redis.stop();
    log_out(&one).await.expect(200);
    validate(&one).await.expect_problem(401, "token_revoked");
    validate(&other).await.expect(200);
    log_out_everywhere(&other).await.expect(200);
    validate(&other).await.expect_problem(401, "token_revoked");
}
