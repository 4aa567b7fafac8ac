use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use halyard_tests::{
    Actor, Cluster,
    cluster::{Node, Role},
    transport::Remote,
    wait,
};

use super::{submit_lasting, until_ended, until_leases_expire, until_running, worker_of};

const ENDS: &str = "select count(*) from task_events where state = 'completed'";

/// A worker killed while it runs these tasks, whose leases have expired.
async fn killed_worker(cluster: &Cluster, user: &Actor, tasks: usize) -> (Node, Vec<String>) {
    let mut worker = cluster.start(Role::Worker, "worker-1");
    let ids = join_all((0..tasks).map(|_| submit_lasting(user, 4_000))).await;
    for id in &ids {
        assert_eq!(worker_of(&until_running(user, id).await), "worker-1");
    }
    worker.kill();
    until_leases_expire(cluster, i64::try_from(tasks).expect("few")).await;
    (worker, ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_task_of_a_killed_worker_is_completed_by_another() {
    let cluster = Cluster::builder().lease_seconds(3).prepare().await;
    let api = cluster.start(Role::Api, "api-1");
    let user = cluster.admin(&api).await;
    let (_killed, ids) = killed_worker(&cluster, &user, 1).await;
    assert_eq!(user.state_of(&ids[0]).await, "running", "nobody has said otherwise yet");
    let _second = cluster.start(Role::Worker, "worker-2");
    let _beat = cluster.start(Role::Beat, "beat-1");
    let task = until_ended(&user, &ids[0]).await;
    assert_eq!((task["status"].as_str(), worker_of(&task)), (Some("completed"), "worker-2"), "{task}");
    assert_eq!(task["result"]["attempt"], 2, "{task}");
    assert_eq!(cluster.count(ENDS).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_beats_the_other_goes_on_when_one_is_killed() {
    let cluster = Cluster::builder().lease_seconds(3).prepare().await;
    let api = cluster.start(Role::Api, "api-1");
    let user = cluster.admin(&api).await;
    let mut beats = [cluster.start(Role::Beat, "beat-1"), cluster.start(Role::Beat, "beat-2")];
    let beaten = "select count(*) from nodes where role = 'beat'";
    wait::until("both to have fired", Duration::from_secs(30), async || {
        (cluster.count(beaten).await == 2).then_some(())
    })
    .await;
    let (_killed, ids) = killed_worker(&cluster, &user, 1).await;
    beats[0].kill();
    let _second = cluster.start(Role::Worker, "worker-2");
    let task = until_ended(&user, &ids[0]).await;
    assert_eq!((task["status"].as_str(), worker_of(&task)), (Some("completed"), "worker-2"), "{task}");
    assert!(beats[1].is_running());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_beat_nothing_is_lost_and_one_that_starts_again_takes_it_up() {
    let cluster = Cluster::builder().lease_seconds(3).prepare().await;
    let api = cluster.start(Role::Api, "api-1");
    let user = cluster.admin(&api).await;
    let mut beats = [cluster.start(Role::Beat, "beat-1"), cluster.start(Role::Beat, "beat-2")];
    for beat in &mut beats {
        beat.kill();
    }
    let (mut worker, ids) = killed_worker(&cluster, &user, 2).await;
    worker.start_again();
    // New work does not need a beat; what the killed worker had does.
    let new = submit_lasting(&user, 1).await;
    assert_eq!(until_ended(&user, &new).await["status"], "completed");
    for id in &ids {
        assert_eq!(user.state_of(id).await, "running");
    }
    beats[1].start_again();
    for id in &ids {
        let task = until_ended(&user, id).await;
        assert_eq!(
            (task["status"].as_str(), task["result"]["attempt"].as_i64()),
            (Some("completed"), Some(2)),
            "{task}"
        );
    }
    assert_eq!(cluster.count(ENDS).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_beats_at_once_have_the_effect_of_one() {
    let cluster = Cluster::builder().lease_seconds(3).prepare().await;
    let api = cluster.start(Role::Api, "api-1");
    let user = cluster.admin(&api).await;
    let (mut worker, ids) = killed_worker(&cluster, &user, 10).await;
    let mut beats = [cluster.spawn(Role::Beat, "beat-1"), cluster.spawn(Role::Beat, "beat-2")];
    for beat in &mut beats {
        beat.until_ready();
    }
    worker.start_again();
    for id in &ids {
        let task = until_ended(&user, id).await;
        assert_eq!(
            (task["status"].as_str(), task["result"]["attempt"].as_i64()),
            (Some("completed"), Some(2)),
            "{task}"
        );
    }
    assert_eq!(cluster.count(ENDS).await, 10);
    let retried = "select count(*) from task_events where state = 'retrying'";
    assert!(cluster.count(retried).await <= 10, "no lost lease is counted twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_api_nodes_go_on_when_one_is_killed_and_it_is_as_good_as_new_when_it_is_back() {
    let cluster = Cluster::prepare().await;
    let mut nodes = ["api-1", "api-2", "api-3"].map(|name| cluster.spawn(Role::Api, name));
    for node in &mut nodes {
        node.until_ready();
    }
    let admin = cluster.admin(&nodes[0]).await;
    let (victim, others) = nodes.split_first_mut().expect("three");
    victim.kill();
    let refused = Actor::anonymous(Arc::new(Remote::new(&victim.base_url())));
    assert!(refused.request(http::Method::GET, "/health/ping").try_send().await.is_err());
    for node in others {
        let here = cluster.at(node, &admin);
        for _ in 0..50 {
            here.get("/api/protected").await.expect(200);
        }
        let id = submit_lasting(&here, 1).await;
        assert_eq!(here.state_of(&id).await, "queued");
    }
    victim.start_again();
    // The session was made there before it was killed; it is kept where all of them look.
    cluster.at(victim, &admin).get("/auth/profile").await.expect(200);
    assert_eq!(cluster.count("select count(*) from tasks").await, 2);
}
