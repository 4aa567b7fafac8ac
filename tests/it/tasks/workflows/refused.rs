use halyard_tests::TestApp;
use serde_json::{Value, json};

use super::{says, step, taking};
use crate::assert_snapshot;

#[tokio::test]
async fn what_is_wrong_with_a_batch_is_named_and_nothing_is_kept() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let mut urgent = says("a");
    urgent["priority"] = json!(11);
    let nothing = json!({"task_type": "no_such_type", "data": {}});
    let listless = json!({"task_type": "sample", "data": []});
    for (name, body) in [
        ("empty", json!({"tasks": []})),
        ("name", json!({"batch_name": "", "tasks": [says("a")]})),
        ("rules", json!({"tasks": [says("a"), urgent, listless, {"task_type": "sample"}, 7]})),
        ("types", json!({"tasks": [nothing, says("b")]})),
        ("order", json!({"tasks": [says("a")], "execution_mode": "sideways"})),
        ("strategy", json!({"tasks": [says("a")], "failure_strategy": "panic"})),
    ] {
        assert_snapshot!(name, user.post("/tasks/batch", body).await.expect(422));
    }
    let mut unique = says("a");
    unique["unique_key"] = json!("k");
    let answer = user.post("/tasks/batch", json!({"tasks": [says("b"), unique]})).await.expect(422).json();
    assert_eq!(answer["errors"][0]["pointer"], "/tasks/1/unique_key");
    let many: Vec<Value> = (0..10_001).map(|_| json!({"task_type": "sample", "data": {}})).collect();
    user.post("/tasks/batch", json!({"tasks": many})).await.expect(422);
    assert_eq!(app.count("select count(*) from tasks").await + app.count("select count(*) from workflows").await, 0);
}

#[tokio::test]
async fn a_graph_that_could_never_end_is_refused() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let pointer = async |tasks: Value| {
        let answer = user.post("/tasks/chain", json!({ "tasks": tasks })).await.expect(422).json();
        let error = &answer["errors"][0];
        format!("{} {}", error["pointer"].as_str().expect("a pointer"), error["code"].as_str().expect("a code"))
    };
    let circle = json!([step("a", &["c"], says("")), step("b", &["a"], says("")), step("c", &["b"], says(""))]);
    assert_eq!(pointer(circle).await, "/tasks/0/depends_on cycle");
    assert_eq!(pointer(json!([step("a", &["a"], says(""))])).await, "/tasks/0/depends_on/0 repeated_step");
    assert_eq!(pointer(json!([step("a", &["z"], says(""))])).await, "/tasks/0/depends_on/0 unknown_step");
    assert_eq!(
        pointer(json!([step("a", &[], says("")), step("a", &[], says(""))])).await,
        "/tasks/1/name duplicate_name"
    );
    assert_eq!(pointer(json!([taking(says("a"))])).await, "/tasks/0/input_from nothing_before");
    let odd = json!([{"task_type": "sample", "data": {}, "input_from": "nowhere"}]);
    assert_eq!(pointer(odd).await, "/tasks/0/input_from invalid_value");
}

#[tokio::test]
async fn workflows_of_others_are_not_there() {
    let app = TestApp::spawn().await;
    let (user, other, admin) = (app.user().await, app.user_named("other").await, app.admin().await);
    let id = super::submit(&user, "/tasks/batch", json!({"tasks": [says("a")]})).await;
    let path = format!("/tasks/workflows/{id}");
    for method_path in [format!("{path}/cancel"), format!("{path}/retry")] {
        other.post(&method_path, json!({})).await.expect(404);
    }
    other.get(&path).await.expect(404);
    assert_eq!(other.get("/tasks/workflows").await.expect(200).json()["data"]["items"], json!([]));
    admin.get(&path).await.expect(200);
    app.drain().await;
}
