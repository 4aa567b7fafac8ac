//! Nodes of a cluster as real processes: killed, drained, refused, asked who they are.

mod cancelled;
mod drained;
mod killed;
mod memory;
mod prepared;
mod refused;
mod visible;
mod without_servers;

use std::time::Duration;

use halyard_tests::{Actor, Cluster, wait};
use serde_json::{Value, json};

/// A beat comes within a minute, whatever else is slow.
const A_BEAT: Duration = Duration::from_secs(100);

/// A task of so many milliseconds, in steps that each look whether to stop.
async fn submit_lasting(user: &Actor, milliseconds: u32) -> String {
    let data = json!({"duration_ms": milliseconds, "steps": 10});
    user.submit(json!({"task_type": "sample", "data": data, "timeout": 120})).await
}

async fn until_running(user: &Actor, id: &str) -> Value {
    wait::until(format!("task {id} to run"), Duration::from_secs(30), async || {
        Some(user.task(id).await).filter(|task| task["status"] == "running")
    })
    .await
}

async fn until_ended(user: &Actor, id: &str) -> Value {
    wait::until(format!("task {id} to end"), A_BEAT, async || {
        let task = user.task(id).await;
        let waits = ["queued", "scheduled", "running", "retrying"];
        (!waits.contains(&task["status"].as_str().unwrap_or_default())).then_some(task)
    })
    .await
}

/// Waits until nobody has spoken for so long on behalf of a running task that it may be taken from its worker.
async fn until_leases_expire(cluster: &Cluster, tasks: i64) {
    let lost = "select count(*) from tasks where state = 'running' and lease_until < now()";
    wait::until("leases to expire", Duration::from_secs(30), async || {
        (cluster.count(lost).await == tasks).then_some(())
    })
    .await;
}

fn worker_of(task: &Value) -> &str {
    task["execution"]["worker_id"].as_str().unwrap_or_default()
}
