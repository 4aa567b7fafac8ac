use halyard_tests::TestApp;
use serde_json::json;

use super::{fails, result, says, states, step, submit, taking, workflow};
use crate::assert_snapshot;

#[tokio::test]
async fn a_fan_in_gets_every_result_under_its_steps_name() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let body = json!({"chain_name": "diamond", "tasks": [
        taking(step("join", &["left", "right"], says("j"))),
        step("root", &[], says("r")),
        taking(step("left", &["root"], says("l"))),
        taking(step("right", &["root"], says("ri"))),
    ]});
    let id = submit(&user, "/tasks/chain", body).await;
    assert_eq!(workflow(&user, &id).await["execution_mode"], "graph");
    app.drain().await;
    assert_snapshot!("diamond", user.get(&format!("/tasks/workflows/{id}")).await.expect(200));
    let joined = result(&user, &id, 0).await["echo"]["input"].take();
    assert_eq!((&joined["left"]["message"], &joined["right"]["message"]), (&json!("l"), &json!("ri")));
    assert_eq!(joined["left"]["echo"]["input"]["message"], "r", "one alone is given as it is");
}

#[tokio::test]
async fn a_failed_branch_is_left_out_and_the_others_go_on() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let body = json!({"failure_strategy": "continue", "tasks": [
        step("root", &[], says("r")),
        step("bad", &["root"], fails()),
        step("good", &["root"], says("g")),
        step("after bad", &["bad"], says("x")),
        step("after that", &["after bad", "good"], says("y")),
        step("after good", &["good"], says("z")),
    ]});
    let id = submit(&user, "/tasks/chain", body).await;
    app.drain().await;
    let steps = ["completed", "failed", "completed", "cancelled", "cancelled", "completed"].map(str::to_owned);
    assert_eq!(states(&user, &id).await, ("failed".to_owned(), steps.to_vec()));
}

#[tokio::test]
async fn a_long_line_behind_a_failure_is_left_out_at_once() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let mut tasks = vec![step("0", &[], fails())];
    tasks.extend((1..300).map(|n| step(&n.to_string(), &[&(n - 1).to_string()], says("x"))));
    let id = submit(&user, "/tasks/chain", json!({"failure_strategy": "continue", "tasks": tasks})).await;
    app.drain().await;
    let workflow = workflow(&user, &id).await;
    assert_eq!((&workflow["status"], &workflow["counts"]["cancelled"]), (&json!("failed"), &json!(299)));
    assert_eq!(app.count("select version from workflows").await, 2, "two decisions: the failure, and what hung on it");
}
