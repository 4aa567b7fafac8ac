//! Lanes that are full, over the gateway's queues and as many workers as the template gives each lane.

use std::time::Duration;

use halyard_tests::{Actor, TestApp, wait};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(90);
/// `MaximumConcurrency` times `*_SIDE_BY_SIDE` of the template: what runs at once of a lane that has so much waiting that ten
/// doorbells, an invocation's, ring for as many as it can run.
const LOW: i64 = 3 * 25;
const DEFAULT: i64 = 6 * 25;

fn lasting(milliseconds: u32, priority: u8) -> Value {
    json!({"task_type": "sample", "data": {"duration_ms": milliseconds}, "priority": priority})
}

async fn flood(user: &Actor, task: &Value, count: usize) {
    user.post("/tasks/batch", json!({"tasks": vec![task; count]})).await.expect(200);
}

async fn running(app: &TestApp, lane: &'static str) -> i64 {
    app.count_of("select count(*) from tasks where state = 'running' and lane = $1", lane).await
}

async fn until_full(app: &TestApp, lane: &'static str, slots: i64) {
    wait::until(format!("the lane {lane} to be full"), LIMIT, async || {
        (running(app, lane).await == slots).then_some(())
    })
    .await;
}

async fn until_completed(app: &TestApp, user: &Actor, ids: &[String]) {
    for id in ids {
        app.until_state(user, id, "completed", LIMIT).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_is_full_of_tasks_that_do_not_end_keeps_nothing_of_another_lane() {
    let app = TestApp::builder().live().without_rate_limits().spawn().await;
    let flooder = app.user_named("flooder").await;
    flood(&flooder, &lasting(600_000, 9), 300).await;
    until_full(&app, "low", LOW).await;
    // Each lane beside it has all of its own slots, for whomever.
    flood(&flooder, &lasting(600_000, 5), 500).await;
    until_full(&app, "default", DEFAULT).await;
    let mut urgent = Vec::new();
    for user in [&app.user_named("other").await, &flooder] {
        for _ in 0..8 {
            urgent.push((user.clone(), user.submit(lasting(20, 1)).await));
        }
    }
    for (user, id) in &urgent {
        until_completed(&app, user, std::slice::from_ref(id)).await;
    }
    assert_eq!((running(&app, "low").await, running(&app, "default").await), (LOW, DEFAULT), "they run still");
    let waiting = "select count(*) from tasks where state = 'queued' and lane = $1";
    assert_eq!(app.count_of(waiting, "low").await, 300 - LOW);
    flooder.post("/tasks/bulk/cancel", json!({"all": true, "force": true})).await.expect(200);
    app.leave_unfinished();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_lane_that_is_full_users_take_turns() {
    let app = TestApp::builder().live().without_rate_limits().spawn().await;
    let admin = app.admin().await;
    admin.post("/tasks/queues/low/pause", json!({})).await.expect(200);
    let flooder = app.user_named("flooder").await;
    flood(&flooder, &lasting(100, 8), 300).await;
    let mut late = Vec::new();
    for name in ["ada", "grace"] {
        let user = app.user_named(name).await;
        // Less urgent, and later.
        let ids = [user.submit(lasting(20, 10)).await, user.submit(lasting(20, 10)).await];
        late.push((user, ids));
    }
    admin.post("/tasks/queues/low/resume", json!({})).await.expect(200);
    for (user, ids) in &late {
        until_completed(&app, user, ids).await;
        for id in ids {
            let before = "select count(distinct e.task_id) from task_events e join tasks t on t.id = e.task_id
                          where e.state = 'running' and t.priority = 8 and e.id < $1";
            let before = app.count_of(before, app.first_run_of(id).await).await;
            assert!(before < 2 * LOW, "{before} of another user's 300 tasks began before it");
        }
    }
    flooder.post("/tasks/bulk/cancel", json!({"all": true, "force": true})).await.expect(200);
    app.leave_unfinished();
}
