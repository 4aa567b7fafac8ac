use halyard_tests::TestApp;
use serde_json::{Value, json};

use super::{body, cron, every, made, shown};
use crate::assert_snapshot;

#[tokio::test]
async fn a_schedule_is_answered_with_the_next_times() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    // The original's example, but for the type.
    let body = json!({
        "task_type": "sample",
        "schedule": {"type": "cron", "expression": "0 2 * * *", "timezone": "UTC"},
        "data": {"message": "cleanup"},
        "active": true,
        "max_iterations": null,
        "something_else": "is ignored"
    });
    let answer = user.post("/tasks/schedule", body).await.expect(200);
    assert_eq!(answer.header("etag"), "\"1\"");
    assert_snapshot!("created", answer);
    let id = answer.json()["data"]["schedule_id"].clone();
    let path = format!("/tasks/schedules/{}", id.as_str().expect("an id"));
    assert_snapshot!("shown", user.get(&format!("{path}?preview=2")).await.expect(200));
    let listed = user.get("/tasks/schedules?status=active&task_type=sample").await.expect(200);
    assert_eq!(listed.json()["data"]["items"][0]["schedule_id"], id);
    for none in ["status=paused", "status=completed", "task_type=other"] {
        let listed = user.get(&format!("/tasks/schedules?{none}")).await.expect(200);
        assert_eq!(listed.json()["data"]["items"], json!([]), "{none}");
    }
}

#[tokio::test]
async fn everything_that_submit_takes_is_taken_for_each_run() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let more = json!({
        "priority": 2, "resources": {"cpu_cores": 4}, "callbacks": {"error_url": "http://127.0.0.1:20009/error"},
        "retry_config": {"max_retries": 1, "retry_delay": 5, "exponential_backoff": false}, "timeout": 30, "expires_in": 600,
        "overlap": "allow", "catch_up": "all", "dst": "shift", "max_iterations": 1
    });
    let path = made(&user, body(every(60), more.clone())).await;
    let schedule = shown(&user, &path).await;
    for (name, value) in more.as_object().expect("an object") {
        if name == "callbacks" {
            assert_eq!(schedule[name]["error_url"], value["error_url"]);
        } else {
            assert_eq!(&schedule[name], value, "{name}");
        }
    }
    app.beat().await;
    let task = user.task(&super::tasks(&user, &path).await[0]).await;
    assert_eq!((&task["priority"], &task["lane"], &task["status"]), (&json!(2), &json!("high"), &json!("scheduled")));
    assert_eq!((&task["execution"]["timeout"], &task["execution"]["max_retries"]), (&json!(30), &json!(1)));
    assert_eq!(
        (&task["scheduled_for"], &task["expires_at"]),
        (&json!("2026-01-01T12:01:00Z"), &json!("2026-01-01T12:11:00Z"))
    );
    assert_eq!(task["resources"]["requested"], json!({"cpu_cores": 4}));
    app.drain_with_time().await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_the_rule() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let refused = async |schedule: Value, pointer: &str, code: &str, says: &str| {
        let answer = user.post("/tasks/schedule", body(schedule.clone(), json!({}))).await;
        let errors = answer.expect_problem(422, "validation_failed").json()["errors"].take();
        let found = errors.as_array().expect("errors").iter().find(|e| e["pointer"] == pointer);
        let found = found.unwrap_or_else(|| panic!("{schedule}: {errors}"));
        assert_eq!(found["code"], code, "{schedule}: {found}");
        assert!(found["detail"].as_str().is_some_and(|detail| detail.contains(says)), "{schedule}: {found}");
    };
    let expression = "/schedule/expression";
    refused(cron("0 0 2 * * *", "UTC"), expression, "seconds_not_supported", "it must have five").await;
    refused(cron("0 0 30 2 *", "UTC"), expression, "never_due", "no year has such a day").await;
    refused(cron("61 * * * *", "UTC"), expression, "invalid_cron", "minute").await;
    refused(cron("0 2 * * *", "Mars/Olympus"), "/schedule/timezone", "unknown_timezone", "IANA").await;
    refused(json!({"type": "cron"}), expression, "required", "required").await;
    refused(every(59), "/schedule/seconds", "out_of_range", "between 60 and").await;
    refused(every(i64::MAX), "/schedule/seconds", "out_of_range", "between 60 and").await;
    refused(json!({"type": "interval"}), "/schedule/seconds", "required", "required").await;
    refused(json!({"type": "once"}), "/schedule/at", "required", "required").await;
    refused(json!({"type": "once", "at": app.now_text()}), "/schedule/at", "never_due", "future").await;
    refused(json!({"type": "weekly"}), "/schedule/type", "invalid_value", "cron, interval, once").await;
    refused(json!({}), "/schedule/type", "required", "").await;
    for (more, pointer) in [
        (json!({"overlap": "both"}), "/overlap"),
        (json!({"catch_up": 3}), "/catch_up"),
        (json!({"dst": "magic"}), "/dst"),
        (json!({"max_iterations": 0}), "/max_iterations"),
        (json!({"priority": 11}), "/priority"),
        (json!({"timeout": 0}), "/timeout"),
        (json!({"task_type": "nothing"}), "/task_type"),
        (json!({"task_type": "data_processing", "data": {"csv": 5}}), "/data/csv"),
    ] {
        let answer = user.post("/tasks/schedule", body(every(60), more.clone())).await;
        let errors = answer.expect_problem(422, "validation_failed").json()["errors"].take();
        assert_eq!(errors[0]["pointer"], pointer, "{more}: {errors}");
    }
    assert_eq!(app.count("select count(*) from schedules").await, 0, "nothing of it is stored");
}

