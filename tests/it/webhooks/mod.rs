//! Webhooks, against a receiver on this machine.

mod api;
mod delivery;
mod emission;
mod races;
mod refused;
mod signing;
mod tls;
mod workflows;

use halyard_tests::{Actor, Receiver, TestApp};
use serde_json::{Value, json};

/// A task of which the receiver hears everything.
fn task(receiver: &Receiver, data: &Value) -> Value {
    json!({
        "task_type": "sample",
        "data": data,
        "retry_config": {"max_retries": 0},
        "callbacks": {
            "progress_url": receiver.url("/progress"),
            "completion_url": receiver.url("/completion"),
            "error_url": receiver.url("/error"),
        },
    })
}

/// A task that has ended, and whose webhook has had its first attempt.
async fn finished(app: &TestApp, user: &Actor, receiver: &Receiver) -> String {
    let id = user.submit(task(receiver, &json!({"message": "hello"}))).await;
    app.drain().await;
    id
}

/// Every delivery in the order of events: what it tells, where it stands, attempts begun.
async fn states(app: &TestApp) -> String {
    let sql = "select coalesce(string_agg(event || ' ' || state || ' ' || attempts, ', ' order by event_at, event <> 'progress', id), '')
               from webhook_deliveries";
    app.text(sql).await
}

/// Makes a notifier look at what is due.
async fn notify(app: &TestApp) {
    app.ring("callbacks", r#"{"v":1,"webhooks":"due"}"#).await;
    app.drain().await;
}
