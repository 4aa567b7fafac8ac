use halyard_tests::TestApp;
use serde_json::{Value, json};

use super::{fails, result, says, states, submit, taking, workflow};
use crate::assert_snapshot;

#[tokio::test]
async fn a_chain_hands_results_on() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let body = json!({"chain_name": "relay", "tasks": [says("a"), taking(says("b")), taking(says("c")), says("d")]});
    let answer = user.post("/tasks/chain", body).await.expect(200);
    assert_snapshot!("accepted", answer);
    let id = answer.json()["data"]["chain_id"].as_str().expect("an id").to_owned();
    app.drain().await;
    assert_eq!(states(&user, &id).await.0, "completed");
    let third = result(&user, &id, 2).await;
    assert_eq!(third["message"], "c");
    assert_eq!(third["echo"]["input"]["message"], "b");
    assert_eq!(third["echo"]["input"]["echo"]["input"]["message"], "a");
    assert_eq!(result(&user, &id, 3).await["echo"]["input"], Value::Null, "what takes nothing is given nothing");
}

#[tokio::test]
async fn what_a_result_holds_is_handed_on_as_it_is() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    // Numbers beyond a double, characters that JSON escapes, NUL, and a member that is replaced.
    let odd = r#"{"task_type":"sample","data":{"message":{"n":123456789012345678901234567890,"s":"\u0000\u001f\"é🦀","e":1e400}}}"#;
    let next = r#"{"task_type":"sample","data":{"input":"mine","z":1,"a":[]},"input_from":"previous"}"#;
    let body = format!(r#"{{"tasks":[{odd},{next}]}}"#);
    let answer = user
        .request(http::Method::POST, "/tasks/chain")
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await;
    // A number that no double holds is refused by this type, whoever sends it.
    if answer.code() == 200 {
        app.drain().await;
        let id = answer.json()["data"]["workflow_id"].as_str().expect("an id").to_owned();
        assert_eq!(states(&user, &id).await.0, "completed");
        let given = result(&user, &id, 1).await["echo"]["input"].take();
        assert_eq!(given["message"]["s"], "\u{0}\u{1f}\"é🦀");
        return;
    }
    answer.expect(422);
}

#[tokio::test]
async fn a_chain_whose_step_fails_leaves_out_those_that_need_it() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let tasks = json!([fails(), taking(says("b")), says("c"), taking(says("d"))]);
    let goes_on = submit(&user, "/tasks/chain", json!({"tasks": tasks, "failure_strategy": "continue"})).await;
    let stops = submit(&user, "/tasks/chain", json!({"tasks": tasks})).await;
    app.drain().await;
    let of = |states: [&str; 4]| ("failed".to_owned(), states.map(str::to_owned).to_vec());
    assert_eq!(states(&user, &goes_on).await, of(["failed", "cancelled", "completed", "completed"]));
    assert_eq!(states(&user, &stops).await, of(["failed", "cancelled", "cancelled", "cancelled"]));
    let skipped = &workflow(&user, &goes_on).await["steps"][1]["error"];
    assert_eq!(skipped["message"], "a step that it depends on did not complete");
}

#[tokio::test]
async fn a_step_that_is_retried_holds_its_chain_up_and_no_more() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let shaky = json!({"task_type": "sample", "data": {"fail": "error", "fail_attempts": 2},
                       "retry_config": {"max_retries": 3, "retry_delay": 30}});
    let id = submit(&user, "/tasks/chain", json!({"tasks": [shaky, taking(says("b"))]})).await;
    app.drain().await;
    assert_eq!(states(&user, &id).await, ("running".to_owned(), vec!["retrying".to_owned(), "waiting".to_owned()]));
    for _ in 0..3 {
        app.advance(chrono::Duration::minutes(2));
        app.drain().await;
    }
    assert_eq!(states(&user, &id).await.0, "completed");
    assert_eq!(result(&user, &id, 1).await["echo"]["input"]["attempt"], 3);
}

#[tokio::test]
async fn a_step_keeps_its_own_time_once_it_is_released() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let mut later = says("b");
    later["scheduled_for"] = json!(app.now() + chrono::Duration::minutes(5));
    let id = submit(&user, "/tasks/chain", json!({"tasks": [says("a"), later, says("c")]})).await;
    app.drain().await;
    let of = |states: [&str; 3]| states.map(str::to_owned).to_vec();
    assert_eq!(states(&user, &id).await.1, of(["completed", "scheduled", "waiting"]));
    app.advance(chrono::Duration::minutes(6));
    app.drain().await;
    assert_eq!(states(&user, &id).await.1, of(["completed", "completed", "completed"]));
}
