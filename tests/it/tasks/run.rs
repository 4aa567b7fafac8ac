use halyard_tests::TestApp;
use serde_json::json;

#[tokio::test]
async fn sample_echoes_its_data_and_reports_progress() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "sample", "data": {"message": "hello", "steps": 5}})).await;
    app.drain().await;
    let task = user.task(&id).await;
    assert_eq!(task["status"], "completed");
    assert_eq!(
        task["result"],
        json!({"message": "hello", "echo": {"message": "hello", "steps": 5}, "steps": 5, "attempt": 1})
    );
    assert_eq!(task["progress"]["percentage"].as_f64(), Some(100.0));
    let states: Vec<&str> =
        task["history"].as_array().expect("history").iter().filter_map(|e| e["status"].as_str()).collect();
    assert_eq!(states, ["queued", "running", "completed"]);
}

#[tokio::test]
async fn user_specific_answers_for_the_user_who_submitted() {
    let app = TestApp::spawn().await;
    let (maria, hanna) = (app.user_named("maria").await, app.user_named("hanna").await);
    for user in [&maria, &hanna] {
        let data = json!({"name": "x", "size": 3, "nothing": null, "user_id": 1});
        let id = user.submit(json!({"task_type": "user_specific", "data": data})).await;
        app.drain().await;
        let result = user.task(&id).await["result"].take();
        assert_eq!(result["user_id"], user.user_id);
        assert_eq!(result["data"], data);
        let counts = [
            &result["summary"]["field_count"],
            &result["summary"]["numeric_fields"],
            &result["summary"]["null_fields"],
        ];
        assert_eq!(counts, [4, 2, 1]);
    }
}

#[tokio::test]
async fn hundred_tasks_each_end_once() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let mut ids = Vec::new();
    for n in 0..100 {
        // 50 submits a minute are one user's share.
        if n % 40 == 0 {
            app.advance(chrono::Duration::minutes(2));
        }
        ids.push(user.submit(json!({"task_type": "sample", "data": {"message": n}, "priority": n % 10 + 1})).await);
    }
    app.drain().await;
    assert_eq!(app.count("select count(*) from tasks where state = 'completed'").await, 100);
    for id in &ids {
        assert_eq!((app.runs_of(id).await, app.ends_of(id).await), (1, 1), "{id}");
    }
}

#[tokio::test]
async fn a_doorbell_that_is_heard_twice_runs_nothing_twice() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "sample", "data": {}})).await;
    // Beat rings for what is overdue; the first doorbell is still in the queue.
    app.advance(chrono::Duration::minutes(2));
    app.beat().await;
    app.drain().await;
    assert_eq!((app.runs_of(&id).await, app.ends_of(&id).await), (1, 1));
}
