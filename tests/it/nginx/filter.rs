//! The early filter: whom it asks about, and what becomes of each answer.

use halyard_gateway::template::RouteKey;
use halyard_tests::{
    Nginx, ScriptedNode, TestApp, routes,
    scripted_node::{Seen, answer},
};
use http::Method;
use serde_json::Value;

use super::app_and_nginx;

const PROBLEM: &str = "content-type: application/problem+json\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn every_route_of_the_template_is_protected_as_the_gateway_protects_it() {
    let (app, nginx) = app_and_nginx(&[]).await;
    let (direct, through) = (app.anonymous(), nginx.anonymous());
    for route in routes::stack().api.expect("an API").routes {
        let RouteKey::Path { method, path } = &route.key else { continue };
        let method: Method = method.as_deref().unwrap_or("GET").parse().expect("a method");
        let path = path.replace(['{', '}'], "x");
        let direct = direct.request(method.clone(), &path).send().await;
        let through = through.request(method, &path).send().await;
        assert_eq!(through.code(), direct.code(), "{}", route.key);
        if direct.header("content-type").starts_with("text/html") {
            continue;
        }
        if direct.json()["message"] == "Unauthorized" {
            // Where the gateway has no words, NGINX has.
            through.expect_problem(401, "token_missing");
        } else {
            assert_eq!(through.json()["error"], direct.json()["error"], "{}", route.key);
        }
    }
    // What no route takes goes to the gateway unasked: other methods, unknown paths, longer ones, preflights.
    for (method, path) in [
        (Method::PATCH, "/auth/profile"),
        (Method::HEAD, "/api/protected"),
        (Method::GET, "/no/such/path"),
        (Method::GET, "/api/protected/"),
        (Method::GET, "//api/protected"),
        (Method::GET, "/tasks/status/a/b"),
        (Method::GET, "/tasks/status/"),
    ] {
        let direct = direct.request(method.clone(), path).send().await;
        let through = through.request(method.clone(), path).send().await;
        assert_eq!(through.code(), direct.code(), "{method} {path}");
        assert_eq!(through.header("content-type"), direct.header("content-type"), "{method} {path}");
    }
    let preflight = through.request(Method::OPTIONS, "/tasks/submit").header("origin", "https://page.example");
    preflight.header("access-control-request-method", "POST").send().await.expect(204);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_token_ends_at_the_filter_in_the_gateways_words() {
    let (app, nginx) = app_and_nginx(&[]).await;
    let admin = app.admin().await;
    let (access, refresh) =
        (admin.access_token.clone().expect("a token"), admin.refresh_token.clone().expect("a token"));
    let tampered = format!("{}x", &access[..access.len() - 1]);
    app.advance(chrono::Duration::seconds(1));
    for authorization in [
        format!("Bearer {tampered}"),
        format!("Bearer {refresh}"),
        "Bearer a.b.c".to_owned(),
        "Bearer".to_owned(),
        "Basic YTpi".to_owned(),
        format!("Bearer {}", "x".repeat(7000)),
    ] {
        let ask = async |who: halyard_tests::Actor| {
            let draft = who.request(Method::GET, "/api/protected").header("authorization", &authorization);
            draft.header("x-request-id", "same-for-both").send().await.expect(401)
        };
        let before = app.invocations("StatusFunction");
        let through = ask(nginx.anonymous()).await;
        assert_eq!(app.invocations("StatusFunction"), before, "the filter kept it away: {authorization}");
        let direct = ask(app.anonymous()).await;
        assert_eq!(through.json(), direct.json(), "{authorization}");
        for name in ["content-type", "www-authenticate", "x-request-id", "cache-control", "x-content-type-options"] {
            let values = |a: &halyard_tests::TestResponse| a.headers.get_all(name).iter().cloned().collect::<Vec<_>>();
            assert_eq!(values(&through), values(&direct), "{name}, {authorization}");
        }
    }
    app.advance(chrono::Duration::hours(2));
    nginx.anonymous().with_token(&access).get("/api/protected").await.expect_problem(401, "token_expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_identity_nobody_is_asked() {
    let (app, nginx) = app_and_nginx(&[]).await;
    let refused = nginx.anonymous().get("/api/protected").await.expect_problem(401, "token_missing");
    assert_eq!(refused.header("www-authenticate"), "Bearer realm=\"halyard\"");
    assert_eq!(refused.json()["instance"], "/api/protected");
    assert_eq!(refused.json()["request_id"], refused.header("x-request-id"));
    assert_eq!(app.invocations("AuthFunction"), 0);
}

/// A node whose validate answers so, and whose other answers are 200.
fn node_whose_validate_answers(status: u16, headers: &'static str, body: &'static str) -> ScriptedNode {
    ScriptedNode::start(Box::new(move |seen: &Seen| {
        let is_validate = seen.target == "/auth/validate";
        Some(if is_validate { answer(status, headers, body) } else { answer(200, "", "behind the filter") })
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_filter_cannot_say_is_429_or_503_and_never_500() {
    for (status, headers, code, error, retry_after) in [
        (429, "retry-after: 17\r\n", 429, "rate_limited", "17"),
        (429, "", 429, "rate_limited", "2"),
        (503, "retry-after: 5\r\ncontent-type: application/problem+json\r\n", 503, "unavailable", "5"),
        (503, "", 503, "unavailable", "2"),
        (500, "", 503, "unavailable", "2"),
        (502, "", 503, "unavailable", "2"),
        (504, "", 503, "unavailable", "2"),
    ] {
        let node = node_whose_validate_answers(status, headers, "{}");
        let nginx = Nginx::before(&[node.address()], &[]);
        let caller = nginx.anonymous().with_token("a.b.c");
        let refused = caller.get("/api/protected").await.expect_problem(code, error);
        assert_eq!(refused.header("retry-after"), retry_after, "{status}");
        assert_eq!(refused.json()["status"], code, "{status}");
        assert!(node.requests("/api/protected").is_empty(), "{status}");
        // None of these is kept.
        caller.get("/api/protected").await.expect(code);
        assert_eq!(node.requests("/auth/validate").len(), 2, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_odd_in_another_way_is_left_to_the_gateway() {
    for status in [400, 403, 404, 413, 431] {
        let node = node_whose_validate_answers(status, PROBLEM, "{}");
        let nginx = Nginx::before(&[node.address()], &[]);
        let passed = nginx.anonymous().with_token("a.b.c").get("/api/protected").await.expect(200);
        assert_eq!(passed.text(), "behind the filter", "{status}");
    }
    // A header that no event can carry: 400, as the gateway says it.
    let app = TestApp::builder().listening_behind(&["127.0.0.1"]).spawn().await;
    let nginx = Nginx::before(&[app.address()], &[]);
    let odd = http::HeaderValue::from_bytes(b"Bearer \xff").expect("a header");
    let draft = nginx.anonymous().request(Method::GET, "/api/protected").header_value("authorization", odd);
    draft.send().await.expect(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_and_a_reason_travel_from_validate_to_the_client() {
    let headers = "www-authenticate: Bearer realm=\"x\", error=\"invalid_token\"\r\nx-auth-error: token_revoked\r\n";
    let node = node_whose_validate_answers(401, headers, "{}");
    let nginx = Nginx::before(&[node.address()], &[]);
    for _ in 0..2 {
        let refused = nginx.anonymous().with_token("a.b.c").get("/api/protected").await;
        let refused = refused.expect_problem(401, "token_revoked");
        assert_eq!(refused.header("www-authenticate"), "Bearer realm=\"x\", error=\"invalid_token\"");
        assert_eq!(refused.json()["detail"], "the token has been revoked");
    }
    assert_eq!(node.requests("/auth/validate").len(), 1, "the second came from the cache, whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_a_body_is_filtered_too_and_its_body_arrives() {
    let (app, nginx) = app_and_nginx(&[]).await;
    app.leave_unfinished();
    let body = serde_json::json!({"task_type": "sample", "data": {"message": "x".repeat(200_000)}});
    nginx.anonymous().post("/tasks/submit", body.clone()).await.expect_problem(401, "token_missing");
    let accepted: Value = nginx.admin().await.post("/tasks/submit", body).await.expect(200).json();
    assert!(accepted["task_id"].as_str().is_some_and(|id| id.starts_with("task_")), "{accepted}");
}
