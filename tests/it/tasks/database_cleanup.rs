//! Deleting what ended long ago.

use std::time::Duration;

use chrono::TimeDelta;
use halyard_tests::{Actor, TestApp, wait};
use serde_json::{Value, json};

/// The original's example of a schedule, as it stands there.
const ORIGINAL: &str = r#"{
    "task_type": "database_cleanup",
    "schedule": {
      "type": "cron",
      "expression": "0 2 * * *",
      "timezone": "UTC"
    },
    "data": {
      "cleanup_older_than_days": 30,
      "tables": ["task_history", "user_sessions", "audit_logs"],
      "backup_before_cleanup": true
    },
    "active": true,
    "max_iterations": null
  }"#;
const LIMIT: Duration = Duration::from_secs(30);

fn cleanup(backup: bool) -> Value {
    let data = json!({"cleanup_older_than_days": 30, "tables": ["task_history"], "backup_before_cleanup": backup});
    json!({"task_type": "database_cleanup", "data": data})
}

fn sample(data: &Value) -> Value {
    json!({"task_type": "sample", "data": data, "retry_config": {"max_retries": 0}})
}

async fn cleaned(app: &TestApp, admin: &Actor, body: Value) -> Value {
    let id = admin.submit(body).await;
    app.drain().await;
    let task = admin.task(&id).await;
    assert_eq!(task["status"], "completed", "{task}");
    task["result"].clone()
}

/// Rows that tell of tasks or workflows that are not there.
async fn orphans(app: &TestApp) -> i64 {
    let sql = "select (select count(*) from task_events e where not exists (select from tasks t where t.id = e.task_id))
                    + (select count(*) from outbox o where not exists (select from tasks t where t.id = o.task_id))
                    + (select count(*) from workflow_steps s where not exists (select from tasks t where t.id = s.task_id))
                    + (select count(*) from workflow_steps s
                       where not exists (select from workflows w where w.id = s.workflow_id))
                    + (select count(*) from workflow_edges e
                       where not exists (select from workflows w where w.id = e.workflow_id))
                    + (select count(*) from workflow_signals)
                    + (select count(*) from tasks r
                       where r.retry_of is not null and not exists (select from tasks t where t.id = r.retry_of))
                    + (select count(*) from tasks t where t.workflow_id is not null
                       and not exists (select from workflows w where w.id = t.workflow_id))";
    app.count(sql).await
}

#[tokio::test]
async fn what_ended_long_ago_goes_with_all_that_belongs_to_it_and_statistics_stay() {
    let app = TestApp::spawn().await;
    let mut user = app.user().await;
    let old = user.submit(sample(&json!({}))).await;
    let failed = user.submit(sample(&json!({"fail": "permanent"}))).await;
    let tasks = json!([sample(&json!({"message": "first"})), sample(&json!({"message": "second"}))]);
    let chain = json!({"chain_name": "old", "tasks": tasks, "execution_mode": "sequential"});
    let chain = user.post("/tasks/chain", chain).await.expect(200).json()["data"]["chain_id"].clone();
    app.drain().await;
    app.advance(TimeDelta::days(31));
    user.sign_in().await;
    // What is tried again stays as long as its later try, and so does a workflow that has not ended.
    user.post(&format!("/tasks/retry/{failed}"), Value::Null).await.expect(200);
    let young = user.submit(sample(&json!({}))).await;
    app.drain().await;
    app.beat().await;
    let before = user.get("/tasks/stats").await.expect(200).json()["data"].take();

    let admin = app.admin().await;
    let result = cleaned(&app, &admin, cleanup(true)).await;
    let history = &result["tables"]["task_history"];
    assert_eq!((&history["deleted"], &history["workflows"]), (&json!(3), &json!(1)), "{result}");
    for (path, status) in [
        (format!("/tasks/status/{old}"), 404),
        (format!("/tasks/workflows/{}", chain.as_str().expect("an id")), 404),
        (format!("/tasks/status/{failed}"), 200),
        (format!("/tasks/status/{young}"), 200),
    ] {
        user.get(&path).await.expect(status);
    }
    assert_eq!(orphans(&app).await, 0);
    assert_eq!(user.get("/tasks/stats").await.expect(200).json()["data"], before);

    assert_eq!(result["backup"]["lines"], 4, "{result}");
    let kept =
        "select count(*) from cleanup_backups where kind = 'workflow' and json_array_length(line -> 'steps') = 2";
    assert_eq!(app.count(kept).await, 1);
    // The second step waited for the first, which is an event more.
    let kept = "select string_agg(line -> 'task' ->> 'task_type' || ' ' || json_array_length(line -> 'events'), ', '
                                  order by json_array_length(line -> 'events'))
                from cleanup_backups where kind = 'task'";
    assert_eq!(app.text(kept).await, "sample 3, sample 3, sample 4");

    let entry = admin.get("/api/audit?limit=1").await.expect(200).json()["data"]["items"][0].take();
    assert_eq!((&entry["action"], &entry["actor"]["username"]), (&json!("task.cleanup"), &json!("admin")), "{entry}");
    // Nothing is left to do, and the log of what was done stands.
    let result = cleaned(&app, &admin, cleanup(true)).await;
    assert_eq!(result["tables"]["task_history"]["deleted"], 0, "{result}");
}

