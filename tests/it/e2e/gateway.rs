//! What the gateway does with a request before a function sees it, and with the answer after.

use halyard_tests::target;
use http::Method;
use serde_json::json;

use super::assert_is_named;

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_path_is_a_problem() {
    let target = target!();
    let answer = target.anonymous().get("/no/such/path").await.expect_problem(404, "not_found");
    assert_is_named(&answer);
    assert_eq!(answer.json()["instance"], "/no/such/path");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_no_route_takes_is_a_problem() {
    let target = target!();
    let answer = target.anonymous().request(Method::DELETE, "/health/ping").send().await;
    assert_is_named(&answer.expect_problem(405, "method_not_allowed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_is_kept_and_a_trace_continued() {
    let target = target!();
    let (id, parent) = ("client-request-17", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let draft = target.anonymous().request(Method::GET, "/health/ping").header("x-request-id", id);
    let answer = draft.header("traceparent", parent).send().await.expect(200);
    assert_eq!(answer.header("x-request-id"), id);
    assert!(answer.header("traceparent").starts_with("00-0af7651916cd43dd8448eb211c80319c-"), "{answer:?}");
    assert_ne!(answer.header("traceparent"), parent, "a span of its own");
    for path in ["/health/ping", "/no/such/path", "/api/status"] {
        assert_is_named(&target.anonymous().get(path).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_origin_may_ask() {
    let target = target!();
    let draft =
        target.anonymous().request(Method::OPTIONS, "/tasks/submit").header("origin", "https://app.example.com");
    let draft = draft.header("access-control-request-method", "POST");
    let answer = draft.header("access-control-request-headers", "authorization,content-type").send().await;
    assert!(matches!(answer.code(), 200 | 204), "{answer:?}");
    assert!(!answer.header("access-control-allow-origin").is_empty(), "{answer:?}");
    assert!(answer.header("access-control-allow-methods").contains("POST"), "{answer:?}");
    let allowed = answer.header("access-control-allow-headers").to_ascii_lowercase();
    assert!(allowed.contains("authorization") && allowed.contains("if-match"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_origin_may_read_the_answer() {
    let target = target!();
    let draft = target.anonymous().request(Method::GET, "/health/ping").header("origin", "https://app.example.com");
    let answer = draft.send().await.expect(200);
    assert!(!answer.header("access-control-allow-origin").is_empty(), "{answer:?}");
    let exposed = answer.header("access-control-expose-headers").to_ascii_lowercase();
    assert!(exposed.contains("ratelimit") && exposed.contains("x-request-id"), "{answer:?}");
}

/// Lambda takes 6 MB; the gateway, or the proxy in front of it, says so. Nothing of it is stored.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_lambda_cannot_take_is_413() {
    let target = target!();
    let user = target.user("e2e-large").await;
    let body = json!({"task_type": "sample", "data": {"message": "x".repeat(7_000_000)}});
    user.post("/tasks/submit", body).await.expect(413);
    user.get("/tasks?limit=1").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn head_answers_without_a_body() {
    let target = target!();
    let answer = target.anonymous().request(Method::HEAD, "/health/ping").send().await.expect(200);
    assert_eq!(answer.text(), "");
}
