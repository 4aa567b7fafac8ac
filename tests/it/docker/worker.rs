use std::time::Duration;

use halyard_tests::wait;

use super::stack::{Stack, WORKERS, completed_once, submit};

/// The worker that runs the most, once it runs several tasks.
async fn busiest(stack: &Stack) -> String {
    let busiest =
        "select worker_id from tasks where state = 'running' group by 1 having count(*) >= 5 order by count(*) desc";
    wait::until("a worker to be busy", Duration::from_mins(1), async || {
        stack.sql("halyard", busiest).into_iter().next()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_of_a_killed_worker_are_finished_by_the_other() {
    let stack = Stack::find().await;
    let target = stack.target();
    let user = target.new_user("killed-worker").await;
    let ids = submit(&user, 30, 8000).await;
    let killed = busiest(&stack).await;
    let other = WORKERS.into_iter().find(|worker| *worker != killed).expect("there are two");
    // It stays away: whatever it had, the other one does.
    stack.kill(&killed);
    let attempts = completed_once(&target, &user, &ids).await;
    let by = format!("select distinct worker_id from tasks where attempt > 1 and user_id = {}", user.user_id);
    let by = stack.sql("halyard", &by);
    stack.start(&killed).await;
    assert!(attempts.iter().any(|&attempt| attempt > 1), "it was running some: {attempts:?}");
    assert_eq!(by, [other]);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_both_workers_killed_tasks_wait_and_are_finished_when_they_are_back() {
    let stack = Stack::find().await;
    let target = stack.target();
    let user = target.new_user("killed-workers").await;
    let ids = submit(&user, 30, 8000).await;
    busiest(&stack).await;
    for worker in WORKERS {
        stack.crash(worker).await;
    }
    let attempts = completed_once(&target, &user, &ids).await;
    assert!(attempts.iter().any(|&attempt| attempt > 1), "they were running some: {attempts:?}");
}