#[tokio::test]
async fn a_workflow_that_runs_keeps_the_steps_that_ended() {
    let app = TestApp::spawn().await;
    let mut user = app.user().await;
    let later = (app.now() + TimeDelta::days(60)).to_rfc3339();
    let mut second = sample(&json!({}));
    second["scheduled_for"] = json!(later);
    let batch = json!({"tasks": [sample(&json!({})), second]});
    let batch = user.post("/tasks/batch", batch).await.expect(200).json()["data"].take();
    app.drain().await;
    app.advance(TimeDelta::days(45));
    let result = cleaned(&app, &app.admin().await, cleanup(false)).await;
    assert_eq!(result["tables"]["task_history"]["deleted"], 0, "{result}");
    assert_eq!(result["backup"], Value::Null);
    app.advance(TimeDelta::days(16));
    app.beat().await;
    app.drain_with_time().await;
    user.sign_in().await;
    let path = format!("/tasks/workflows/{}", batch["batch_id"].as_str().expect("an id"));
    assert_eq!(user.get(&path).await.expect(200).json()["data"]["status"], "completed");
    app.advance(TimeDelta::days(31));
    let result = cleaned(&app, &app.admin().await, cleanup(false)).await;
    // The first cleanup is as old as the first step by now.
    assert_eq!(result["tables"]["task_history"]["deleted"], 3, "{result}");
    assert_eq!((orphans(&app).await, app.count("select count(*) from cleanup_backups").await), (0, 0));
}

#[tokio::test]
async fn the_originals_schedule_is_accepted_as_it_stands_and_runs_by_beat() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    user.submit(sample(&json!({}))).await;
    app.drain().await;
    app.advance(TimeDelta::days(40));
    let mut admin = app.admin().await;
    let draft = admin.request(http::Method::POST, "/tasks/schedule").header("content-type", "application/json");
    let made = draft.body(ORIGINAL).send().await.expect(200).json();
    let path = format!("/tasks/schedules/{}", made["data"]["schedule_id"].as_str().expect("an id"));
    let next: chrono::DateTime<chrono::Utc> =
        made["data"]["next_run_at"].as_str().and_then(|at| at.parse().ok()).expect("a time");
    assert_eq!(next.format("%H:%M:%S").to_string(), "02:00:00");
    app.advance(next - app.now() - TimeDelta::seconds(30));
    app.beat().await;
    app.advance(TimeDelta::seconds(30));
    app.drain().await;
    admin.sign_in().await;
    let runs = admin.get(&path).await.expect(200).json()["data"]["recent_runs"].take();
    let id = runs[0]["task_id"].as_str().unwrap_or_else(|| panic!("a run: {runs}")).to_owned();
    let task = admin.task(&id).await;
    assert_eq!(task["status"], "completed", "{task}");
    let tables = &task["result"]["tables"];
    assert_eq!(tables["task_history"]["deleted"], 1, "{task}");
    for table in ["user_sessions", "audit_logs"] {
        assert_eq!(tables[table]["deleted"], 0, "{task}");
        assert!(tables[table]["note"].is_string(), "{task}");
    }
    assert_eq!(task["result"]["backup"]["lines"], 1, "{task}");
    let verified = admin.get("/api/audit/verify").await.expect(200).json();
    assert_eq!(verified["data"]["faults"], json!([]), "{verified}");
}

