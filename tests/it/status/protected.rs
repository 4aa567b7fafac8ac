use halyard_tests::TestApp;
use http::Method;

use crate::assert_snapshot;

#[tokio::test]
async fn protected_greets_the_caller() {
    let app = TestApp::spawn().await;
    assert_snapshot!("greeting", app.admin().await.get("/api/protected").await.expect(200));
}

#[tokio::test]
async fn without_a_credential_the_gateway_answers_in_its_own_bare_form() {
    let app = TestApp::spawn().await;
    assert_snapshot!("no_identity", app.anonymous().get("/api/protected").await.expect(401));
}

#[tokio::test]
async fn a_bad_token_reaches_the_function_as_a_problem() {
    let app = TestApp::spawn().await;
    let answer = app.anonymous().request(Method::GET, "/api/protected").bearer("nonsense").send().await;
    assert_snapshot!("bad_token", answer.expect(401));
}

#[tokio::test]
async fn the_limit_is_told_and_kept() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let first = user.get("/api/protected").await.expect(200);
    assert!(!first.header("ratelimit").is_empty() && !first.header("ratelimit-policy").is_empty());
    let mut refused = None;
    for _ in 0..2000 {
        let answer = user.get("/api/protected").await;
        if answer.code() == 429 {
            refused = Some(answer);
            break;
        }
        answer.expect(200);
    }
    let refused = refused.expect("a limit below 2,000 a minute").expect_problem(429, "rate_limited");
    assert_snapshot!("limited", refused);
    let wait: i64 = refused.header("retry-after").parse().expect("seconds");
    app.advance(chrono::Duration::seconds(wait));
    user.get("/api/protected").await.expect(200);
    // One caller's limit is not another's.
    app.admin().await.get("/api/protected").await.expect(200);
}
