//! A worker that vanishes is a claim that nobody renews or finishes: the store's own functions play it.

use std::time::Duration;

use halyard_domain::{Lane, TaskId, task::TaskState};
use halyard_store::tasks::{self, Claim, Claimed, Ending, Finish, Renewal};
use halyard_tests::TestApp;
use serde_json::json;

const LEASE: Duration = Duration::from_secs(15);

async fn claim_and_vanish(app: &TestApp, lane: Lane) -> Claimed {
    let mut connection = app.connect().await;
    let claim = Claim {
        lane,
        limit: 1,
        worker_id: "doomed",
        worker_host: "doomed-host",
        lease: LEASE,
        look: tasks::Look::Quick,
        fronts: &[],
    };
    let claimed = tasks::claim(&mut connection, &claim, Some(app.now())).await.expect("a claim");
    claimed.into_iter().next().expect("a task to claim")
}

fn completed(id: TaskId, fence: i64) -> Finish {
    let ending = Ending::Finished { state: TaskState::Completed, result: None, error: None };
    Finish {
        id,
        fence,
        ending,
        failed: false,
        lease_lost: false,
        message: "a stale attempt ends".to_owned(),
        progress: None,
        checkpoint: None,
    }
}

#[tokio::test]
async fn a_task_whose_worker_vanished_runs_again_once_its_lease_is_over() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "sample", "data": {}})).await;
    claim_and_vanish(&app, Lane::Default).await;
    assert_eq!(user.state_of(&id).await, "running");
    app.beat().await;
    app.drain_eligible().await;
    assert_eq!(user.state_of(&id).await, "running", "the lease still holds");
    app.advance(chrono::Duration::seconds(16));
    app.beat().await;
    app.drain().await;
    let task = user.task(&id).await;
    assert_eq!(task["status"], "completed");
    assert_eq!(task["result"]["attempt"], 2);
    assert_eq!(app.ends_of(&id).await, 1);
}

#[tokio::test]
async fn nothing_that_a_stale_attempt_writes_is_accepted() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "sample", "data": {"message": "right"}})).await;
    let stale = claim_and_vanish(&app, Lane::Default).await;
    app.advance(chrono::Duration::seconds(16));
    app.beat().await;
    let second = claim_and_vanish(&app, Lane::Default).await;
    assert_eq!((second.id, second.attempt), (stale.id, 2));
    assert!(second.fence > stale.fence);

    let mut connection = app.connect().await;
    let now = Some(app.now());
    let renewal = Renewal { id: stale.id, fence: stale.fence, progress: None, checkpoint: None, note: None };
    let renewed = tasks::renew(&mut connection, &[renewal], LEASE, now).await.expect("an answer");
    assert!(renewed.is_empty(), "the stale attempt renewed its lease");
    let ended = tasks::finish(&mut connection, &[completed(stale.id, stale.fence)], now).await.expect("an answer");
    assert!(ended.is_empty(), "the stale attempt ended the task");
    assert_eq!(user.state_of(&id).await, "running");

    let ended = tasks::finish(&mut connection, &[completed(second.id, second.fence)], now).await.expect("an answer");
    assert_eq!(ended.len(), 1, "the attempt that holds the lease ends it");
    let again = tasks::finish(&mut connection, &[completed(second.id, second.fence)], now).await.expect("an answer");
    assert!(again.is_empty(), "a terminal state never changes");
    assert_eq!(app.ends_of(&id).await, 1);
}

#[tokio::test]
async fn a_task_that_loses_its_lease_time_and_again_ends_dead() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "sample", "data": {}})).await;
    for _ in 0..halyard_domain::task::MAX_LOST_LEASES {
        claim_and_vanish(&app, Lane::Default).await;
        app.advance(chrono::Duration::seconds(16));
        app.beat().await;
        // Later each time, a minute at most.
        app.advance(chrono::Duration::minutes(1));
    }
    app.drain().await;
    assert_eq!(user.state_of(&id).await, "dead");
    assert_eq!(app.ends_of(&id).await, 1);
}

#[tokio::test]
async fn a_cancelled_task_whose_worker_vanished_ends_cancelled_and_does_not_run_again() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "sample", "data": {}})).await;
    claim_and_vanish(&app, Lane::Default).await;
    user.post(&format!("/tasks/cancel/{id}"), json!({"reason": "no longer needed"})).await.expect(200);
    app.advance(chrono::Duration::seconds(16));
    app.beat().await;
    app.drain().await;
    let task = user.task(&id).await;
    assert_eq!(task["status"], "cancelled");
    assert_eq!(task["error"], json!({"code": "cancelled", "message": "no longer needed"}));
    assert_eq!(app.runs_of(&id).await, 1);
}

#[tokio::test]
async fn a_lease_is_renewed_while_the_task_runs_and_brings_its_progress() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let data = json!({"duration_ms": 2500, "steps": 50});
    let id = user.submit(json!({"task_type": "sample", "data": data})).await;
    let path = format!("/tasks/status/{id}");
    let (seen, ()) = tokio::join!(
        halyard_tests::wait::until("progress of a running task", Duration::from_secs(15), async || {
            let task = user.get(&path).await.expect(200).json()["data"].take();
            let percentage = task["progress"]["percentage"].as_f64().unwrap_or_default();
            (task["status"] == "running" && percentage > 0.0).then_some(percentage)
        }),
        app.drain(),
    );
    assert!(seen < 100.0, "seen on the way: {seen}");
    assert_eq!(user.state_of(&id).await, "completed");
}

#[tokio::test]
async fn two_beats_at_once_do_each_thing_once() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(user.submit(json!({"task_type": "sample", "data": {}})).await);
    }
    let lost = claim_and_vanish(&app, Lane::Default).await;
    app.forget_queues().await;
    app.advance(chrono::Duration::minutes(3));
    tokio::join!(app.beat(), app.beat(), app.beat());
    let reaped = app.count_of("select count(*) from task_events where task_id = $1 and state = 'retrying'", lost.id.0);
    assert_eq!(reaped.await, 1, "one of them reaped the lost lease");
    app.drain().await;
    for id in &ids {
        assert_eq!(user.state_of(id).await, "completed");
        assert_eq!(app.ends_of(id).await, 1);
    }
    let counted: i64 = app.count("select coalesce(sum(submitted), 0)::bigint from stat_totals where user_id = 0").await
        + app.count("select coalesce(sum(submitted), 0)::bigint from stat_deltas").await;
    assert_eq!(counted, 6, "every submit is counted once");
}
