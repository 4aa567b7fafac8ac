use std::time::Duration;

use halyard_tests::{Actor, target, wait};
use serde_json::{Value, json};

/// The workflow, once it has ended.
async fn ended(user: &Actor, path: &str, body: Value) -> Value {
    let answer = user.post(path, body).await.expect(200).json();
    let status = answer["links"]["status"].as_str().expect("a link").to_owned();
    wait::until(format!("{status} to end"), Duration::from_mins(1), async || {
        let workflow = user.get(&status).await.expect(200).json()["data"].take();
        (workflow["status"] != "running").then_some(workflow)
    })
    .await
}

fn states(workflow: &Value) -> Vec<&str> {
    let steps = workflow["steps"].as_array().expect("steps").iter();
    steps.map(|step| step["status"].as_str().expect("a state")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_hands_results_on() {
    let target = target!();
    let user = target.user("e2e-chain").await;
    let says = |message: &str| json!({"task_type": "sample", "data": {"message": message}});
    let mut second = says("b");
    second["input_from"] = json!("previous");
    let chain = ended(&user, "/tasks/chain", json!({"chain_name": "relay", "tasks": [says("a"), second]})).await;
    assert_eq!(
        (chain["status"].as_str(), states(&chain)),
        (Some("completed"), vec!["completed", "completed"]),
        "{chain}"
    );
    let last = chain["steps"][1]["task_id"].as_str().expect("a task");
    assert_eq!(user.task(last).await["result"]["echo"]["input"]["message"], "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_in_order_stops_where_it_fails_and_goes_on_from_there() {
    let target = target!();
    let user = target.user("e2e-batch").await;
    let step = |data: Value| json!({"task_type": "sample", "data": data, "retry_config": {"max_retries": 0}});
    let tasks = json!([step(json!({})), step(json!({"fail": "permanent"})), step(json!({}))]);
    let body = json!({"tasks": tasks, "execution_mode": "sequential", "failure_strategy": "stop_on_error"});
    let batch = ended(&user, "/tasks/batch", body).await;
    assert_eq!((batch["status"].as_str(), states(&batch)), (Some("failed"), vec!["completed", "failed", "cancelled"]));
    let id = batch["workflow_id"].as_str().expect("an id");
    let again = ended(&user, &format!("/tasks/workflows/{id}/retry"), json!({})).await;
    assert_eq!((again["status"].as_str(), &again["generation"]), (Some("failed"), &json!(2)), "{again}");
}
