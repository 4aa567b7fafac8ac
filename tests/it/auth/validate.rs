use chrono::Duration;
use halyard_tests::TestApp;
use http::Method;

use crate::assert_snapshot;

#[tokio::test]
async fn validate_names_the_caller_in_headers() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    assert_snapshot!("valid", admin.get("/auth/validate").await.expect(200));
}

#[tokio::test]
async fn validate_answers_401_to_whatever_is_not_a_good_access_token() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    assert_snapshot!("missing", app.anonymous().get("/auth/validate").await.expect(401));
    let refresh = admin.refresh_token.clone().expect("a refresh token");
    let access = admin.access_token.clone().expect("an access token");
    let tampered = format!("{}x", &access[..access.len() - 1]);
    let long = "x".repeat(5000);
    let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.";
    for token in [&refresh, &tampered, &long, "", "a.b.c", "....", "null", unsigned, "\u{7f}"] {
        let answer = admin.request(Method::GET, "/auth/validate").without_token();
        let value = format!("Bearer {token}");
        let Ok(value) = http::HeaderValue::from_str(&value) else { continue };
        let answer = answer.header_value("authorization", value).send().await;
        assert_eq!(answer.code(), 401, "{token:?}: {}", answer.text());
        assert!(!answer.header("www-authenticate").is_empty(), "{token:?}");
        assert_eq!(answer.header("x-auth-error"), answer.json()["error"], "{token:?}");
    }
    for scheme in ["Basic YTpi", "Bearer", "bearer", "Token abc", access.as_str()] {
        let answer = admin.request(Method::GET, "/auth/validate").without_token();
        answer.header("authorization", scheme).send().await.expect(401);
    }
    admin
        .request(Method::GET, "/auth/validate")
        .without_token()
        .header("authorization", &format!("bearer {access}"))
        .send()
        .await
        .expect(200);
}

#[tokio::test]
async fn a_token_ends_at_its_time() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    app.advance(Duration::seconds(3590));
    admin.get("/auth/validate").await.expect(200);
    app.advance(Duration::seconds(20));
    assert_snapshot!("expired", admin.get("/auth/validate").await.expect(401));
    admin.get("/api/protected").await.expect_problem(401, "token_expired");
}
