//! Importing records.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::TimeDelta;
use halyard_tests::{Actor, ScriptedNode, TestApp, scripted_node::answer, wait};
use serde_json::{Value, json};

/// The original's example, as it stands there.
const ORIGINAL: &str = r#"{
    "source": "external_api",
    "data_type": "user_events",
    "batch_size": 1000,
    "validation_rules": ["email_format", "required_fields"],
    "error_handling": "skip_invalid",
    "callback_url": "https://myapp.com/webhook/import_complete"
  }"#;
const LIMIT: Duration = Duration::from_secs(30);
const JSON: &str = "content-type: application/json\r\n";

fn import(data: &Value) -> Value {
    json!({"task_type": "bulk_import", "data": data, "retry_config": {"max_retries": 0}})
}

/// The task once it has ended.
async fn ended(app: &TestApp, user: &Actor, data: Value) -> Value {
    let id = user.submit(import(&data)).await;
    app.drain().await;
    user.task(&id).await
}

async fn result_of(app: &TestApp, user: &Actor, data: Value) -> Value {
    let mut task = ended(app, user, data).await;
    assert_eq!(task["status"], "completed", "{task}");
    task["result"].take()
}

async fn code_of(app: &TestApp, user: &Actor, data: Value) -> String {
    let task = ended(app, user, data).await;
    assert_eq!(task["status"], "failed", "{task}");
    task["error"]["code"].as_str().unwrap_or_else(|| panic!("a code: {task}")).to_owned()
}

fn inline(records: &Value) -> Value {
    json!({"source": "inline", "data_type": "people", "records": records})
}

fn external(node: &ScriptedNode) -> Value {
    json!({"source": "external_api", "data_type": "people", "url": format!("http://{}/people", node.address())})
}

/// What is in the table, in its order.
async fn kept(app: &TestApp) -> String {
    let sql = "select coalesce(string_agg(position || ' ' || record::text, ', ' order by task_id, position), '')
               from imported_records";
    app.text(sql).await
}

/// Answers each request with the next of these, the last one again and again.
fn answering(answers: Vec<String>) -> ScriptedNode {
    let next = AtomicUsize::new(0);
    ScriptedNode::start(Box::new(move |_| {
        let at = next.fetch_add(1, Ordering::SeqCst);
        answers.get(at).or(answers.last()).cloned()
    }))
}

#[tokio::test]
async fn records_are_kept_as_they_came_and_belong_to_whoever_imports_them() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let result = result_of(&app, &user, inline(&json!([{"n": 1, "t": "a\u{0}\"ü\""}, {"n": [null]}, {}]))).await;
    let expected =
        json!({"data_type": "people", "source": "inline", "records": 3, "imported": 3, "invalid": 0, "errors": []});
    assert_eq!(result, expected);
    assert_eq!(kept(&app).await, r#"1 {"n":1,"t":"a\u0000\"ü\""}, 2 {"n":[null]}, 3 {}"#);
    let sql = "select string_agg(distinct format('%s %s %s', user_id, data_type, imported_at at time zone 'UTC'), ', ')
               from imported_records";
    let at = app.now().format("%Y-%m-%d %H:%M:%S");
    assert_eq!(app.text(sql).await, format!("{} people {at}", user.user_id));
}

#[tokio::test]
async fn csv_is_imported_and_what_an_earlier_step_returned() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    result_of(&app, &user, inline(&json!("name,n\nada,36\nbob,\neve,12345678901234567890\n"))).await;
    let people = r#"1 {"n":36,"name":"ada"}, 2 {"n":null,"name":"bob"}, 3 {"n":"12345678901234567890","name":"eve"}"#;
    assert_eq!(kept(&app).await, people);
    let steps = [json!({"type": "filter", "column": "n", "op": "gt", "value": 1})];
    let rows = json!([{"n": 1}, {"n": 2}, {"n": 3}]);
    let first =
        json!({"task_type": "data_transformation", "data": {"data": rows, "transformations": steps}, "name": "first"});
    let data = json!({"source": "inline", "data_type": "numbers"});
    let second = json!({"task_type": "bulk_import", "data": data, "name": "second", "input_from": "previous"});
    let chain = json!({"chain_name": "import", "tasks": [first, second]});
    let chain = user.post("/tasks/chain", chain).await.expect(200).json()["data"]["chain_id"].take();
    app.drain().await;
    let path = format!("/tasks/workflows/{}", chain.as_str().expect("an id"));
    let chain = user.get(&path).await.expect(200).json();
    assert_eq!(chain["data"]["status"], "completed", "{chain}");
    let sql =
        "select string_agg(record::text, ' ' order by position) from imported_records where data_type = 'numbers'";
    assert_eq!(app.text(sql).await, r#"{"n":2} {"n":3}"#);
    // Of neither, which a chain could not tell before.
    assert_eq!(code_of(&app, &user, json!({"source": "inline", "data_type": "numbers"})).await, "no_records");
}

