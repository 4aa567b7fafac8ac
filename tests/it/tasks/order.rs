use chrono::Duration;
use halyard_tests::{Actor, TestApp};
use serde_json::json;

/// Holds the lanes while tasks are submitted, lets them go, and gives the order in which the tasks began.
async fn order(app: &TestApp, ids: &[String]) -> Vec<usize> {
    app.drain().await;
    let mut begun = Vec::new();
    for (n, id) in ids.iter().enumerate() {
        begun.push((app.first_run_of(id).await, n));
    }
    begun.sort_unstable();
    begun.into_iter().map(|(_, n)| n).collect()
}

async fn submit(user: &Actor, priority: i64) -> String {
    user.submit(json!({"task_type": "sample", "data": {}, "priority": priority})).await
}

#[tokio::test]
async fn of_tasks_that_wait_together_the_most_urgent_of_the_lane_goes_first() {
    let app = TestApp::builder().one_at_a_time().spawn().await;
    let user = app.user().await;
    let ids = [submit(&user, 7).await, submit(&user, 4).await, submit(&user, 6).await, submit(&user, 5).await];
    assert_eq!(order(&app, &ids).await, [1, 3, 2, 0]);
}

#[tokio::test]
async fn a_task_that_waited_long_overtakes_a_more_urgent_one_that_came_late() {
    let app = TestApp::builder().one_at_a_time().spawn().await;
    let user = app.user().await;
    // One step of priority is worth 30 s: 7 against 4 is 90 s.
    let patient = submit(&user, 7).await;
    app.advance(Duration::seconds(60));
    let early = submit(&user, 4).await;
    app.advance(Duration::seconds(31));
    let late = submit(&user, 4).await;
    assert_eq!(order(&app, &[patient, early, late]).await, [1, 0, 2]);
}