#[tokio::test]
async fn data_that_every_run_would_copy_are_of_256_kib_at_most() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let data = |bytes: usize| json!({"pad": "x".repeat(bytes - r#"{"pad":""}"#.len())});
    let most = 256 * 1024;
    let path = made(&user, body(every(60), json!({"data": data(most)}))).await;
    let large = json!({"data": data(most + 1)});
    let made = user.post("/tasks/schedule", body(every(60), large.clone())).await;
    let changed = user.patch(&path, large).await;
    for answer in [made, changed] {
        let errors = answer.expect_problem(422, "validation_failed").json()["errors"].take();
        assert_eq!((&errors[0]["pointer"], &errors[0]["code"]), (&json!("/data"), &json!("too_long")), "{errors}");
    }
    user.patch(&path, json!({"active": false, "data": data(most)})).await.expect(200);
    assert_eq!(app.count("select count(*) from schedules").await, 1);
}

#[tokio::test]
async fn resources_are_of_16_kib_at_most_wherever_they_are_given() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let resources = |bytes: usize| json!({"pad": "x".repeat(bytes - r#"{"pad":""}"#.len())});
    let (most, large) = (resources(16 * 1024), resources(16 * 1024 + 1));
    let path = made(&user, body(every(60), json!({"resources": most}))).await;
    let task = |resources: &Value| json!({"task_type": "sample", "data": {}, "resources": resources});
    for (answer, pointer) in [
        (user.post("/tasks/schedule", body(every(60), json!({"resources": large}))).await, "/resources"),
        (user.patch(&path, json!({"resources": large})).await, "/resources"),
        (user.post("/tasks/submit", task(&large)).await, "/resources"),
        (user.post("/tasks/batch", json!({"tasks": [task(&most), task(&large)]})).await, "/tasks/1/resources"),
    ] {
        let errors = answer.expect_problem(422, "validation_failed").json()["errors"].take();
        assert_eq!((&errors[0]["pointer"], &errors[0]["code"]), (&json!(pointer), &json!("too_long")), "{errors}");
    }
    user.submit(task(&most)).await;
    app.drain().await;
    assert_eq!(app.count("select count(*) from tasks").await, 1);
    assert_eq!(app.count("select count(*) from schedules").await, 1);
}

#[tokio::test]
async fn an_account_has_a_hundred_schedules_whoever_asks_at_once() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    made(&user, body(cron("0 0 1 1 *", "UTC"), json!({}))).await;
    app.execute(
        "insert into schedules (id, user_id, place, created_at, updated_at, next_at, kind, expression, timezone, dst, overlap,
                                catch_up, active, task_type, lane, priority, input, max_retries, retry_delay_s,
                                exponential_backoff, timeout_s)
         select gen_random_uuid(), user_id, n, created_at, updated_at, next_at, kind, expression, timezone, dst, overlap,
                catch_up, active, task_type, lane, priority, input, max_retries, retry_delay_s, exponential_backoff, timeout_s
         from schedules, generate_series(2, 98) n",
    )
    .await;
    let ask = || user.post("/tasks/schedule", body(cron("0 0 1 1 *", "UTC"), json!({})));
    let answers = futures::future::join_all((0..4).map(|_| ask())).await;
    let made = answers.iter().filter(|answer| answer.code() == 200).count();
    assert_eq!(made, 2, "two places were left");
    ask().await.expect_problem(409, "too_many_schedules");
    assert_eq!(app.count("select count(*) from schedules").await, 100);
}