#[tokio::test]
async fn what_is_invalid_is_left_out_and_named() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let records = json!([
        {"email": "ada@example.com", "name": "ada"},
        {"email": "nobody", "name": " "},
        {"email": null, "name": "bob"},
        {"email": 7, "name": "eve"},
        {"name": null},
    ]);
    let mut data = inline(&records);
    data["validation_rules"] = json!(["email_format", "required_fields"]);
    data["required_fields"] = json!(["name"]);
    let result = result_of(&app, &user, data.clone()).await;
    let wrong = |record: u8, field: &str, code: &str, message: &str| json!({"record": record, "field": field, "code": code, "message": message});
    let errors = [
        wrong(2, "name", "required", "must be there and not blank"),
        wrong(2, "email", "invalid_format", "must be an e-mail address"),
        wrong(4, "email", "invalid_format", "must be an e-mail address"),
        wrong(5, "name", "required", "must be there and not blank"),
    ];
    assert_eq!(result["errors"], json!(errors));
    assert_eq!((&result["records"], &result["imported"], &result["invalid"]), (&json!(5), &json!(2), &json!(3)));
    let two = r#"1 {"email":"ada@example.com","name":"ada"}, 3 {"email":null,"name":"bob"}"#;
    assert_eq!(kept(&app).await, two);

    // Fields that are required need no rule; the rule without fields means all that there are.
    data["validation_rules"] = json!([]);
    assert_eq!(result_of(&app, &user, data.clone()).await["imported"], 3);
    data["validation_rules"] = json!(["required_fields"]);
    data["required_fields"] = json!([]);
    assert_eq!(result_of(&app, &user, data).await["imported"], 2);
    let result = result_of(&app, &user, {
        let mut data = inline(&json!(vec![json!({"email": "x", "n": 1}); 150]));
        data["validation_rules"] = json!(["email_format"]);
        data
    })
    .await;
    let told = result["errors"].as_array().map(Vec::len);
    assert_eq!((told, &result["invalid"], &result["imported"]), (Some(100), &json!(150), &json!(0)));
}