#[tokio::test]
async fn bad_input_is_named_by_its_pointer() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    for (data, pointer) in [
        (json!({"cleanup_older_than_days": 30, "tables": ["task_history", "users"]}), "/data/tables/1"),
        (json!({"cleanup_older_than_days": 30, "tables": []}), "/data/tables"),
        (json!({"cleanup_older_than_days": 0, "tables": ["task_history"]}), "/data/cleanup_older_than_days"),
        (json!({"tables": ["task_history"]}), "/data/cleanup_older_than_days"),
    ] {
        let refused = admin.post("/tasks/submit", json!({"task_type": "database_cleanup", "data": data})).await;
        assert_eq!(refused.expect_problem(422, "validation_failed").json()["errors"][0]["pointer"], pointer);
    }
}

#[tokio::test]
async fn nobody_has_it_run_without_the_permission() {
    let app = TestApp::spawn().await;
    let (user, admin) = (app.user().await, app.admin().await);
    let mut schedule: Value = serde_json::from_str(ORIGINAL).expect("JSON");
    let batch = json!({"tasks": [sample(&json!({})), cleanup(false)]});
    for (path, body) in [
        ("/tasks/submit", cleanup(false)),
        ("/tasks/batch", batch.clone()),
        ("/tasks/chain", json!({"chain_name": "c", "tasks": batch["tasks"]})),
        ("/tasks/schedule", schedule.clone()),
    ] {
        user.post(path, body).await.expect_problem(403, "forbidden");
    }
    assert_eq!(app.count("select count(*) from tasks").await, 0);
    let types = user.get("/tasks/types").await.expect(200).json()["data"]["types"].take();
    let needs = |name: &str| types.as_array().and_then(|all| all.iter().find(|t| t["task_type"] == name).cloned());
    assert_eq!(needs("database_cleanup").expect("the type")["requires"], "system:manage");
    assert_eq!(needs("sample").expect("the type")["requires"], Value::Null);

    // Whoever manages the tasks of all does not get at it through tasks that are there.
    let id = admin.submit(cleanup(false)).await;
    admin.post(&format!("/tasks/cancel/{id}"), json!({})).await.expect(200);
    schedule["active"] = json!(false);
    let schedule = admin.post("/tasks/schedule", schedule).await.expect(200).json()["data"]["schedule_id"].clone();
    let schedule = format!("/tasks/schedules/{}", schedule.as_str().expect("an id"));
    let grant = json!({"permissions": ["tasks:manage_all", "tasks:read_all"]});
    admin.patch(&format!("/api/users/{}", user.user_id), grant).await.expect(200);
    let mut manager = user;
    manager.sign_in().await;
    manager.post(&format!("/tasks/retry/{id}"), Value::Null).await.expect_problem(403, "forbidden");
    manager.post(&format!("{schedule}/run"), Value::Null).await.expect_problem(403, "forbidden");
    manager.patch(&schedule, json!({"active": true})).await.expect_problem(403, "forbidden");
    let bulk = manager.post("/tasks/bulk/retry", json!({"all": true})).await.expect(200).json();
    assert_eq!((&bulk["data"]["retried"], &bulk["data"]["skipped"]["not_permitted"]), (&json!(0), &json!(1)), "{bulk}");
    app.drain().await;
}

#[tokio::test]
async fn it_does_not_run_for_an_owner_who_has_lost_the_permission() {
    let app = TestApp::spawn().await;
    let (user, admin) = (app.user().await, app.admin().await);
    let account = format!("/api/users/{}", user.user_id);
    admin.patch(&account, json!({"permissions": ["system:manage"]})).await.expect(200);
    let mut keeper = user;
    keeper.sign_in().await;
    let allowed = keeper.submit(cleanup(false)).await;
    app.drain().await;
    let refused = keeper.submit(cleanup(false)).await;
    admin.patch(&account, json!({"permissions": []})).await.expect(200);
    app.drain().await;
    keeper.sign_in().await;
    assert_eq!(keeper.state_of(&allowed).await, "completed");
    let task = keeper.task(&refused).await;
    assert_eq!((&task["status"], &task["error"]["code"]), (&json!("failed"), &json!("forbidden")), "{task}");
}

