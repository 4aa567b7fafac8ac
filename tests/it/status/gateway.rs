//! What every answer has, whoever gives it.

use halyard_tests::TestApp;
use http::Method;

use crate::assert_snapshot;

#[tokio::test]
async fn an_unknown_path_is_a_problem() {
    let app = TestApp::spawn().await;
    assert_snapshot!("unknown_path", app.anonymous().get("/no/such/path").await.expect(404));
}

#[tokio::test]
async fn a_method_that_no_route_takes_is_a_problem() {
    let app = TestApp::spawn().await;
    let answer = app.anonymous().request(Method::DELETE, "/health/ping").send().await;
    assert!(matches!(answer.code(), 404 | 405), "{}", answer.text());
    assert_snapshot!("wrong_method", answer);
}

#[tokio::test]
async fn a_well_formed_request_id_of_the_client_comes_back_and_any_other_is_replaced() {
    let app = TestApp::spawn().await;
    let ping = async |id: &str| {
        let draft = app.anonymous().request(Method::GET, "/health/ping").header("x-request-id", id);
        draft.send().await.expect(200).header("x-request-id").to_owned()
    };
    assert_eq!(ping("client-request-17").await, "client-request-17");
    for bad in ["short", "with space in it", "x\"quoted\"x", &"x".repeat(200)] {
        let given = ping(bad).await;
        assert!(given.starts_with("req_"), "{bad:?} became {given:?}");
    }
}

#[tokio::test]
async fn a_trace_is_continued() {
    let app = TestApp::spawn().await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let answer = app.anonymous().request(Method::GET, "/health/ping").header("traceparent", parent).send().await;
    let own = answer.expect(200).header("traceparent").to_owned();
    assert!(own.starts_with("00-0af7651916cd43dd8448eb211c80319c-"), "the same trace: {own}");
}

#[tokio::test]
async fn answers_carry_security_headers() {
    let app = TestApp::spawn().await;
    for path in ["/health/ping", "/no/such/path"] {
        let answer = app.anonymous().get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert!(!answer.header("referrer-policy").is_empty(), "{path}");
        assert!(answer.header("content-security-policy").contains("frame-ancestors"), "{path}");
    }
}

#[tokio::test]
async fn long_answers_are_compressed_for_those_who_take_it() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let draft = user.request(Method::GET, "/tasks/types").header("accept-encoding", "gzip");
    let packed = draft.send().await.expect(200);
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert_eq!(packed.body[..2], [0x1f, 0x8b]);
    let plain = user.get("/tasks/types").await.expect(200);
    assert_eq!(plain.header("content-encoding"), "");
    let short = app.anonymous().request(Method::GET, "/health/ping").header("accept-encoding", "gzip").send().await;
    assert_eq!(short.header("content-encoding"), "");
}

#[tokio::test]
async fn a_browser_of_another_origin_may_ask() {
    let app = TestApp::spawn().await;
    let draft = app.anonymous().request(Method::OPTIONS, "/tasks/submit").header("origin", "https://app.example.com");
    let draft = draft.header("access-control-request-method", "POST");
    let answer = draft.header("access-control-request-headers", "authorization,content-type").send().await;
    assert!(answer.status.is_success(), "{}", answer.text());
    assert!(!answer.header("access-control-allow-origin").is_empty());
    assert!(answer.header("access-control-allow-methods").contains("POST"));
}

#[tokio::test]
async fn another_method_on_a_path_that_is_there_is_told_which_it_takes() {
    let app = TestApp::spawn().await;
    for (method, path, takes) in [
        (Method::PUT, "/tasks/submit", "POST"),
        (Method::POST, "/auth/profile", "GET, PUT"),
        (Method::DELETE, "/tasks/status/task_01JD8X4Z7N3M5P9Q2R6S8T0V1W", "GET"),
    ] {
        let answer = app.anonymous().request(method, path).send().await.expect_problem(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), takes, "{path}");
    }
    app.anonymous().get("/tasks/status/").await.expect_problem(404, "not_found");
}
