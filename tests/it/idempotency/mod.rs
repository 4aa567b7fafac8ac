//! `Idempotency-Key`: a request that is sent again is carried out once.

mod answers;
mod declared;
mod interrupted;
mod races;

use halyard_tests::{Actor, TestResponse};
use http::Method;
use serde_json::{Value, json};

/// Submits a task under this key.
async fn submit(actor: &Actor, key: &str, data: Value) -> TestResponse {
    post(actor, "/tasks/submit", key, json!({"task_type": "sample", "data": data})).await
}

async fn post(actor: &Actor, path: &str, key: &str, body: Value) -> TestResponse {
    actor.request(Method::POST, path).header("idempotency-key", key).json(&body).send().await
}

fn id_of(answer: &TestResponse) -> String {
    answer.json()["task_id"].as_str().expect("a task id").to_owned()
}

/// Whether an answer was given before.
fn replayed(answer: &TestResponse) -> bool {
    answer.header("idempotency-replayed") == "true"
}
