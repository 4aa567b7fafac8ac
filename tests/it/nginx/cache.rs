//! The filter keeps its answers for a few seconds, and nobody gains by it.

use std::{fs, os::unix::fs::PermissionsExt as _};

use halyard_tests::Actor;
use serde_json::json;

use super::app_and_nginx;

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_one_credential_asks_once() {
    let (app, nginx) = app_and_nginx(&[("LIMITS", "off")]).await;
    let admin = nginx.admin().await;
    let before = app.invocations("AuthFunction");
    let answers = futures::future::join_all((0..100).map(|_| admin.get("/api/protected"))).await;
    assert!(answers.iter().all(|a| [200, 429].contains(&a.code())), "the functions' own limit is still there");
    let asked = app.invocations("AuthFunction") - before;
    // One, and another one where the five seconds in which it was kept ran out meanwhile.
    assert!((1..=2).contains(&asked), "{asked} questions for 100 requests");

    let before = app.invocations("AuthFunction");
    let bad = nginx.anonymous().with_token("a.b.c");
    let answers = futures::future::join_all((0..100).map(|_| bad.get("/api/protected"))).await;
    assert!(
        answers
            .iter()
            .all(|a| a.code() == 401 && a.json()["error"] == "token_malformed" || a.json()["error"] == "token_invalid")
    );
    let asked = app.invocations("AuthFunction") - before;
    assert!((1..=2).contains(&asked), "{asked} questions for 100 requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_caller_never_gets_the_answer_to_another() {
    let (app, nginx) = app_and_nginx(&[]).await;
    let (admin, user) = (app.admin().await, app.user().await);
    let name = async |who: &Actor| {
        let through = nginx.anonymous().with_token(who.access_token.as_deref().expect("a token"));
        through.get("/api/protected").await.expect(200).json()["data"]["user"]["username"].clone()
    };
    for _ in 0..3 {
        assert_eq!((name(&admin).await, name(&user).await), (json!("admin"), json!("user")));
        nginx.anonymous().get("/api/protected").await.expect_problem(401, "token_missing");
        nginx.anonymous().with_token("a.b.c").get("/api/protected").await.expect(401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_session_passes_the_filter_at_most_and_the_gateway_says_401() {
    let (app, nginx) = app_and_nginx(&[]).await;
    let user = nginx.anonymous().with_token(app.user().await.access_token.as_deref().expect("a token"));
    user.get("/auth/profile").await.expect(200);
    user.post("/auth/logout", json!({})).await.expect(200);
    // The filter's answer is still kept; the bound is the gateway's, and its clock is this test's.
    app.advance(chrono::Duration::seconds(6));
    user.get("/auth/profile").await.expect_problem(401, "token_revoked");
    user.post("/tasks/submit", json!({"task_type": "sample", "data": {}})).await.expect_problem(401, "token_revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_nginx_can_read_the_cache() {
    let (app, nginx) = app_and_nginx(&[]).await;
    let user = nginx.anonymous().with_token(app.user().await.access_token.as_deref().expect("a token"));
    user.get("/api/protected").await.expect(200);
    let directory = nginx.site().path("conf/run/validated");
    let mode = fs::metadata(&directory).expect("the cache").permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "{}", directory.display());
    assert!(!fs::read_dir(&directory).expect("the cache").collect::<Vec<_>>().is_empty(), "something is kept");
}
