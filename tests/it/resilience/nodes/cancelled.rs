use halyard_tests::{Cluster, cluster::Role};
use serde_json::json;

use super::{submit_lasting, until_ended, until_running, worker_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_cancelled_at_one_node_while_another_runs_it() {
    let cluster = Cluster::prepare().await;
    let mut nodes = [
        cluster.spawn(Role::Api, "api-1"),
        cluster.spawn(Role::Api, "api-2"),
        cluster.spawn(Role::Worker, "worker-1"),
        cluster.spawn(Role::Worker, "worker-2"),
    ];
    for node in &mut nodes {
        node.until_ready();
    }
    let here = cluster.admin(&nodes[0]).await;
    let there = cluster.at(&nodes[1], &here);
    // As many as make it likely that both workers have some; each is told by the one that runs it.
    let ids = futures::future::join_all((0..6).map(|_| submit_lasting(&here, 100_000))).await;
    let mut workers = Vec::new();
    for id in &ids {
        workers.push(worker_of(&until_running(&here, id).await).to_owned());
    }
    for id in &ids {
        let body = json!({"reason": "seen from the other node"});
        there.post(&format!("/tasks/cancel/{id}"), body).await.expect(200);
    }
    for (id, worker) in ids.iter().zip(&workers) {
        let task = until_ended(&here, id).await;
        assert_eq!((task["status"].as_str(), worker_of(&task)), (Some("cancelled"), worker.as_str()), "{task}");
        let history = task["history"].as_array().expect("history");
        let entries: Vec<_> = history.iter().filter_map(|entry| entry["message"].as_str()).collect();
        let asked = entries.iter().position(|text| *text == "Cancellation requested: seen from the other node");
        let noticed = entries.iter().position(|text| text.starts_with("Task cancelled; attempt 1 was told at 20"));
        assert!(asked.is_some() && asked < noticed, "why, and when it was noticed: {entries:?}");
        assert_eq!(history.iter().filter(|entry| entry["status"] == "cancelled").count(), 1, "{task}");
    }
}
