use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use halyard_domain::{Clock as _, SystemClock};
use halyard_tests::{
    Actor, Cluster,
    cluster::{Node, Role},
    transport::Remote,
    wait,
};

use serde_json::json;

use super::{A_BEAT, submit_lasting, until_ended, until_leases_expire, until_running, worker_of};

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
async fn a_long_task_of_a_killed_worker_goes_on_elsewhere_from_its_checkpoint() {
    let cluster = Cluster::builder().lease_seconds(3).prepare().await;
    let api = cluster.start(Role::Api, "api-1");
    let user = cluster.admin(&api).await;
    let mut worker = cluster.start(Role::Worker, "worker-1");
    let rows: Vec<_> = (0..50).map(|n| json!({"x": n, "y": 3 * n + 1})).collect();
    let data = json!({"model_type": "linear_regression", "dataset": rows, "hyperparameters": {"epochs": 100_000}});
    let id = user.submit(json!({"task_type": "machine_learning_training", "data": data, "timeout": 3_600})).await;
    let saved = "select count(*) from tasks where checkpoint is not null";
    wait::until("a checkpoint", Duration::from_mins(1), async || (cluster.count(saved).await == 1).then_some(())).await;
    worker.kill();
    until_leases_expire(&cluster, 1).await;
    let _second = cluster.start(Role::Worker, "worker-2");
    let _beat = cluster.start(Role::Beat, "beat-1");
    let path = format!("/tasks/logs/{id}");
    wait::until("the second attempt to go on", Duration::from_secs(100), async || {
        user.get(&path).await.text().contains("goes on after epoch").then_some(())
    })
    .await;
    let task = user.task(&id).await;
    assert_eq!(worker_of(&task), "worker-2", "{task}");
    user.post(&format!("/tasks/cancel/{id}"), json!({"force": true})).await.expect(200);
    assert_eq!(until_ended(&user, &id).await["status"], "cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_beat_killed_in_the_middle_of_a_schedule_leaves_the_run_to_the_next_which_makes_it_once() {
    let cluster = Cluster::prepare().await;
    let api = cluster.start(Role::Api, "api-1");
    let user = cluster.admin(&api).await;
    let when = json!({"type": "once", "at": SystemClock.now() + chrono::Duration::seconds(30)});
    let body = json!({"task_type": "sample", "data": {}, "schedule": when});
    user.post("/tasks/schedule", body).await.expect(200);
    let mut holder = cluster.connect().await;
    // The run is decided about, and cannot be written.
    sqlx::raw_sql("begin; lock table schedule_runs in exclusive mode").execute(&mut holder).await.expect("a lock");
    let mut beat = cluster.spawn(Role::Beat, "beat-1");
    let waits = "select count(*) from pg_stat_activity
                 where wait_event_type = 'Lock' and datname = current_database() and query like '%schedule_runs%'";
    wait::until("the beat to wait", A_BEAT, async || (cluster.count(waits).await == 1).then_some(())).await;
    beat.kill();
    sqlx::raw_sql("rollback").execute(&mut holder).await.expect("no lock");
    let _second = cluster.start(Role::Beat, "beat-2");
    let runs = "select count(*) from schedule_runs";
    wait::until("the run", A_BEAT, async || (cluster.count(runs).await == 1).then_some(())).await;
    assert_eq!(cluster.count("select count(*) from tasks").await, 1);
    assert_eq!(cluster.count("select count(*) from schedules where next_at is not null").await, 0);
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
