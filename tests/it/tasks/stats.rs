//! Statistics against a count over every task.

use chrono::Duration;
use halyard_domain::{Entropy, Lane, task::TaskState};
use halyard_store::tasks::{self, Claim, Ending, Finish};
use halyard_tests::TestApp;
use serde_json::{Value, json};

use crate::assert_snapshot;

#[tokio::test]
async fn stats_of_nothing_invent_nothing() {
    let app = TestApp::spawn().await;
    assert_snapshot!("nothing", app.user().await.get("/tasks/stats").await.expect(200));
}

#[tokio::test]
async fn stats_after_some_tasks() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    for data in [json!({}), json!({}), json!({"fail": "permanent"})] {
        user.submit(json!({"task_type": "sample", "data": data})).await;
    }
    user.submit(json!({"task_type": "user_specific", "data": {}})).await;
    app.drain().await;
    assert_snapshot!("some", user.get("/tasks/stats").await.expect(200));
}

#[tokio::test]
async fn a_user_sees_own_numbers_and_those_who_may_read_all_see_all() {
    let app = TestApp::spawn().await;
    let (maria, hanna, admin) = (app.user_named("maria").await, app.user_named("hanna").await, app.admin().await);
    for user in [&maria, &maria, &hanna] {
        user.submit(json!({"task_type": "sample", "data": {}})).await;
    }
    app.drain().await;
    let total = async |actor: &halyard_tests::Actor| {
        actor.get("/tasks/stats").await.expect(200).json()["data"]["overview"]["total_tasks"].clone()
    };
    for _ in 0..2 {
        assert_eq!([total(&maria).await, total(&hanna).await, total(&admin).await], [2, 1, 3]);
        app.beat().await;
    }
}

/// Twenty rounds of submits, claims and ends of all kinds by two users, with the clock moving, and beat folding in
/// between: after each round the numbers equal those of a count over the table of tasks.
#[tokio::test]
async fn stats_equal_a_count_over_every_task_whatever_has_been_folded() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let mut users = [app.user_named("maria").await, app.user_named("hanna").await];
    let dice = Entropy::seeded(11);
    let mut connection = app.connect().await;
    for round in 0..20 {
        for _ in 0..3 {
            let user = &mut users[usize::from(dice.unit() < 0.4)];
            user.sign_in().await;
            let task_type = if dice.unit() < 0.7 { "sample" } else { "user_specific" };
            user.submit(json!({"task_type": task_type, "data": {}})).await;
        }
        let claim = Claim {
            lane: Lane::Default,
            limit: 3,
            worker_id: "by-hand",
            worker_host: "here",
            lease: std::time::Duration::from_mins(15),
            look: tasks::Look::Quick,
            fronts: &[],
        };
        let claimed = tasks::claim(&mut connection, &claim, Some(app.now())).await.expect("a claim");
        app.advance(Duration::milliseconds(seconds(dice.unit())));
        let ends: Vec<Finish> = claimed
            .iter()
            .filter(|_| dice.unit() < 0.8)
            .map(|c| {
                let states = [TaskState::Completed, TaskState::Completed, TaskState::Failed, TaskState::Dead];
                let state = states[(dice.bytes::<1>()[0] % 4) as usize];
                let error = (state != TaskState::Completed).then(|| "as the dice fell".to_owned());
                Finish {
                    id: c.id,
                    fence: c.fence,
                    ending: Ending::Finished { state, result: None, error },
                    failed: state == TaskState::Failed,
                    lease_lost: false,
                    message: "ended by hand".to_owned(),
                    progress: None,
                    checkpoint: None,
                }
            })
            .collect();
        tasks::finish(&mut connection, &ends, Some(app.now())).await.expect("an end");
        if dice.unit() < 0.4 {
            app.beat().await;
        }
        // The clock moves by up to an hour: as long as a token lives.
        let actor = &mut users[round % 2];
        actor.sign_in().await;
        let data = actor.get("/tasks/stats").await.expect(200).json()["data"].take();
        compare(&app, &data, actor.user_id).await;
    }
    app.leave_unfinished();
}

#[expect(clippy::cast_possible_truncation, reason = "below an hour")]
fn seconds(unit: f64) -> i64 {
    // From a hundredth of a second to an hour, evenly in the logarithm.
    (10.0 * 360_000_f64.powf(unit)) as i64
}

async fn compare(app: &TestApp, data: &Value, user: i64) {
    let counted = async |states: &str| {
        app.count_of(&format!("select count(*) from tasks where user_id = $1 and state in ({states})"), user).await
    };
    let overview = &data["overview"];
    assert_eq!(overview["total_tasks"], app.count_of("select count(*) from tasks where user_id = $1", user).await);
    assert_eq!(overview["completed_tasks"], counted("'completed'").await);
    assert_eq!(overview["failed_tasks"], counted("'failed'").await);
    assert_eq!(overview["dead_tasks"], counted("'dead'").await);
    assert_eq!(overview["running_tasks"], counted("'running'").await);
    assert_eq!(overview["queued_tasks"], counted("'queued', 'scheduled', 'retrying'").await);

    let durations: Vec<f64> = app
        .numbers(
            "select extract(epoch from ended_at - attempt_at)::float8 from tasks
             where user_id = $1 and state in ('completed', 'failed') order by 1",
            user,
        )
        .await;
    let performance = &data["performance"];
    if durations.is_empty() {
        assert!(performance["avg_execution_time"].is_null() && performance["median_execution_time"].is_null());
        return;
    }
    #[expect(clippy::cast_precision_loss, reason = "few")]
    let mean = durations.iter().sum::<f64>() / durations.len() as f64;
    let average = performance["avg_execution_time"].as_f64().expect("a mean");
    assert!((average - mean).abs() <= 0.002 + mean * 1e-3, "{average} for {mean}");
    // The histogram's stated precision: 4.5 % at a bucket's middle; the rank is the one at ceil(n / 2).
    let median = durations[durations.len().div_ceil(2) - 1];
    let told = performance["median_execution_time"].as_f64().expect("a median");
    assert!((told - median).abs() <= 0.002 + median * 0.046, "{told} for {median}");
}
