use chrono::Duration;
use halyard_tests::TestApp;
use http::Method;
use serde_json::{Value, json};

use super::{body, cron, every, made, minute, shown, tasks, told};

#[tokio::test]
async fn a_paused_schedule_is_not_due_and_goes_on_without_making_up() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let path = made(&user, body(every(60), json!({"catch_up": "all"}))).await;
    let paused = user.patch(&path, json!({"active": false})).await.expect(200).json()["data"].take();
    assert_eq!((&paused["status"], &paused["next_run_at"]), (&json!("paused"), &Value::Null));
    assert_eq!(paused["next_runs"][0], "2026-01-01T12:01:00Z", "as if it was not paused");
    for _ in 0..5 {
        minute(&app).await;
    }
    assert_eq!(told(&user, &path).await, Vec::<String>::new());
    app.advance(Duration::seconds(10));
    let resumed = user.patch(&path, json!({"active": true})).await.expect(200).json()["data"].take();
    assert_eq!((&resumed["status"], &resumed["next_run_at"]), (&json!("active"), &json!("2026-01-01T12:06:00Z")));
    minute(&app).await;
    assert_eq!(told(&user, &path).await[0], "12:06:00 fired");
    app.drain_with_time().await;
}

#[tokio::test]
async fn a_schedule_is_paused_whatever_has_become_of_its_data_or_its_owners_permissions() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    for (set, status, code) in [
        ("task_type = 'data_processing', input = '{\"csv\": 5}'", 422, "validation_failed"),
        ("task_type = 'database_cleanup'", 403, "forbidden"),
        ("task_type = 'of_an_earlier_release'", 422, "validation_failed"),
    ] {
        let path = made(&user, body(every(60), json!({}))).await;
        app.execute(&format!("update schedules set {set} where active")).await;
        for change in [json!({"priority": 1}), json!({"active": false, "priority": 1}), json!({"active": true})] {
            user.patch(&path, change).await.expect_problem(status, code);
        }
        let paused = user.patch(&path, json!({"active": false})).await.expect(200).json()["data"].take();
        assert_eq!((&paused["status"], &paused["next_run_at"]), (&json!("paused"), &Value::Null), "{set}");
        user.patch(&path, json!({"active": true})).await.expect_problem(status, code);
    }
    app.beat().await;
    assert_eq!(app.count("select count(*) from tasks").await, 0);
}

#[tokio::test]
async fn a_run_that_was_made_ahead_of_its_time_is_not_made_again_after_a_change() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let path = made(&user, body(cron("* * * * *", "UTC"), json!({"overlap": "allow"}))).await;
    app.beat().await;
    assert_eq!(told(&user, &path).await, ["12:01:00 fired"]);
    for change in [json!({"active": false}), json!({"active": true}), json!({"schedule": cron("*/1 * * * *", "UTC")})] {
        user.patch(&path, change).await.expect(200);
    }
    assert_eq!(shown(&user, &path).await["next_run_at"], "2026-01-01T12:02:00Z");
    minute(&app).await;
    app.drain_with_time().await;
    assert_eq!(told(&user, &path).await, ["12:01:00 fired", "12:02:00 fired"]);
}

#[tokio::test]
async fn what_is_named_changes_and_the_rest_stays() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let more = json!({"max_iterations": 5, "expires_in": 60, "resources": {"cpu": 1}, "priority": 2});
    let path = made(&user, body(cron("0 2 * * *", "Europe/Berlin"), more)).await;
    let before = shown(&user, &path).await;
    app.advance(Duration::seconds(5));
    let change = json!({
        "schedule": {"type": "interval", "seconds": 300}, "data": {"message": "new"}, "priority": 9, "max_iterations": null,
        "expires_in": null, "resources": null, "overlap": "queue", "catch_up": "none", "dst": "shift", "timeout": 7,
        "retry_config": {"max_retries": 0}
    });
    let answer = user.patch(&path, change.clone()).await.expect(200);
    assert_eq!(answer.header("etag"), "\"2\"");
    let after = shown(&user, &path).await;
    for name in
        ["schedule", "data", "priority", "max_iterations", "expires_in", "resources", "overlap", "catch_up", "dst"]
    {
        assert_eq!(after[name], change[name], "{name}");
    }
    assert_eq!((&after["lane"], &after["timeout"]), (&json!("low"), &json!(7)));
    assert_eq!(after["next_run_at"], "2026-01-01T12:05:05Z", "an interval begins with the change");
    for name in ["schedule_id", "task_type", "created_at", "active", "iterations"] {
        assert_eq!(after[name], before[name], "{name}");
    }
    for (bad, pointer) in [
        (json!({"task_type": "sample"}), "/task_type"),
        (json!({"unknown": 1}), "/unknown"),
        (json!({"schedule": {"type": "cron", "expression": "* * *"}}), "/schedule/expression"),
        (json!({"data": []}), "/data"),
        (json!({"overlap": "both"}), "/overlap"),
        (json!({"schedule": {"type": "once", "at": "2020-01-01T00:00:00Z"}}), "/schedule/at"),
    ] {
        let errors =
            user.patch(&path, bad.clone()).await.expect_problem(422, "validation_failed").json()["errors"].take();
        assert_eq!(errors[0]["pointer"], pointer, "{bad}: {errors}");
    }
    assert_eq!(shown(&user, &path).await, after, "nothing of what was refused has changed it");
}

