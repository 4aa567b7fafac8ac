//! Started while a server is away: a node is there, says 503 for what it cannot do, and does it once the server is back.

use std::{sync::Arc, time::Duration};

use halyard_tests::{
    Actor, Cluster, PrivatePostgres, PrivateRedis, cluster::Role, process::free_port, transport::Remote, wait,
};

use super::{submit_lasting, until_ended};

#[tokio::test(flavor = "multi_thread")]
async fn without_postgresql_nodes_start_and_work_once_it_is_back() {
    let mut postgres = PrivatePostgres::start().await;
    let cluster = Cluster::builder().database_url(&postgres.url()).prepare().await;
    postgres.stop();
    let mut nodes = [
        cluster.spawn(Role::Api, "api-1"),
        cluster.spawn(Role::Worker, "worker-1"),
        cluster.spawn(Role::Beat, "beat-1"),
    ];
    for node in &mut nodes {
        node.until_ready();
    }
    let mut admin = Actor::anonymous(Arc::new(Remote::new(&nodes[0].base_url())));
    (admin.username, admin.password) = ("admin".to_owned(), "admin123".to_owned());
    admin.get("/health/status").await.expect(503);
    assert!(!admin.try_login().await.expect(503).header("retry-after").is_empty());
    postgres.start_again().await;
    wait::until("a login", Duration::from_secs(30), async || {
        let answer = admin.try_login().await;
        (answer.code() == 200).then(|| admin.clone().signed_in(&answer))
    })
    .await;
    admin.sign_in().await;
    let id = submit_lasting(&admin, 10).await;
    assert_eq!(until_ended(&admin, &id).await["status"], "completed");
    assert!(nodes.iter_mut().all(halyard_tests::cluster::Node::is_running));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_nodes_start_and_answer() {
    let mut redis = PrivateRedis::start();
    let cluster = Cluster::builder().variable("REDIS_URL", &redis.url()).prepare().await;
    redis.stop();
    let api = cluster.start(Role::Api, "api-1");
    let _worker = cluster.start(Role::Worker, "worker-1");
    let admin = cluster.admin(&api).await;
    let id = submit_lasting(&admin, 10).await;
    assert_eq!(until_ended(&admin, &id).await["status"], "completed");
    assert_eq!(admin.get("/health/status").await.expect(200).json()["status"], "degraded");
    redis.start_again();
    wait::until("Redis to be found again", Duration::from_secs(30), async || {
        (admin.get("/health/status").await.expect(200).json()["status"] == "healthy").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_aws_endpoint_nodes_start_and_refuse_what_needs_it() {
    let cluster = Cluster::prepare().await;
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    let away = [("AWS_ENDPOINT_URL", nowhere.as_str())];
    let mut nodes = [(Role::Api, "api-1"), (Role::Worker, "worker-1")]
        .map(|(role, name)| cluster.spawn_with(role, name, &[], &away));
    for node in &mut nodes {
        node.until_ready();
    }
    let mut admin = Actor::anonymous(Arc::new(Remote::new(&nodes[0].base_url())));
    (admin.username, admin.password) = ("admin".to_owned(), "admin123".to_owned());
    // A session could not be kept.
    admin.try_login().await.expect(503);
    assert!(nodes.iter_mut().all(halyard_tests::cluster::Node::is_running));
    // A poll that gets no answer does not hold up the end.
    assert!(nodes.iter_mut().all(|node| node.drain().success()));
}
