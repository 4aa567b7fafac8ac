use chrono::Duration;
use halyard_domain::schedule::{AHEAD, Due, Outcome, decide};
use halyard_store::schedules::{self, Turn, TurnRun};
use halyard_tests::TestApp;
use serde_json::json;

use super::{body, cron, every, made, minute, shown, tasks, told};

#[tokio::test]
async fn a_run_starts_at_its_time_and_not_before() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let path = made(&user, body(cron("2 12 * * *", "UTC"), json!({}))).await;
    app.beat().await;
    assert_eq!(told(&user, &path).await, Vec::<String>::new(), "too early to say");
    app.advance(Duration::seconds(50));
    app.beat().await;
    let id = tasks(&user, &path).await.remove(0);
    let task = user.task(&id).await;
    assert_eq!((&task["status"], &task["scheduled_for"]), (&json!("scheduled"), &json!("2026-01-01T12:02:00Z")));
    app.advance(Duration::seconds(69));
    app.drain().await;
    assert_eq!(user.state_of(&id).await, "scheduled", "a second before");
    app.advance(Duration::seconds(1));
    app.drain().await;
    assert_eq!(user.state_of(&id).await, "completed", "its doorbell was sent with the exact delay");
    let schedule = shown(&user, &path).await;
    assert_eq!((&schedule["next_run_at"], &schedule["iterations"]), (&json!("2026-01-02T12:02:00Z"), &json!(1)));
}

#[tokio::test]
async fn beats_at_once_late_twice_or_not_at_all_make_one_run_of_each_time() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let path = made(&user, body(every(60), json!({"overlap": "allow", "catch_up": "none"}))).await;
    app.advance(Duration::minutes(1));
    tokio::join!(app.beat(), app.beat(), app.beat());
    // The same minute once more, a minute that nobody heard of, and two beats that were late.
    app.beat().await;
    app.advance(Duration::minutes(2));
    app.beat().await;
    app.advance(Duration::seconds(119));
    tokio::join!(app.beat(), app.beat());
    app.drain_with_time().await;
    let expected: Vec<String> = (1..=6).map(|n| format!("12:0{n}:00 fired")).collect();
    assert_eq!(told(&user, &path).await, expected);
    let ids = tasks(&user, &path).await;
    assert_eq!(app.count("select count(*) from tasks").await, 6);
    assert_eq!(app.count("select count(distinct nominal_at) from schedule_runs").await, 6);
    for id in &ids {
        assert_eq!((user.state_of(id).await.as_str(), app.ends_of(id).await), ("completed", 1));
    }
}

/// What a beat has decided, and not written yet.
async fn decided(app: &TestApp) -> Vec<Turn> {
    let mut conn = app.connect().await;
    let due = schedules::due(&mut conn, AHEAD, None, 100, Some(app.now())).await.expect("an answer");
    let turn = |schedule: &schedules::ScheduleRecord| {
        let definition = &schedule.definition;
        let due = Due {
            timing: &definition.timing,
            next_at: schedule.next_at.expect("it is due"),
            iterations: schedule.iterations,
            max_iterations: definition.max_iterations,
            overlap: definition.overlap,
            catch_up: definition.catch_up,
            open: schedule.open,
        };
        let decided = decide(&due, schedule.now);
        let entropy = halyard_domain::Entropy::seeded(1);
        let runs = decided.runs.iter().map(|run| TurnRun {
            nominal: run.nominal,
            times: run.times,
            outcome: match run.outcome {
                Outcome::Fire => Ok(schedule.task(halyard_domain::TaskId(entropy.ulid(schedule.now)), run.nominal)),
                Outcome::Skip(why) => Err(why),
            },
        });
        Turn {
            id: schedule.id,
            version: schedule.version,
            expected: due.next_at,
            next_at: decided.next_at,
            iterations: decided.iterations,
            runs: runs.collect(),
        }
    };
    due.iter().map(turn).collect()
}

#[tokio::test]
async fn a_beat_that_dies_before_it_writes_or_writes_too_late_does_no_harm() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let path = made(&user, body(every(60), json!({"overlap": "allow"}))).await;
    let died = decided(&app).await;
    assert_eq!(died.len(), 1);
    // The one that died has left nothing; another does it.
    app.beat().await;
    assert_eq!(told(&user, &path).await, ["12:01:00 fired"]);
    // It was not dead after all.
    let late = schedules::fire(&mut app.connect().await, &died, Some(app.now())).await.expect("an answer");
    assert_eq!(late, []);
    // One whose schedule is changed meanwhile: what it decided was for another schedule.
    app.advance(Duration::minutes(1));
    let stale = decided(&app).await;
    user.patch(&path, json!({"data": {"message": "another"}})).await.expect(200);
    let late = schedules::fire(&mut app.connect().await, &stale, Some(app.now())).await.expect("an answer");
    assert_eq!(late, []);
    app.beat().await;
    app.drain_with_time().await;
    assert_eq!(told(&user, &path).await, ["12:01:00 fired", "12:02:00 fired"]);
    let task = user.task(&tasks(&user, &path).await[0]).await;
    assert_eq!(task["result"]["message"], "another", "{task}");
    assert_eq!(app.count("select count(*) from tasks").await, 2);
}