/// Tasks that ended 40 days ago: three batches.
const OLD: i64 = 1_200;

async fn with_old_tasks(app: &TestApp) {
    let at = app.now() - TimeDelta::days(40);
    let (millis, at) = (at.timestamp_millis(), at.to_rfc3339());
    app.execute(&format!(
        "insert into tasks (id, user_id, created_at, available_at, claim_order, ended_at, timeout_s, retry_delay_s,
                            max_retries, priority, exponential_backoff, lane, state, task_type, input)
         select (lpad(to_hex({millis}), 12, '0') || lpad(to_hex(n), 20, '0'))::uuid, 1, '{at}', '{at}', '{at}', '{at}', 300, 60, 3,
                5, true, 'default', 'completed', 'sample', '{{}}'
         from generate_series(1, {OLD}) n"
    ))
    .await;
}

/// Whoever wants to delete the second batch waits until this is dropped.
async fn holding_the_second_batch(app: &TestApp) -> sqlx::PgConnection {
    let mut holder = app.connect().await;
    let sql = "begin; select from tasks where state = 'completed' order by id offset 600 limit 1 for update";
    sqlx::raw_sql(sql).execute(&mut holder).await.expect("a lock");
    holder
}

async fn until_blocked(app: &TestApp) {
    wait::until("the second batch to wait", LIMIT, async || {
        let sql = "select count(*) from pg_stat_activity
                   where datname = current_database() and wait_event_type = 'Lock' and query like '%with looked as%'";
        (app.count(sql).await > 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn it_can_be_cancelled_between_batches() {
    let app = TestApp::spawn().await;
    with_old_tasks(&app).await;
    let admin = app.admin().await;
    let id = admin.submit(cleanup(false)).await;
    let holder = holding_the_second_batch(&app).await;
    let cancel = async {
        until_blocked(&app).await;
        assert_eq!(app.count("select count(*) from tasks where state = 'completed'").await, OLD - 500);
        admin.post(&format!("/tasks/cancel/{id}"), json!({"reason": "not now"})).await.expect(200);
        // Two renewals later the attempt has been told by the first of them.
        let version = "select xmin::text::bigint from tasks where state = 'running'";
        let mut last = app.count(version).await;
        for _ in 0..2 {
            last =
                wait::until("a renewal", LIMIT, async || Some(app.count(version).await).filter(|v| *v != last)).await;
        }
        drop(holder);
    };
    tokio::join!(app.drain(), cancel);
    let task = admin.task(&id).await;
    assert_eq!(task["status"], "cancelled", "{task}");
    assert!(task["history"].to_string().contains("not now"), "{task}");
    assert_eq!(app.count("select count(*) from tasks where state = 'completed'").await, OLD - 1_000);
    assert_eq!(orphans(&app).await, 0);
}

#[tokio::test]
async fn a_worker_that_dies_in_a_batch_has_done_whole_ones_and_the_next_goes_on_behind_them() {
    let app = TestApp::spawn().await;
    with_old_tasks(&app).await;
    let admin = app.admin().await;
    let id = admin.submit(cleanup(true)).await;
    let holder = holding_the_second_batch(&app).await;
    app.poll_and_kill("long", async || until_blocked(&app).await).await;
    assert_eq!(app.count("select count(*) from cleanup_backups").await, 500);
    drop(holder);
    app.advance(TimeDelta::minutes(1));
    app.beat().await;
    app.drain_with_time().await;
    let task = admin.task(&id).await;
    assert_eq!((&task["status"], &task["execution"]["attempt"]), (&json!("completed"), &json!(2)), "{task}");
    // Who began anew would have counted 700.
    assert_eq!(task["result"]["tables"]["task_history"]["deleted"], OLD, "{task}");
    assert_eq!(task["result"]["backup"]["lines"], OLD, "{task}");
    assert_eq!(app.count("select count(*) from cleanup_backups").await, OLD);
    assert_eq!(app.count("select count(*) from audit_log where action = 'task.cleanup'").await, 1);
}
