//! Real nodes behind NGINX, killed with `kill -9` under load.

use std::time::{Duration, Instant};

use halyard_tests::{
    Actor, Cluster, Nginx,
    cluster::{Node, Role},
    wait,
};
use serde_json::json;

use super::load::Load;

const LIMIT: Duration = Duration::from_secs(20);

async fn three_nodes() -> (Cluster, [Node; 3], Nginx) {
    let cluster = Cluster::builder().variable("TRUSTED_PEERS", "127.0.0.1").prepare().await;
    let mut nodes = ["api-1", "api-2", "api-3"].map(|name| cluster.spawn(Role::Api, name));
    nodes.iter_mut().for_each(Node::until_ready);
    let nginx = Nginx::before(&nodes.each_ref().map(Node::address), &[("LIMITS", "off")]);
    (cluster, nodes, nginx)
}

/// Waits until an answer through NGINX comes from this node; gives the time since this call.
async fn until_used(nginx: &Nginx, node: &Node) -> Duration {
    let (nobody, start) = (nginx.anonymous(), Instant::now());
    wait::until(format!("{} to get requests", node.name()), LIMIT, async || {
        let answer = nobody.get("/health/ping").await.expect(200).json();
        (answer["node_id"].as_str().is_some_and(|id| id.starts_with(node.name()))).then_some(())
    })
    .await;
    start.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_costs_no_idempotent_request_and_gets_requests_again_once_it_is_back() {
    let (_cluster, mut nodes, nginx) = three_nodes().await;
    let admin = nginx.admin().await;
    for node in &nodes {
        until_used(&nginx, node).await;
    }
    let load = Load::of(vec![admin; 4], "/api/protected", "keep-alive");
    load.goes_on(100).await;
    for node in &mut nodes {
        node.kill();
        load.goes_on(100).await;
        let start = Instant::now();
        node.start_again();
        let (ready, used) = (start.elapsed(), until_used(&nginx, node).await);
        println!("{}: answers {ready:.2?} after its start, gets requests {used:.2?} after that", node.name());
        load.goes_on(50).await;
    }
    let (sent, failures) = load.end().await;
    assert_eq!(failures, Vec::<String>::new(), "of {sent}");
    println!("{sent} requests, none failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_all_nodes_killed_clients_are_told_at_once_and_all_is_well_once_one_is_back() {
    let (_cluster, mut nodes, nginx) = three_nodes().await;
    let admin = nginx.admin().await;
    nodes.iter_mut().for_each(Node::kill);
    let start = Instant::now();
    let answers = futures::future::join_all((0..60).map(|_| admin.get("/api/protected"))).await;
    println!("60 answers without a node in {:.2?}", start.elapsed());
    for answer in answers {
        // Until the filter's answer is forgotten it may be the request itself that finds nobody.
        assert!(!answer.expect_problem(503, "unavailable").header("retry-after").is_empty());
    }
    nodes[1].start_again();
    let start = Instant::now();
    wait::until("the node to be used", LIMIT, async || (admin.get("/api/protected").await.code() == 200).then_some(()))
        .await;
    println!("well again {:.2?} after a node was", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_task_is_submitted_twice_when_nodes_are_killed_meanwhile() {
    let (cluster, mut nodes, nginx) = three_nodes().await;
    let admin = nginx.admin().await;
    let submit = async |who: Actor| {
        let body = json!({"task_type": "sample", "data": {}});
        let (mut accepted, mut refused) = (0, 0);
        for _ in 0..40 {
            match who.post("/tasks/submit", body.clone()).await.code() {
                200 => accepted += 1,
                503 => refused += 1,
                code => panic!("an answer {code}"),
            }
        }
        (accepted, refused)
    };
    let submits = tokio::spawn(futures::future::join_all([(); 4].map(|()| submit(admin.clone()))));
    for node in &mut nodes {
        wait::until("tasks to be accepted", LIMIT, async || {
            (cluster.count("SELECT count(*) FROM tasks").await > 0).then_some(())
        })
        .await;
        node.kill();
        node.start_again();
    }
    let counted = submits.await.expect("they end");
    let accepted: i64 = counted.iter().map(|(a, _)| a).sum();
    let refused: i64 = counted.iter().map(|(_, r)| r).sum();
    let rows = cluster.count("SELECT count(*) FROM tasks").await;
    println!("{accepted} accepted, {refused} refused, {rows} in the database");
    // What was refused may have been written before the node died; nothing was written twice, and nothing was lost.
    assert!((accepted..=accepted + refused).contains(&rows), "{accepted} accepted, {refused} refused, {rows} rows");
}