#[tokio::test]
async fn a_change_with_if_match_meets_the_version_that_it_was_made_from() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let path = made(&user, body(every(60), json!({}))).await;
    let tag = user.get(&path).await.expect(200).header("etag").to_owned();
    // What beat does is no change of what its owner says.
    app.beat().await;
    app.drain_with_time().await;
    let change = async |tag: &str| {
        let draft = user.request(Method::PATCH, &path).header("if-match", tag);
        draft.json(&json!({"priority": 1})).send().await
    };
    change(&tag).await.expect(200);
    change(&tag).await.expect_problem(412, "precondition_failed");
    change("*").await.expect(200);
}

#[tokio::test]
async fn a_completed_schedule_goes_on_with_more_iterations() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let path = made(&user, body(every(60), json!({"max_iterations": 2}))).await;
    for _ in 0..4 {
        minute(&app).await;
    }
    let schedule = shown(&user, &path).await;
    assert_eq!((&schedule["status"], &schedule["iterations"]), (&json!("completed"), &json!(2)));
    assert_eq!((&schedule["next_run_at"], &schedule["next_runs"]), (&Value::Null, &json!([])));
    assert_eq!(told(&user, &path).await, ["12:01:00 fired", "12:02:00 fired"]);
    user.patch(&path, json!({"max_iterations": 3})).await.expect(200);
    for _ in 0..3 {
        minute(&app).await;
    }
    assert_eq!(told(&user, &path).await, ["12:01:00 fired", "12:02:00 fired", "12:05:00 fired"]);
    assert_eq!(shown(&user, &path).await["status"], "completed");
}

#[tokio::test]
async fn a_deleted_schedule_is_gone_and_its_tasks_stay() {
    let app = TestApp::spawn().await;
    let (user, other) = (app.user().await, app.user_named("other").await);
    let path = made(&user, body(every(60), json!({}))).await;
    app.beat().await;
    let id = tasks(&user, &path).await.remove(0);
    let stranger = other.request(Method::DELETE, &path).send().await;
    stranger.expect_problem(404, "not_found");
    user.request(Method::DELETE, &path).send().await.expect(200);
    user.request(Method::DELETE, &path).send().await.expect_problem(404, "not_found");
    user.get(&path).await.expect_problem(404, "not_found");
    user.patch(&path, json!({"active": true})).await.expect_problem(404, "not_found");
    user.post(&format!("{path}/run"), json!({})).await.expect_problem(404, "not_found");
    for _ in 0..3 {
        minute(&app).await;
    }
    assert_eq!(user.state_of(&id).await, "completed");
    assert_eq!(app.count("select count(*) from tasks").await, 1);
    assert_eq!(app.count("select count(*) from schedule_runs").await, 0);
}

#[tokio::test]
async fn a_preview_shows_the_next_times() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let path = made(&user, body(cron("0 0 29 2 *", "America/Sao_Paulo"), json!({"max_iterations": 3}))).await;
    let preview = user.get(&format!("{path}?preview=10")).await.expect(200).json()["data"]["next_runs"].take();
    assert_eq!(preview, json!(["2028-02-29T03:00:00Z", "2032-02-29T03:00:00Z", "2036-02-29T03:00:00Z"]));
    for bad in ["0", "101", "-1", "x"] {
        user.get(&format!("{path}?preview={bad}")).await.expect_problem(422, "validation_failed");
    }
}
