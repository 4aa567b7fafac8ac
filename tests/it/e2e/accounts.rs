use halyard_tests::Target;
use http::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn an_account_lives_through_register_login_profile_refresh_and_logout() {
    let target = Target::find().await;
    let mut user = target.user("e2e-account").await;
    let profile = user.get("/auth/profile").await.expect(200).json();
    assert_eq!(profile["data"]["user"]["username"], user.username);
    let change = json!({"full_name": "End To End", "preferences": {"timezone": "UTC"}});
    user.put("/auth/profile", change).await.expect(200);

    let refresh = user.refresh_token.clone().expect("a refresh token");
    let renewed = user.request(Method::POST, "/auth/refresh").bearer(&refresh).send().await.expect(200).json();
    user.access_token = renewed["data"]["access_token"].as_str().map(str::to_owned);
    user.get("/auth/validate").await.expect(200);

    user.post("/auth/logout", json!({})).await.expect(200);
    // No authorizer stands in front of it: the end shows at once.
    user.get("/auth/validate").await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_without_a_good_token() {
    let target = Target::find().await;
    target.anonymous().get("/api/protected").await.expect(401);
    let bad = target.anonymous().request(Method::GET, "/api/protected").bearer("not.a.token").send().await;
    let bad = bad.expect(401);
    assert_eq!(bad.header("content-type"), "application/problem+json");
    assert!(!bad.header("www-authenticate").is_empty());
    let body = json!({"username": "nobody-of-that-name", "password": "wrong password"});
    target.anonymous().post("/auth/login", body).await.expect(401);
}
