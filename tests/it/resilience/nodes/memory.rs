use std::{fs, process::Command, time::Duration};

use halyard_domain::task::MAX_LOST_LEASES;
use halyard_tests::{
    Cluster,
    cluster::{Node, Role},
    wait,
};
use serde_json::json;

use super::{submit_lasting, until_ended, until_leases_expire};

/// What the worker may take beyond what it has when it is ready, in bytes: enough for its work, not for that of the hungry task.
const MORE: u64 = 64 << 20;

/// How often the worker crashes: between the first time and the last the task is made one that has lost as many leases as may be
/// lost, because the pauses between its attempts take minutes.
const CRASHES: i16 = 2;

/// The kernel gives the process no more than that: an allocation that does not fit ends it on the spot.
fn limit(worker: &Node) {
    let status = fs::read_to_string(format!("/proc/{}/status", worker.pid())).expect("the process");
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let kib: u64 = size.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok()).expect("its size");
    let (pid, most) = (worker.pid().to_string(), format!("--as={}", kib * 1024 + MORE));
    assert!(Command::new("prlimit").args(["--pid", &pid, &most]).status().expect("prlimit runs").success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_takes_all_memory_is_given_up_and_those_beside_it_are_completed() {
    // Address space is what can be limited from outside: none may be reserved far ahead of its use, in KiB.
    let cluster = Cluster::builder().lease_seconds(3).variable("MIMALLOC_ARENA_RESERVE", "32768").prepare().await;
    let api = cluster.start(Role::Api, "api-1");
    let user = cluster.admin(&api).await;
    user.post("/tasks/queues/default/pause", json!({})).await.expect(200);
    // Hundreds of megabytes as rows.
    let csv = format!("a,b,c,d,e,f,g,h\n{}", "1,2,3,4,5,6,7,8\n".repeat(300_000));
    let hungry = user.submit(json!({"task_type": "data_transformation", "data": {"data": csv}})).await;
    let beside = futures::future::join_all((0..4).map(|_| submit_lasting(&user, 1_000))).await;
    let mut worker = cluster.start(Role::Worker, "worker-1");
    limit(&worker);
    user.post("/tasks/queues/default/resume", json!({})).await.expect(200);
    let mut beat = None::<Node>;
    for crash in 1..=CRASHES {
        let what = format!("crash {crash} of the worker");
        wait::until_blocking(what, Duration::from_mins(2), || (!worker.is_running()).then_some(()));
        let running = cluster.count("select count(*) from tasks where state = 'running'").await;
        assert!(running > 0, "nobody could say that it ended");
        until_leases_expire(&cluster, running).await;
        // Ready before anybody may run again what it ran.
        worker.start_again();
        limit(&worker);
        // It fires when it starts.
        match &mut beat {
            None => beat = Some(cluster.start(Role::Beat, "beat-1")),
            Some(beat) => {
                beat.kill();
                beat.start_again();
            }
        }
        wait::until("the leases to be released", Duration::from_mins(1), async || {
            let lost = "select count(*) from tasks where state = 'running' and lease_until < now()";
            (cluster.count(lost).await == 0).then_some(())
        })
        .await;
        if crash + 1 == CRASHES {
            let sql = "update tasks set lost_leases = $1 where task_type = 'data_transformation'";
            let done = sqlx::query(sql).bind(MAX_LOST_LEASES - 1).execute(&mut cluster.connect().await).await;
            assert_eq!(done.expect("an update").rows_affected(), 1);
        }
    }
    let task = until_ended(&user, &hungry).await;
    assert_eq!((task["status"].as_str(), task["execution"]["attempt"].as_i64()), (Some("dead"), Some(2)), "{task}");
    let error = task["error"].to_string();
    assert!(error.contains("worker worker-1") && error.contains("vanished during attempt 2"), "{error}");
    for id in &beside {
        let task = until_ended(&user, id).await;
        assert_eq!(task["status"], "completed", "{task}");
        let ends = task["history"].as_array().expect("history").iter().filter(|entry| entry["status"] == "completed");
        assert_eq!(ends.count(), 1, "{task}");
    }
    assert!(worker.is_running(), "what is given up kills nobody any more");
}
