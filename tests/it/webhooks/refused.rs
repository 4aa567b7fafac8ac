//! Callbacks that could only fail, or that nobody would call, are refused wherever they are accepted.

use halyard_tests::{TestApp, TestResponse};
use serde_json::{Value, json};

const FORBIDDEN: &str = "http://127.0.0.1:20009/";
const HARMLESS: &str = "https://hooks.example/";

/// Where this machine may not be called.
async fn closed() -> TestApp {
    TestApp::builder().var("OUTBOUND_ALLOW_PRIVATE", "192.0.2.1").spawn().await
}

fn telling(url: &str) -> Value {
    json!({"task_type": "sample", "data": {}, "callbacks": {"completion_url": url}})
}

/// Each broken rule: where and which.
fn broken(answer: TestResponse) -> Vec<String> {
    let errors = answer.expect_problem(422, "validation_failed").json()["errors"].take();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let told = |error: &Value| format!("{} {}", text(&error["pointer"]), text(&error["code"]));
    errors.as_array().expect("errors").iter().map(told).collect()
}

#[tokio::test]
async fn workflows_and_their_steps_name_no_forbidden_addresses() {
    let app = closed().await;
    let user = app.user().await;
    let whole = json!({"completion_url": HARMLESS, "error_url": "http://169.254.169.254/"});
    for path in ["/tasks/batch", "/tasks/chain"] {
        let body = json!({"tasks": [telling(HARMLESS)], "callbacks": whole});
        assert_eq!(broken(user.post(path, body).await), ["/callbacks/error_url forbidden_address"], "{path}");
        let body = json!({"tasks": [telling(HARMLESS), telling(FORBIDDEN)]});
        let expected = ["/tasks/1/callbacks/completion_url forbidden_address"];
        assert_eq!(broken(user.post(path, body).await), expected, "{path}");
        let body = json!({"tasks": [telling("http://localhost/"), telling(FORBIDDEN)], "callbacks": whole});
        let expected = [
            "/callbacks/error_url forbidden_address",
            "/tasks/0/callbacks/completion_url forbidden_address",
            "/tasks/1/callbacks/completion_url forbidden_address",
        ];
        assert_eq!(broken(user.post(path, body).await), expected, "{path}");
    }
    let (mut first, mut last) = (telling(HARMLESS), telling(FORBIDDEN));
    first["name"] = json!("a");
    last["depends_on"] = json!(["a"]);
    let graph = user.post("/tasks/chain", json!({"tasks": [first, last]})).await;
    assert_eq!(broken(graph), ["/tasks/1/callbacks/completion_url forbidden_address"]);
    assert_eq!(app.count("select count(*) from tasks").await + app.count("select count(*) from workflows").await, 0);
}

#[tokio::test]
async fn schedules_name_no_forbidden_addresses_when_they_are_made_or_changed() {
    let app = closed().await;
    let user = app.user().await;
    let mut body = telling(FORBIDDEN);
    body["schedule"] = json!({"type": "interval", "seconds": 3600});
    let expected = ["/callbacks/completion_url forbidden_address"];
    assert_eq!(broken(user.post("/tasks/schedule", body.clone()).await), expected);
    assert_eq!(app.count("select count(*) from schedules").await, 0);
    body["callbacks"] = json!({"completion_url": HARMLESS});
    let made = user.post("/tasks/schedule", body).await.expect(200).json();
    let path = format!("/tasks/schedules/{}", made["data"]["schedule_id"].as_str().expect("an id"));
    let change = json!({"callbacks": {"completion_url": FORBIDDEN}, "priority": 2});
    assert_eq!(broken(user.patch(&path, change).await), expected);
    let shown = user.get(&path).await.expect(200).json()["data"].take();
    assert_eq!((&shown["callbacks"]["completion_url"], &shown["priority"]), (&json!(HARMLESS), &json!(5)));
    user.patch(&path, json!({"callbacks": null})).await.expect(200);
}

#[tokio::test]
async fn a_workflow_is_not_asked_for_progress_but_its_steps_are() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let expected = ["/callbacks/progress_url not_supported"];
    for path in ["/tasks/batch", "/tasks/chain"] {
        let body = json!({"tasks": [telling(HARMLESS)], "callbacks": {"progress_url": HARMLESS}});
        assert_eq!(broken(user.post(path, body).await), expected, "{path}");
        let step = json!({"task_type": "sample", "data": {}, "callbacks": {"progress_url": HARMLESS}});
        let body = json!({"tasks": [step], "callbacks": {"progress_url": null}});
        user.post(path, body).await.expect(200);
    }
    app.leave_unfinished();
}
