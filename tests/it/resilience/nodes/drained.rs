use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use halyard_tests::{
    Actor, Cluster,
    cluster::{Node, Role},
    wait,
};
use nix::sys::signal::Signal;
use serde_json::json;

use super::{submit_lasting, until_ended, until_leases_expire, until_running, worker_of};

/// Callers who go round the nodes as a balancer does: who cannot connect goes on to the next.
struct Flow {
    stop: AtomicBool,
    answered: AtomicU64,
}

impl Flow {
    async fn caller(&self, nodes: Vec<Actor>, first: usize) {
        let mut at = first;
        while !self.stop.load(Ordering::Relaxed) {
            let write = at.is_multiple_of(3);
            let actor = &nodes[at % nodes.len()];
            let sent = if write {
                let body = json!({"task_type": "sample", "data": {}});
                let draft = actor.request(http::Method::POST, "/tasks/submit").json(&body);
                draft.header("connection", "close").try_send().await
            } else {
                actor.request(http::Method::GET, "/api/protected").try_send().await
            };
            at += 1;
            match sent {
                Ok(answer) => {
                    answer.expect(200);
                    self.answered.fetch_add(1, Ordering::Relaxed);
                }
                // Nothing was sent: nothing has failed.
                Err(error) if error.contains("Connect") => {}
                // The node closed an idle connection in the moment in which it was used again (RFC 9112, section 9.6): a client
                // asks once more, where that is harmless. Writes have a connection of their own each time.
                Err(error) if !write && error.contains("IncompleteMessage") => {}
                Err(error) => panic!("a request failed: {error}"),
            }
        }
    }

    async fn answers(&self, more: u64) {
        let until = self.answered.load(Ordering::Relaxed) + more;
        wait::until("requests to be answered", Duration::from_mins(1), async || {
            (self.answered.load(Ordering::Relaxed) >= until).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_nodes_are_restarted_one_after_the_other() {
    let cluster = Cluster::prepare().await;
    let mut nodes = ["api-1", "api-2", "api-3"].map(|name| cluster.start(Role::Api, name));
    let admin = cluster.admin(&nodes[0]).await;
    let flow = Arc::new(Flow { stop: AtomicBool::new(false), answered: AtomicU64::new(0) });
    let callers: Vec<_> = (0..8)
        .map(|first| {
            let actors: Vec<Actor> = nodes.iter().map(|node| cluster.at(node, &admin)).collect();
            let flow = Arc::clone(&flow);
            tokio::spawn(async move { flow.caller(actors, first).await })
        })
        .collect();
    flow.answers(200).await;
    for node in &mut nodes {
        node.signal(Signal::SIGTERM);
        flow.answers(100).await;
        assert!(tokio::task::block_in_place(|| node.until_ended()).success());
        flow.answers(100).await;
        tokio::task::block_in_place(|| node.start_again());
        flow.answers(100).await;
    }
    flow.stop.store(true, Ordering::Relaxed);
    for caller in join_all(callers).await {
        caller.expect("no request failed");
    }
    let tasks = cluster.count("select count(*) from tasks").await;
    assert!(tasks > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_leaves_says_so_and_answers_whoever_waits() {
    let cluster = Cluster::prepare().await;
    let mut node = cluster.spawn_with(Role::Api, "api-1", &["--grace", "3"], &[]);
    node.until_ready();
    let admin = cluster.admin(&node).await;
    // Nobody runs it: its log stays empty, and who follows it waits.
    let id = submit_lasting(&admin, 1).await;
    let mut follower = TcpStream::connect(node.address()).expect("a connection");
    let token = admin.access_token.as_deref().unwrap_or_default();
    write!(follower, "GET /tasks/logs/{id}?follow=true HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n")
        .expect("a request");
    assert_eq!(admin.get("/health/ping").await.expect(200).header("connection"), "");
    node.signal(Signal::SIGTERM);
    wait::until("answers that end their connection", Duration::from_secs(3), async || {
        let answer = admin.get("/health/ping").await.expect(200);
        (answer.header("connection") == "close").then_some(())
    })
    .await;
    wait::until("nobody to be let in", Duration::from_secs(10), async || TcpStream::connect(node.address()).err())
        .await;
    assert!(node.is_running(), "somebody still waits for an answer");
    let _worker = cluster.start(Role::Worker, "worker-1");
    let mut answer = String::new();
    follower.read_to_string(&mut answer).expect("an answer, then the end of the connection");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("step 10 of 10"), "{answer}");
    assert!(node.until_ended().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_a_node_at_once() {
    let cluster = Cluster::prepare().await;
    let mut node = cluster.start(Role::Worker, "worker-1");
    let api = cluster.start(Role::Api, "api-1");
    let admin = cluster.admin(&api).await;
    let id = submit_lasting(&admin, 60_000).await;
    until_running(&admin, &id).await;
    node.signal(Signal::SIGTERM);
    wait::until("the drain to begin", Duration::from_secs(10), async || node.log().contains("draining").then_some(()))
        .await;
    node.signal(Signal::SIGTERM);
    assert_eq!(node.until_ended().code(), Some(1));
    assert!(node.log().contains("stopped at once"));
    assert_eq!(admin.state_of(&id).await, "running", "its lease will tell");
}

async fn worker_with_a_task(cluster: &Cluster, arguments: &[&str], milliseconds: u32) -> (Node, Node, Actor, String) {
    let api = cluster.start(Role::Api, "api-1");
    let admin = cluster.admin(&api).await;
    let mut worker = cluster.spawn_with(Role::Worker, "worker-1", arguments, &[]);
    worker.until_ready();
    let id = submit_lasting(&admin, milliseconds).await;
    until_running(&admin, &id).await;
    (api, worker, admin, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_leaves_finishes_the_task_that_it_is_at_and_takes_no_other() {
    let cluster = Cluster::prepare().await;
    let (_api, mut worker, admin, id) = worker_with_a_task(&cluster, &[], 4_000).await;
    worker.signal(Signal::SIGTERM);
    assert!(worker.until_ended().success());
    let task = admin.task(&id).await;
    assert_eq!((task["status"].as_str(), task["result"]["attempt"].as_i64()), (Some("completed"), Some(1)), "{task}");
    let next = submit_lasting(&admin, 1).await;
    assert_eq!(admin.state_of(&next).await, "queued");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_outlasts_the_drain_is_left_to_its_lease() {
    let cluster = Cluster::builder().lease_seconds(3).prepare().await;
    let (_api, mut worker, admin, id) = worker_with_a_task(&cluster, &["--drain", "3"], 60_000).await;
    assert!(worker.drain().success());
    assert_eq!(admin.state_of(&id).await, "running");
    until_leases_expire(&cluster, 1).await;
    // Shorter now, so that the second attempt ends in the test's time.
    let shorter = sqlx::raw_sql("update tasks set input = '{}'").execute(&mut cluster.connect().await).await;
    shorter.expect("an update");
    let _other = cluster.start(Role::Worker, "worker-2");
    let _beat = cluster.start(Role::Beat, "beat-1");
    let task = until_ended(&admin, &id).await;
    assert_eq!((task["status"].as_str(), worker_of(&task)), (Some("completed"), "worker-2"), "{task}");
}
