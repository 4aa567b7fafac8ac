use chrono::Duration;
use halyard_tests::TestApp;
use serde_json::json;

use super::{body, every, made, shown, told};

#[tokio::test]
async fn what_was_missed_is_left_out_made_up_for_once_or_altogether() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let mut paths = Vec::new();
    for catch_up in ["none", "one", "all"] {
        paths.push(made(&user, body(every(600), json!({"overlap": "allow", "catch_up": catch_up}))).await);
    }
    app.advance(Duration::minutes(35));
    app.beat().await;
    app.drain_with_time().await;
    assert_eq!(told(&user, &paths[0]).await, ["12:30:00 missed x3"]);
    assert_eq!(told(&user, &paths[1]).await, ["12:20:00 missed x2", "12:30:00 fired"]);
    assert_eq!(told(&user, &paths[2]).await, ["12:10:00 fired", "12:20:00 fired", "12:30:00 fired"]);
    for path in paths {
        assert_eq!(shown(&user, &path).await["next_run_at"], "2026-01-01T12:40:00Z", "on its beat again");
    }
}

#[tokio::test]
async fn making_up_for_a_long_absence_takes_several_beats() {
    let app = TestApp::spawn().await;
    let mut user = app.user().await;
    let path = made(&user, body(every(60), json!({"overlap": "allow", "catch_up": "all"}))).await;
    app.advance(Duration::minutes(250));
    user.sign_in().await;
    let mut fired = Vec::new();
    for _ in 0..4 {
        fired.push(app.beat().await["schedules"]["fired"].as_u64().unwrap_or_default());
    }
    assert_eq!(fired, [100, 100, 51, 0], "a hundred in a beat, in their order, until it is on time");
    let runs = "select count(*) from schedule_runs where task_id is not null";
    assert_eq!(app.count(runs).await, 251, "none has ended");
    assert_eq!(shown(&user, &path).await["iterations"], 251);
    app.drain_with_time().await;
    app.advance(Duration::minutes(1));
    app.beat().await;
    assert_eq!(app.count(runs).await, 200, "the latest are kept");
    app.drain_with_time().await;
}

#[tokio::test]
async fn one_that_is_due_once_is_late_rather_than_never() {
    let app = TestApp::spawn().await;
    let mut user = app.user().await;
    let once = json!({"type": "once", "at": "2026-01-01T14:00:00+01:00"});
    let late = made(&user, body(once.clone(), json!({}))).await;
    let never = made(&user, body(once, json!({"catch_up": "none"}))).await;
    app.advance(Duration::hours(30));
    app.beat().await;
    app.drain().await;
    user.sign_in().await;
    assert_eq!(told(&user, &late).await, ["13:00:00 fired"]);
    assert_eq!(told(&user, &never).await, ["13:00:00 missed"]);
    for path in [late, never] {
        assert_eq!(shown(&user, &path).await["status"], "completed");
    }
}
