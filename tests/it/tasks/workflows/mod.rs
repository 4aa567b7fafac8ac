//! Batches, chains and graphs.

mod batch;
mod cancel;
mod chain;
mod graph;
mod many;
mod refused;
mod repair;
mod retry;

use halyard_tests::Actor;
use serde_json::{Value, json};

/// A task that answers `message`.
fn says(message: &str) -> Value {
    json!({"task_type": "sample", "data": {"message": message}})
}

/// A task that fails for good.
fn fails() -> Value {
    json!({"task_type": "sample", "data": {"fail": "permanent"}})
}

/// A step of that name that waits for these.
fn step(name: &str, depends_on: &[&str], mut task: Value) -> Value {
    task["name"] = json!(name);
    if !depends_on.is_empty() {
        task["depends_on"] = json!(depends_on);
    }
    task
}

/// The same with the results of the steps before it.
fn taking(mut task: Value) -> Value {
    task["input_from"] = json!("previous");
    task
}

async fn submit(user: &Actor, path: &str, body: Value) -> String {
    let answer = user.post(path, body).await.expect(200).json();
    answer["data"]["workflow_id"].as_str().expect("an id").to_owned()
}

async fn workflow(user: &Actor, id: &str) -> Value {
    user.get(&format!("/tasks/workflows/{id}")).await.expect(200).json()["data"].take()
}

/// The workflow's state, and those of its steps in their order.
async fn states(user: &Actor, id: &str) -> (String, Vec<String>) {
    let workflow = workflow(user, id).await;
    let text = |value: &Value| value["status"].as_str().expect("a state").to_owned();
    (text(&workflow), workflow["steps"].as_array().expect("steps").iter().map(text).collect())
}

/// The result of the step of that number.
async fn result(user: &Actor, id: &str, number: usize) -> Value {
    let task = workflow(user, id).await["steps"][number]["task_id"].as_str().expect("a task").to_owned();
    user.task(&task).await["result"].take()
}
