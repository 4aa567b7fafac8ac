//! Tasks that call a service, over real sockets.

use halyard_tests::{ScriptedNode, TestApp, scripted_node::answer};
use serde_json::{Value, json};

async fn called(app: &TestApp, data: Value) -> Value {
    let user = app.user().await;
    let body = json!({"task_type": "http_request", "data": data, "retry_config": {"max_retries": 0}});
    let id = user.submit(body).await;
    app.drain().await;
    user.task(&id).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_calls_a_service_and_has_its_answer() {
    let app = TestApp::spawn().await;
    let node = ScriptedNode::answering(200, "content-type: application/json\r\n", "{\"n\":7}");
    let url = format!("http://{}/work?x=1", node.address());
    let task = called(&app, json!({"url": url, "method": "POST", "body": {"a": 1}})).await;
    assert_eq!(task["status"], "completed", "{task}");
    assert_eq!((&task["result"]["status"], &task["result"]["body"]), (&json!(200), &json!({"n": 7})));
    let seen = node.requests("/work");
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].header("content-type"), Some("application/json"));
    let id = task["task_id"].as_str().expect("an id");
    assert_eq!(seen[0].header("idempotency-key"), Some(format!("\"{id}\"").as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn private_addresses_are_not_called_and_redirects_not_followed() {
    let app = TestApp::builder().var("OUTBOUND_ALLOW_PRIVATE", "127.0.0.2").spawn().await;
    let node = ScriptedNode::start(Box::new(|_| Some(answer(200, "", "secret"))));
    for url in [format!("http://{}/x", node.address()), "http://169.254.169.254/latest/meta-data".to_owned()] {
        let task = called_by(&app, &url).await;
        assert_eq!((&task["status"], &task["error"]["code"]), (&json!("failed"), &json!("forbidden_target")), "{task}");
    }
    assert!(node.requests("/x").is_empty());
    let app = TestApp::spawn().await;
    let redirect = ScriptedNode::answering(302, "location: http://169.254.169.254/\r\n", "");
    let task = called(&app, json!({"url": format!("http://{}/", redirect.address())})).await;
    assert_eq!(task["error"]["code"], "redirected", "{task}");
}

async fn called_by(app: &TestApp, url: &str) -> Value {
    let admin = app.admin().await;
    let id = admin.submit(json!({"task_type": "http_request", "data": {"url": url}})).await;
    app.drain().await;
    admin.task(&id).await
}
