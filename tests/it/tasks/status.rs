use halyard_tests::TestApp;
use http::Method;
use serde_json::json;

use crate::assert_snapshot;

#[tokio::test]
async fn status_of_a_task_that_waits() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "sample", "data": {"message": "hello"}})).await;
    assert_snapshot!("queued", user.get(&format!("/tasks/status/{id}")).await.expect(200));
    app.leave_unfinished();
}

#[tokio::test]
async fn status_of_a_task_that_is_done() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "sample", "data": {"message": "hello", "steps": 4}})).await;
    app.drain().await;
    assert_snapshot!("completed", user.get(&format!("/tasks/status/{id}")).await.expect(200));
}

#[tokio::test]
async fn status_of_a_task_that_failed() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "sample", "data": {"fail": "permanent"}})).await;
    app.drain().await;
    assert_snapshot!("failed", user.get(&format!("/tasks/status/{id}")).await.expect(200));
}

#[tokio::test]
async fn a_task_of_somebody_else_is_not_there() {
    let app = TestApp::spawn().await;
    let (maria, hanna) = (app.user_named("maria").await, app.user_named("hanna").await);
    let id = maria.submit(json!({"task_type": "sample", "data": {}})).await;
    app.drain().await;
    let foreign = hanna.get(&format!("/tasks/status/{id}")).await.expect(404);
    assert_snapshot!("not_mine", foreign);
    let unknown = hanna.get("/tasks/status/task_00000000000000000000000000").await.expect(404);
    assert_eq!(foreign.json()["error"], unknown.json()["error"]);
    assert_eq!(foreign.json()["detail"], unknown.json()["detail"]);
    for path in ["logs", "result"] {
        hanna.get(&format!("/tasks/{path}/{id}")).await.expect(404);
    }
    hanna.post(&format!("/tasks/cancel/{id}"), json!({})).await.expect(404);
    app.admin().await.get(&format!("/tasks/status/{id}")).await.expect(200);
}

#[tokio::test]
async fn what_is_no_task_id_is_not_there_either() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    for id in
        ["1", "task_", "task_0000000000000000000000000U", "sess_00000000000000000000000000", "%00", "..%2f..", "'--"]
    {
        user.get(&format!("/tasks/status/{id}")).await.expect(404);
    }
}

#[tokio::test]
async fn whoever_polls_hears_of_news_only() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "sample", "data": {}})).await;
    let path = format!("/tasks/status/{id}");
    let poll = async |tag: &str| user.request(Method::GET, &path).header("if-none-match", tag).send().await;
    let first = user.get(&path).await.expect(200).header("etag").to_owned();
    assert!(first.starts_with("W/\""), "{first}");
    app.advance(chrono::Duration::seconds(5));
    let same = poll(&first).await.expect(304);
    assert!(same.body.is_empty());
    assert_eq!(same.header("etag"), first);
    poll(&format!("\"other\", {}", first.trim_start_matches("W/"))).await.expect(304);
    poll("\"other\"").await.expect(200);
    app.drain().await;
    let done = poll(&first).await.expect(200);
    assert_eq!(done.json()["data"]["status"], "completed");
    poll(done.header("etag")).await.expect(304);
    let other = app.user_named("other").await.request(Method::GET, &path).header("if-none-match", done.header("etag"));
    other.send().await.expect(404);
}
