//! Links to results that are stored apart, as the local gateway answers them.

use chrono::TimeDelta;
use halyard_tests::{TestApp, TestResponse};
use http::Method;
use serde_json::json;

/// A task whose result no row has room for: what `sample` is told, it answers twice. Gives the path of its result.
async fn stored(app: &TestApp) -> String {
    let id = app.admin().await.submit(json!({"task_type": "sample", "data": {"message": "x".repeat(2_700_000)}})).await;
    app.drain().await;
    format!("/tasks/result/{id}")
}

async fn ask(app: &TestApp, method: Method, path: &str) -> TestResponse {
    app.anonymous().request(method, path).send().await
}

#[tokio::test]
async fn a_link_is_followed_without_a_credential_and_as_data() {
    let app = TestApp::spawn().await;
    let result = stored(&app).await;
    let answer = app.admin().await.get(&result).await.expect(303);
    assert!(answer.text().is_empty(), "the result is elsewhere");
    let link = answer.header("location");
    let found = ask(&app, Method::GET, link).await.expect(200);
    assert_eq!(found.header("content-type"), "application/json");
    assert_eq!((found.header("cache-control"), found.header("x-content-type-options")), ("no-store", "nosniff"));
    assert_eq!(found.json()["message"].as_str().map(str::len), Some(2_700_000));
    let head = ask(&app, Method::HEAD, link).await.expect(200);
    assert_eq!((head.body.len(), head.header("content-length")), (0, found.body.len().to_string().as_str()));
    for method in [Method::PUT, Method::POST, Method::DELETE] {
        ask(&app, method, link).await.expect(405);
    }
    ask(&app, Method::GET, link).await.expect(200);
}

#[tokio::test]
async fn a_link_is_good_for_five_minutes_and_the_next_one_for_five_more() {
    let app = TestApp::spawn().await;
    let result = stored(&app).await;
    let link = async || app.admin().await.get(&result).await.expect(303).header("location").to_owned();
    let first = link().await;
    app.advance(TimeDelta::seconds(299));
    ask(&app, Method::GET, &first).await.expect(200);
    app.advance(TimeDelta::seconds(1));
    ask(&app, Method::GET, &first).await.expect(403);
    let second = link().await;
    assert_ne!(first, second);
    ask(&app, Method::GET, &second).await.expect(200);
}

#[tokio::test]
async fn an_object_without_its_link_is_nobodys() {
    let app = TestApp::spawn().await;
    let (result, admin) = (stored(&app).await, app.admin().await);
    let link = admin.get(&result).await.expect(303).header("location").to_owned();
    let (path, token) = link.split_once("?token=").expect("a token");
    let guesses = [
        path.to_owned(),
        format!("{path}?token="),
        format!("{path}?token={}", "0".repeat(32)),
        format!("{path}?token={token}&x=y"),
        format!("{path}/?token={token}"),
        format!("/_objects/?token={token}"),
        format!("/_objects/../secrets.json?token={token}"),
    ];
    for guess in guesses {
        ask(&app, Method::GET, &guess).await.expect(403);
        // Nor does it help to be somebody.
        admin.get(&guess).await.expect(403);
    }
}
