//! Authorizers, seen from outside.

use halyard_tests::target;
use http::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn without_identity_nobody_gets_to_a_function() {
    let target = target!();
    for path in ["/api/protected", "/tasks", "/auth/profile"] {
        target.anonymous().get(path).await.expect(401);
    }
    // A cookie is not what these routes ask for.
    let user = target.user("e2e-identity").await;
    let cookie = format!("halyard_session={}", user.access_token.as_deref().expect("a token"));
    let draft = target.anonymous().request(Method::GET, "/api/protected").header("cookie", &cookie);
    draft.send().await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_token_is_a_problem_that_says_what_is_wrong() {
    let target = target!();
    let user = target.user("e2e-token").await;
    let good = user.access_token.clone().expect("a token");
    let refresh = user.refresh_token.clone().expect("a refresh token");
    let other_signature = format!("{}{}", &good[..good.len() - 8], "AAAAAAAA");
    for bad in ["not.a.token", &other_signature, &refresh] {
        // Twice: the second answer may come out of the gateway's cache.
        for _ in 0..2 {
            let answer = target.anonymous().request(Method::GET, "/api/protected").bearer(bad).send().await.expect(401);
            assert_eq!(answer.header("content-type"), "application/problem+json", "{}", answer.text());
            assert!(!answer.header("www-authenticate").is_empty(), "{answer:?}");
        }
    }
    user.get("/api/protected").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_is_told_who_calls() {
    let target = target!();
    let (user, admin) = (target.user("e2e-caller").await, target.admin().await);
    for (who, role) in [(&user, "user"), (&admin, "admin")] {
        let greeting = who.get("/api/protected").await.expect(200).json();
        assert_eq!(greeting["data"]["user"]["id"], who.user_id, "{greeting}");
        assert_eq!(greeting["data"]["user"]["username"], who.username.as_str(), "{greeting}");
        let told = who.get("/auth/validate").await.expect(200);
        assert_eq!(told.header("x-auth-username"), who.username);
        assert_eq!(told.header("x-auth-role"), role);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_route_says_more_to_those_who_may_know() {
    let target = target!();
    let public = target.anonymous().get("/health/status").await.expect(200).json();
    let detailed = target.admin().await.get("/health/status").await.expect(200).json();
    assert!(public["checks"]["redis"]["connected_clients"].is_null(), "{public}");
    assert!(detailed["checks"]["redis"]["connected_clients"].is_number(), "{detailed}");
    let bad = target.anonymous().request(Method::GET, "/health/status").bearer("nonsense").send().await;
    bad.expect_problem(401, "token_malformed");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_password_opens_an_account() {
    let target = target!();
    let body = json!({"username": format!("nobody-{}", std::process::id()), "password": "wrong password"});
    let refused = target.anonymous().post("/auth/login", body).await.expect_problem(401, "invalid_credentials");
    assert!(!refused.header("www-authenticate").is_empty());
}
