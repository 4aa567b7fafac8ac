use halyard_tests::target;
use http::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn an_account_lives_through_register_login_profile_refresh_and_logout() {
    let target = target!();
    let mut user = target.new_user("e2e-account").await;
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
    user.get("/auth/validate").await.expect_problem(401, "token_revoked");
    let renewed = renewed["data"]["refresh_token"].as_str().expect("a refresh token");
    user.request(Method::POST, "/auth/refresh").bearer(renewed).send().await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_over_a_stale_copy_of_a_profile_is_refused() {
    let target = target!();
    let user = target.user("e2e-profile").await;
    let etag = user.get("/auth/profile").await.expect(200).header("etag").to_owned();
    let change = async |name: &str| {
        let draft = user.request(Method::PUT, "/auth/profile").header("if-match", &etag);
        draft.json(&json!({"full_name": name})).send().await
    };
    let changed = change("First").await.expect(200);
    assert_ne!(changed.header("etag"), etag, "another version, another tag");
    change("Second").await.expect_problem(412, "precondition_failed");
    let profile = user.get("/auth/profile").await.expect(200).json();
    assert_eq!(profile["data"]["user"]["full_name"], "First");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_given_once() {
    let target = target!();
    let user = target.user("e2e-name").await;
    let email = format!("{}@example.com", target.unused_name("e2e-other"));
    let again = json!({"username": user.username.to_uppercase(), "email": email, "password": user.password});
    target.patiently_post("/auth/register", again).await.expect_problem(409, "username_taken");
}