#[tokio::test]
async fn the_first_invalid_record_ends_an_import_that_stops_on_errors_and_nothing_is_kept() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let mut data = inline(&json!("name,email\nada,ada@example.com\nbob,bob@example.com\neve,eve\n"));
    data["validation_rules"] = json!(["email_format"]);
    data["error_handling"] = json!("stop_on_error");
    data["batch_size"] = json!(1);
    let task = ended(&app, &user, data).await;
    assert_eq!((&task["status"], &task["error"]["code"]), (&json!("failed"), &json!("invalid_record")), "{task}");
    let message = task["error"]["message"].as_str().expect("a message");
    assert!(message.contains(r#"record 3: "email" must be an e-mail address; 1 of 3"#), "{message}");
    assert_eq!(kept(&app).await, "");
}

#[tokio::test]
async fn bad_input_is_named_by_its_pointer() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let with = |name: &str, value: Value| {
        let mut data = inline(&json!([{"n": 1}]));
        data[name] = value;
        data
    };
    let original: Value = serde_json::from_str(ORIGINAL).expect("JSON");
    let at = |url: &str| {
        let mut data = original.clone();
        data["url"] = json!(url);
        data
    };
    for (data, pointer, code) in [
        (original.clone(), "/data/url", "required"),
        (at("ftp://example.com/x"), "/data/url", "invalid_format"),
        (at("https://ada:secret@example.com/x"), "/data/url", "user_info"),
        (with("source", json!("ftp")), "/data/source", "invalid_value"),
        (with("data_type", json!("User Events")), "/data/data_type", "invalid_format"),
        (with("batch_size", json!(0)), "/data/batch_size", "out_of_range"),
        (with("batch_size", json!(10_001)), "/data/batch_size", "out_of_range"),
        (with("validation_rules", json!(["email_format", "luck"])), "/data/validation_rules/1", "invalid_value"),
        (with("required_fields", json!(["name", " "])), "/data/required_fields/1", "invalid_value"),
        (with("error_handling", json!("hope")), "/data/error_handling", "invalid_value"),
        (with("records", json!([1])), "/data/records", "invalid_value"),
        (with("records", json!("a,b\n1\n")), "/data/records", "invalid_value"),
        (with("records", json!(vec![json!({}); 100_001])), "/data/records", "too_many"),
        (with("headers", json!({"Host": "other"})), "/data/headers/Host", "forbidden_header"),
    ] {
        let refused = user.post("/tasks/submit", import(&data)).await.expect_problem(422, "validation_failed").json();
        let error = &refused["errors"][0];
        assert_eq!((&error["pointer"], &error["code"]), (&json!(pointer), &json!(code)), "{refused}");
    }
    assert_eq!(app.count("select count(*) from tasks").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_may_answer_in_json_or_csv() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let list = r#"[{"n":1},{"n":2}]"#;
    for (kind, body) in [
        (JSON, list.to_owned()),
        (JSON, format!("{{\"count\":2,\"results\":{list}}}")),
        ("", list.to_owned()),
        ("content-type: text/csv; charset=utf-8\r\n", "n\n1\n2\n".to_owned()),
    ] {
        let node = ScriptedNode::answering(200, kind, &body);
        let mut data = external(&node);
        data["headers"] = json!({"X-Tenant": "blue"});
        let result = result_of(&app, &user, data).await;
        assert_eq!((&result["source"], &result["imported"]), (&json!("external_api"), &json!(2)), "{body}");
        assert_eq!(kept(&app).await, r#"1 {"n":1}, 2 {"n":2}"#, "{body}");
        let seen = node.requests("/people");
        assert_eq!((seen.len(), seen[0].method.as_str(), seen[0].header("x-tenant")), (1, "GET", Some("blue")));
        app.execute("delete from imported_records").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_should_not_answer_is_not_imported() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let rows = "[{}]".to_owned();
    let many = format!("[{{}}{}]", ",{}".repeat(100_000));
    for (status, headers, body, code) in [
        (404, JSON, rows.clone(), "unexpected_status"),
        (503, JSON, rows.clone(), "unexpected_status"),
        (302, "location: http://169.254.169.254/\r\n", rows, "redirected"),
        (200, JSON, "x".repeat(5_000_001), "source_too_large"),
        (200, JSON, many, "too_many_records"),
        (200, JSON, r#"{"message":"hello"}"#.to_owned(), "invalid_rows"),
        (200, JSON, "[1]".to_owned(), "invalid_rows"),
        (200, JSON, "n\n1\n".to_owned(), "invalid_rows"),
        (200, "content-type: text/html\r\n", "<p>hello".to_owned(), "invalid_rows"),
        (200, "", String::new(), "invalid_rows"),
    ] {
        let node = ScriptedNode::answering(status, headers, &body);
        assert_eq!(code_of(&app, &user, external(&node)).await, code, "{status} {headers}");
    }
    let data = json!({"source": "external_api", "data_type": "x", "url": "http://169.254.169.254/latest/meta-data"});
    assert_eq!(code_of(&app, &user, data).await, "forbidden_target");
    assert_eq!(kept(&app).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_asks_for_a_pause_is_given_it() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let node = answering(vec![answer(429, "retry-after: 300\r\n", ""), answer(200, JSON, r#"[{"n":1}]"#)]);
    let mut task = import(&external(&node));
    task["retry_config"] = json!({"max_retries": 1, "retry_delay": 1});
    let id = user.submit(task).await;
    app.drain().await;
    assert_eq!(user.state_of(&id).await, "retrying");
    let wait = "select extract(epoch from available_at)::bigint from tasks";
    assert!(app.count(wait).await >= app.now().timestamp() + 300);
    app.drain_with_time().await;
    assert_eq!((user.state_of(&id).await, kept(&app).await), ("completed".to_owned(), r#"1 {"n":1}"#.to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_can_be_cancelled_while_the_service_thinks() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let (done, thinking) = std::sync::mpsc::channel::<()>();
    let thinking = Mutex::new(thinking);
    let node = ScriptedNode::start(Box::new(move |_| {
        // Until the test is done with it.
        let _ = thinking.lock().expect("one at a time").recv();
        None
    }));
    let id = user.submit(import(&external(&node))).await;
    let cancel = async {
        let asked = async || (!node.requests("/people").is_empty()).then_some(());
        wait::until("the service to be asked", LIMIT, asked).await;
        user.post(&format!("/tasks/cancel/{id}"), json!({})).await.expect(200);
    };
    tokio::join!(app.drain(), cancel);
    drop(done);
    assert_eq!(user.state_of(&id).await, "cancelled");
}

/// Whoever wants to write the second batch of two waits until this is dropped.
async fn holding_the_second_batch(app: &TestApp) -> sqlx::PgConnection {
    let mut holder = app.connect().await;
    let sql = "begin; insert into imported_records select id, 3, 1, now(), 'held', '{}' from tasks";
    sqlx::raw_sql(sql).execute(&mut holder).await.expect("a lock");
    holder
}

/// Writers of batches; of those only that wait for somebody, or all.
async fn writers(app: &TestApp, waiting: bool) -> i64 {
    let sql = format!(
        "select count(*) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'
           and query like '%into imported_records%unnest%' and ({} or wait_event_type = 'Lock')",
        !waiting
    );
    app.count(&sql).await
}

/// A worker that writes two records at a time dies in the second batch.
async fn dying_in_the_second_batch(app: &TestApp, user: &Actor, mut data: Value) -> String {
    data["batch_size"] = json!(2);
    let id = user.submit(json!({"task_type": "bulk_import", "data": data})).await;
    let holder = holding_the_second_batch(app).await;
    let blocked = async || {
        wait::until("the second batch to wait", LIMIT, async || (writers(app, true).await > 0).then_some(())).await;
    };
    app.poll_and_kill("long", blocked).await;
    drop(holder);
    wait::until("the dead to let go", LIMIT, async || (writers(app, false).await == 0).then_some(())).await;
    id
}

/// Another worker, once the lease has run out.
async fn going_on(app: &TestApp, user: &Actor, id: &str) -> Value {
    app.advance(TimeDelta::minutes(1));
    app.beat().await;
    app.drain_with_time().await;
    user.task(id).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_in_a_batch_has_written_whole_ones_and_the_next_goes_on_behind_them() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let list = r#"[{"n":1},{"n":2},{"n":3},{"n":4},{"n":5}]"#;
    let node = ScriptedNode::answering(200, JSON, list);
    for data in [inline(&serde_json::from_str(list).expect("JSON")), external(&node)] {
        let id = dying_in_the_second_batch(&app, &user, data).await;
        assert_eq!(kept(&app).await, r#"1 {"n":1}, 2 {"n":2}"#);
        // Shows whether they are written again.
        app.execute("update imported_records set data_type = 'before'").await;
        let task = going_on(&app, &user, &id).await;
        assert_eq!((&task["status"], &task["execution"]["attempt"]), (&json!("completed"), &json!(2)), "{task}");
        assert_eq!((&task["result"]["records"], &task["result"]["imported"]), (&json!(5), &json!(5)), "{task}");
        assert_eq!(kept(&app).await, r#"1 {"n":1}, 2 {"n":2}, 3 {"n":3}, 4 {"n":4}, 5 {"n":5}"#);
        assert_eq!(app.count("select count(*) from imported_records where data_type = 'before'").await, 2);
        app.execute("delete from imported_records; delete from tasks").await;
    }
    assert_eq!(node.requests("/people").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_answers_otherwise_the_second_time_has_its_second_answer_imported_and_nothing_of_the_first() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let first = answer(200, JSON, r#"[{"n":1},{"n":2},{"n":3}]"#);
    for (second, expected) in [(r#"[{"m":1},{"n":2},{"n":3}]"#, r#"1 {"m":1}, 2 {"n":2}, 3 {"n":3}"#), ("[]", "")] {
        let node = answering(vec![first.clone(), answer(200, JSON, second)]);
        let id = dying_in_the_second_batch(&app, &user, external(&node)).await;
        assert_eq!(kept(&app).await, r#"1 {"n":1}, 2 {"n":2}"#);
        let task = going_on(&app, &user, &id).await;
        assert_eq!(task["status"], "completed", "{task}");
        assert_eq!(kept(&app).await, expected);
        app.execute("delete from imported_records; delete from tasks").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_does_not_complete_leaves_nothing_behind() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let records = json!([{"n": 1}, {"n": 2}, {"n": 3}]);
    let whole = ended(&app, &user, inline(&json!([{"n": 0}]))).await;
    assert_eq!(whole["status"], "completed", "{whole}");
    app.execute("delete from tasks").await;
    let cancelled = dying_in_the_second_batch(&app, &user, inline(&records)).await;
    assert_eq!(app.count("select count(*) from imported_records").await, 3);
    user.post(&format!("/tasks/cancel/{cancelled}"), json!({"force": true})).await.expect(200);
    assert_eq!(kept(&app).await, r#"1 {"n":0}"#, "what another has imported stays, whatever becomes of its task");

    // Tried again it is another task, and nothing is there twice.
    user.post(&format!("/tasks/retry/{cancelled}"), Value::Null).await.expect(200);
    app.drain().await;
    assert_eq!(app.count("select count(*) from imported_records").await, 4);
    app.execute("delete from imported_records; delete from tasks").await;

    let node =
        answering([r#"[{"n":1},{"n":2},{"n":3}]"#, r#"[{"n":1},{"n":null}]"#].map(|b| answer(200, JSON, b)).to_vec());
    let mut data = external(&node);
    data["error_handling"] = json!("stop_on_error");
    data["required_fields"] = json!(["n"]);
    let failed = dying_in_the_second_batch(&app, &user, data).await;
    assert_eq!(app.count("select count(*) from imported_records").await, 2);
    let task = going_on(&app, &user, &failed).await;
    assert_eq!((&task["status"], &task["error"]["code"]), (&json!("failed"), &json!("invalid_record")), "{task}");
    assert_eq!(kept(&app).await, "");
}
