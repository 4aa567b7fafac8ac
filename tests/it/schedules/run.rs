use halyard_tests::TestApp;
use serde_json::json;

use super::{body, every, made, shown, told};

#[tokio::test]
async fn a_run_by_hand_is_a_task_at_once_and_leaves_the_times_alone() {
    let app = TestApp::spawn().await;
    let (user, other) = (app.user().await, app.user_named("other").await);
    let path = made(&user, body(every(3_600), json!({"active": false, "data": {"message": "by hand"}}))).await;
    other.post(&format!("{path}/run"), json!({})).await.expect_problem(404, "not_found");
    let answer = user.post(&format!("{path}/run"), json!({})).await.expect(200).json();
    app.drain().await;
    let task = user.task(answer["task_id"].as_str().expect("an id")).await;
    assert_eq!((&task["status"], &task["result"]["message"]), (&json!("completed"), &json!("by hand")));
    let schedule = shown(&user, &path).await;
    assert_eq!((&schedule["status"], &schedule["iterations"]), (&json!("paused"), &json!(0)));
    let run = &schedule["recent_runs"][0];
    assert_eq!((&run["manual"], &run["task_status"]), (&json!(true), &json!("completed")));
    assert_eq!(told(&user, &path).await, ["12:00:00 fired"]);
}

#[tokio::test]
async fn of_two_runs_by_hand_at_the_same_moment_one_is_asked_to_try_again() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let path = made(&user, body(every(3_600), json!({}))).await;
    let run = format!("{path}/run");
    user.post(&run, json!({})).await.expect(200);
    user.post(&run, json!({})).await.expect_problem(409, "contended");
    app.advance(chrono::Duration::milliseconds(1));
    user.post(&run, json!({})).await.expect(200);
    app.drain().await;
    assert_eq!(app.count("select count(*) from tasks").await, 2);
}