#[tokio::test]
async fn with_the_queue_down_runs_are_made_and_rung_for_later() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let path = made(&user, body(every(60), json!({"max_iterations": 1}))).await;
    app.break_queue(true);
    let report = app.beat().await;
    assert!(report["failed"].as_array().is_some_and(|steps| steps.contains(&json!("schedules"))), "{report}");
    app.break_queue(false);
    app.advance(Duration::minutes(2));
    app.beat().await;
    app.drain().await;
    assert_eq!(user.state_of(&tasks(&user, &path).await[0]).await, "completed");
}

/// As they could be stored before `data` had a bound: 4.5 MB.
async fn enlarge(app: &TestApp) {
    app.execute("update schedules set input = json_build_object('pad', repeat('x', 4500000))").await;
}

#[tokio::test]
async fn runs_that_get_too_much_for_one_statement_are_made_in_several() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let mut paths = Vec::new();
    for _ in 0..2 {
        let more = json!({"overlap": "allow", "catch_up": "all", "max_iterations": 7});
        paths.push(made(&user, body(every(600), more)).await);
    }
    enlarge(&app).await;
    app.advance(Duration::minutes(35));
    assert_eq!(app.beat().await["schedules"]["fired"], 6);
    for path in &paths {
        assert_eq!(told(&user, path).await, ["12:10:00 fired", "12:20:00 fired", "12:30:00 fired"]);
        let schedule = shown(&user, path).await;
        assert_eq!((&schedule["next_run_at"], &schedule["iterations"]), (&json!("2026-01-01T12:40:00Z"), &json!(3)));
    }
    assert_eq!(app.count("select count(distinct xmin::text) from schedule_runs").await, 6, "a statement each");
    assert!(app.count("select min(octet_length(input::text))::bigint from tasks").await > 4_500_000);
    assert_eq!(app.beat().await["schedules"]["fired"].as_u64().unwrap_or_default(), 0);
    app.leave_unfinished();
}

#[tokio::test]
async fn what_runs_get_is_read_of_those_that_fire_only() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    made(&user, body(every(60), json!({"resources": {"cpu": 1}}))).await;
    enlarge(&app).await;
    let (mut conn, now) = (app.connect().await, Some(app.now()));
    let due = schedules::due(&mut conn, AHEAD, None, 100, now).await.expect("an answer").remove(0);
    let filter = schedules::Filter::default();
    let listed = schedules::list(&mut conn, None, &filter, None, 100, now).await.expect("an answer").remove(0);
    assert!(due.size > 4_500_000, "{}", due.size);
    for schedule in [&due, &listed] {
        let template = &schedule.definition.template;
        assert_eq!((template.input.get(), template.resources.is_none()), ("{}", true));
    }
    let whole = schedules::whole(&mut conn, &[due.id], None, now).await.expect("an answer").remove(0);
    assert!(whole.definition.template.input.get().len() > 4_500_000);
    assert!(whole.definition.template.resources.is_some());
}

#[tokio::test]
async fn the_clocks_are_put_back_and_forward_in_berlin() {
    let app = TestApp::spawn().await;
    for (from, skip, shift) in [
        ("2026-03-28T22:00:00Z", vec![], vec!["01:30:00 fired"]),
        ("2026-10-24T22:00:00Z", vec!["00:30:00 fired"], vec!["00:30:00 fired"]),
    ] {
        let from: chrono::DateTime<chrono::Utc> = from.parse().expect("a time");
        app.advance(from - app.now());
        let name = format!("user{}", from.timestamp());
        let user = app.user_named(&name).await;
        let skips = made(&user, body(cron("30 2 * * *", "Europe/Berlin"), json!({"dst": "skip"}))).await;
        let shifts = made(&user, body(cron("30 2 * * *", "Europe/Berlin"), json!({"dst": "shift"}))).await;
        // Through the night, by beats that come a minute around the times in question.
        for minutes in [149, 1, 1, 58, 1, 1] {
            app.advance(Duration::minutes(minutes));
            app.beat().await;
            app.drain().await;
        }
        let mut user = user;
        user.sign_in().await;
        assert_eq!(told(&user, &skips).await, skip, "skip from {from}");
        assert_eq!(told(&user, &shifts).await, shift, "shift from {from}");
        for path in [skips, shifts] {
            user.request(http::Method::DELETE, &path).send().await.expect(200);
        }
    }
}

#[tokio::test]
async fn schedules_of_a_disabled_account_wait_until_it_is_enabled_again() {
    let app = TestApp::spawn().await;
    let (mut user, admin) = (app.user().await, app.admin().await);
    let path = made(&user, body(every(60), json!({"overlap": "allow", "catch_up": "one"}))).await;
    let id = user.get("/auth/profile").await.expect(200).json()["data"]["user"]["id"].clone();
    let account = format!("/api/users/{id}");
    admin.patch(&account, json!({"account_status": "disabled"})).await.expect(200);
    for _ in 0..6 {
        minute(&app).await;
    }
    assert_eq!(app.count("select count(*) from tasks").await, 0);
    admin.patch(&account, json!({"account_status": "active"})).await.expect(200);
    app.beat().await;
    app.drain_with_time().await;
    user.sign_in().await;
    let expected = [
        "12:02:00 missed x2",
        "12:03:00 fired",
        "12:04:00 fired",
        "12:05:00 fired",
        "12:06:00 fired",
        "12:07:00 fired",
    ];
    assert_eq!(told(&user, &path).await, expected);
}
