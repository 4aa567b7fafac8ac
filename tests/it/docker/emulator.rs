//! MiniStack writes its state when it is stopped, and only then.

use std::time::Duration;

use halyard_tests::wait;
use serde_json::json;

use super::stack::{PATIENCE, REPAIR, Stack, completed_once, submit};

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_emulator_keeps_sessions_queues_tables_and_results() {
    let stack = Stack::find().await;
    let target = stack.target();
    let user = target.new_user("stopped-emulator").await;
    // `sample` answers it twice: more than a row holds.
    let stored = user.submit(json!({"task_type": "sample", "data": {"message": "x".repeat(2_700_000)}})).await;
    assert_eq!(target.finished(&user, &stored).await["status"], "completed");
    stack.stop("ministack");
    stack.start("ministack").await;
    // Not from a cache: whoever asks now asks the table.
    let flush = "REDISCLI_AUTH=$(cat /run/secrets/redis_password) redis-cli flushall";
    let flushed = stack.exec("redis", &["sh", "-c", flush]);
    assert_eq!(String::from_utf8_lossy(&flushed.stdout).trim(), "OK", "{flushed:?}");
    wait::until("the session to be good", PATIENCE, async || {
        (user.get("/auth/validate").await.code() == 200).then_some(())
    })
    .await;
    let answer = user.get(&format!("/tasks/result/{stored}")).await.expect(303);
    assert!(target.follow(answer.header("location")).await.expect(200).body.len() > 5_400_000);
    let ids = submit(&user, 3, 0).await;
    completed_once(&target, &user, &ids).await;
    stack.until_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_emulator_comes_back_empty_which_costs_sessions_and_no_task() {
    let stack = Stack::find().await;
    let target = stack.target();
    let mut user = target.new_user("killed-emulator").await;
    let ids = submit(&user, 30, 2000).await;
    let old = user.clone();
    stack.crash("ministack").await;
    stack.until_healthy("ministack").await;
    // What it does not know any more is refused, not believed.
    wait::until("the session to be refused", PATIENCE, async || {
        (old.get("/auth/validate").await.code() == 401).then_some(())
    })
    .await;
    let answer = wait::until("somebody to sign in", PATIENCE, async || {
        let answer = old.try_login().await;
        (answer.code() == 200).then_some(answer)
    })
    .await;
    user.signed_in(&answer);
    // The gateway keeps an authorizer's answer for five seconds.
    wait::until("the new session to be good", Duration::from_secs(30), async || {
        (user.get("/api/protected").await.code() == 200).then_some(())
    })
    .await;
    // Its queues and tables were made again: what rang for nobody is rung for, and new work is heard.
    completed_once(&target, &user, &ids).await;
    let id = user.submit(json!({"task_type": "sample", "data": {}})).await;
    assert_eq!(target.finished_within(&user, &id, REPAIR).await["status"], "completed");
    stack.until_well().await;
}
