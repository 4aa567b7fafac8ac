//! The program itself, killed on the spot.

use std::{sync::Arc, time::Duration};

use halyard_tests::{Actor, HalyardProcess, Scratch, Target, halyard_program, transport::Remote, wait};
use serde_json::{Value, json};

async fn ended(user: &Actor, id: &str) -> Value {
    // The lease of a killed attempt is 15 s, and beat comes once a minute.
    wait::until(format!("task {id} to end"), Duration::from_secs(150), async || {
        let task = user.task(id).await;
        let waits = ["queued", "scheduled", "running", "retrying"];
        (!waits.contains(&task["status"].as_str().unwrap_or_default())).then_some(task)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_accounts_are_there_and_every_accepted_task_ends_once() {
    let (scratch, program) = (Scratch::new("serve"), halyard_program());
    let first = HalyardProcess::start(&program, scratch.path(), &[]);
    let target = Target::at(&first.base_url());
    let user = target.user("survivor").await;
    let done = user.submit(json!({"task_type": "sample", "data": {"message": "before"}})).await;
    assert_eq!(ended(&user, &done).await["status"], "completed");
    // More than the workers take at once: when they are killed some run and some wait.
    let body = json!({"task_type": "sample", "data": {"duration_ms": 3000}});
    let ids = futures::future::join_all((0..40).map(|_| user.submit(body.clone()))).await;
    wait::until("a task to run", Duration::from_secs(30), async || {
        (user.state_of(&ids[0]).await == "running").then_some(())
    })
    .await;
    let (username, password) = (user.username.clone(), user.password.clone());
    first.kill();

    let second = HalyardProcess::start(&program, scratch.path(), &[]);
    let user = Actor::login(Arc::new(Remote::new(&second.base_url())), &username, &password).await;
    assert_eq!(user.task(&done).await["result"]["message"], "before", "results are there");
    let mut attempts = Vec::new();
    for id in &ids {
        let task = ended(&user, id).await;
        assert_eq!(task["status"], "completed", "{task}");
        let history = task["history"].as_array().expect("history");
        let ends = history.iter().filter(|e| e["status"] == "completed").count();
        assert_eq!(ends, 1, "{task}");
        attempts.push(task["result"]["attempt"].as_i64().expect("a number"));
    }
    assert!(attempts.contains(&2), "some were running when it was killed: {attempts:?}");
    second.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_program_leaves_no_process_behind() {
    let (scratch, program) = (Scratch::new("stop"), halyard_program());
    let process = HalyardProcess::start(&program, scratch.path(), &[]);
    let sockets = [scratch.path().join("run/.s.PGSQL.5432"), process.redis_socket()];
    assert!(sockets.iter().all(|s| s.exists()), "{sockets:?}");
    process.stop();
    for socket in &sockets {
        assert!(std::os::unix::net::UnixStream::connect(socket).is_err(), "{} still answers", socket.display());
    }
}
