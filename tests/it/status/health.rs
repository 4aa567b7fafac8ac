use halyard_tests::{PrivatePostgres, PrivateRedis, TestApp};

use crate::assert_snapshot;

#[tokio::test]
async fn health_is_short_for_the_public_and_detailed_for_those_who_may_know() {
    let app = TestApp::spawn().await;
    let public = app.anonymous().get("/health/status").await.expect(200).json();
    assert_eq!(public["status"], "healthy");
    assert_eq!(public["checks"]["database"]["status"], "up");
    assert_eq!(public["checks"]["redis"]["status"], "up");
    let detailed = app.admin().await.get("/health/status").await.expect(200).json();
    let size = |v: &serde_json::Value| v.to_string().len();
    assert!(size(&detailed) > size(&public), "the administrator sees more: {detailed}");
    let user = app.user().await.get("/health/status").await.expect(200).json();
    let keys =
        |v: &serde_json::Value| v["checks"]["database"].as_object().map(|o| o.keys().cloned().collect::<Vec<_>>());
    assert_eq!(keys(&user), keys(&public), "a user sees what the public sees");
}

#[tokio::test]
async fn what_health_and_nodes_say() {
    let app = TestApp::spawn().await;
    let anonymous = app.anonymous();
    let health = anonymous.get("/health/status").await.expect(200).json();
    let nodes = anonymous.get("/health/nodes").await.expect(200).json();
    insta::with_settings!({omit_expression => true}, {
        insta::assert_json_snapshot!("public_health", health, {
            ".**.response_time" => "[measured]",
            ".system.uptime" => "[measured]",
        });
        insta::assert_json_snapshot!("nodes", nodes, {
            ".data.nodes[].hostname" => "[host]",
            ".data.nodes[].ip_address" => "[host]",
            ".data.nodes[].metrics.cpu_usage" => "[measured]",
            ".data.nodes[].metrics.memory_usage" => "[measured]",
            ".data.nodes[].metrics.requests_per_minute" => "[measured]",
            ".data.nodes[].metrics.error_rate" => "[measured]",
            ".data.nodes[].response_time" => "[measured]",
            ".data.nodes[].health_score" => "[measured]",
        });
    });
}

#[tokio::test]
async fn a_bad_token_on_a_public_route_is_still_a_bad_token() {
    let app = TestApp::spawn().await;
    let draft = app.anonymous().request(http::Method::GET, "/health/status").bearer("nonsense");
    draft.send().await.expect_problem(401, "token_malformed");
}

#[tokio::test]
async fn health_is_503_while_the_database_is_down_and_recovers() {
    let mut postgres = PrivatePostgres::start().await;
    let app = TestApp::builder().postgres(&postgres).spawn().await;
    app.anonymous().get("/health/status").await.expect(200);
    postgres.stop();
    let answer = app.anonymous().get("/health/status").await.expect(503);
    assert!(!answer.header("retry-after").is_empty());
    assert_eq!(answer.json()["checks"]["database"]["status"], "down");
    app.anonymous().get("/health/ping").await.expect(200);
    postgres.start_again().await;
    app.until_ok("/health/status").await;
}

#[tokio::test]
async fn health_is_degraded_while_redis_is_down() {
    let mut redis = PrivateRedis::start();
    let app = TestApp::builder().redis(&redis).spawn().await;
    redis.stop();
    let answer = app.anonymous().get("/health/status").await.expect(200).json();
    assert_eq!(answer["status"], "degraded");
    assert_eq!(answer["checks"]["redis"]["status"], "down");
    redis.start_again();
}

#[tokio::test]
async fn ping_touches_nothing() {
    let app = TestApp::spawn().await;
    let answer = app.anonymous().get("/health/ping").await.expect(200);
    assert_snapshot!("ping", answer);
}
