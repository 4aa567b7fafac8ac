use halyard_tests::TestApp;
use serde_json::{Value, json};

async fn extracted(app: &TestApp, user: &halyard_tests::Actor, data: Value) -> Value {
    let id = user.submit(json!({"task_type": "data_extraction", "data": data})).await;
    app.drain().await;
    let mut task = user.task(&id).await;
    assert_eq!(task["status"], "completed", "{task}");
    task["result"].take()
}

#[tokio::test]
async fn a_user_reads_their_own_tasks_and_nobody_elses() {
    let app = TestApp::spawn().await;
    let (maria, hanna) = (app.user_named("maria").await, app.user_named("hanna").await);
    for user in [&maria, &maria, &hanna] {
        user.submit(json!({"task_type": "sample", "data": {}})).await;
    }
    app.drain().await;
    let filters = json!({"task_type": "sample", "status": "completed"});
    let ask = json!({"source": "database", "dataset": "tasks", "filters": filters, "columns": ["status", "task_type"]});
    let result = extracted(&app, &maria, ask).await;
    assert_eq!(result["rows"], json!(vec![json!({"status": "completed", "task_type": "sample"}); 2]));
    assert_eq!((&result["row_count"], &result["truncated"]), (&json!(2), &json!(false)));
    let one = json!({"source": "database", "query": "tasks", "limit": 1});
    let result = extracted(&app, &maria, one).await;
    assert_eq!((&result["row_count"], &result["truncated"]), (&json!(1), &json!(true)));
    let statistics = extracted(&app, &hanna, json!({"source": "database", "dataset": "task_statistics"})).await;
    let sample = statistics["rows"].as_array().expect("rows").iter().find(|row| row["task_type"] == "sample");
    assert_eq!(sample.expect("a row")["completed"], 1);
}

#[tokio::test]
async fn sql_is_refused_and_what_there_is_named() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let data = json!({"source": "database", "query": "SELECT * FROM sales WHERE date >= ?", "params": ["2025-01-01"]});
    let refused = user.post("/tasks/submit", json!({"task_type": "data_extraction", "data": data})).await;
    let refused = refused.expect_problem(422, "validation_failed").json();
    assert_eq!(refused["errors"][0]["pointer"], "/data/query");
    assert_eq!(refused["errors"][0]["code"], "sql_not_accepted");
    for (data, code) in [
        (json!({"source": "database"}), "required"),
        (json!({"source": "database", "query": "sales"}), "unknown_dataset"),
        (json!({"source": "files"}), "invalid_value"),
        (json!({"source": "inline", "limit": 0}), "out_of_range"),
    ] {
        let refused =
            user.post("/tasks/submit", json!({"task_type": "data_extraction", "data": data})).await.expect(422);
        assert_eq!(refused.json()["errors"][0]["code"], code, "{}", refused.text());
    }
}

#[tokio::test]
async fn rows_that_come_along_are_handed_on() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let result = extracted(&app, &user, json!({"source": "inline", "data": "b,a\n1,x\n2,\n"})).await;
    assert_eq!(result["columns"], json!(["b", "a"]));
    assert_eq!(result["rows"], json!([{"b": 1, "a": "x"}, {"b": 2, "a": null}]));
}

#[tokio::test]
async fn more_rows_than_memory_is_meant_for_are_refused_while_they_are_read() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let submit = async |rows: usize| {
        let data = json!({"source": "inline", "data": vec![json!({"a": 1}); rows]});
        user.post("/tasks/submit", json!({"task_type": "data_extraction", "data": data})).await
    };
    let refused = submit(200_001).await.expect_problem(422, "validation_failed").json();
    let error = &refused["errors"][0];
    assert_eq!(error["code"], "invalid_value");
    assert!(error["pointer"].as_str().is_some_and(|pointer| pointer.starts_with("/data/data")), "{error}");
    assert!(error.to_string().contains("200000 objects at most"), "{error}");
}
