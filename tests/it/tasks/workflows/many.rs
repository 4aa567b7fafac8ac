use halyard_tests::TestApp;
use serde_json::{Value, json};

use super::{says, step, submit, taking, workflow};

#[tokio::test]
async fn ten_thousand_children_are_accepted_at_once_and_end_together() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let tasks: Vec<Value> = (0..10_000).map(|_| json!({"task_type": "sample", "data": {}})).collect();
    let answer = user.post("/tasks/batch", json!({"batch_name": "many", "tasks": tasks})).await.expect(200).json();
    assert_eq!(answer["data"]["task_ids"].as_array().expect("ids").len(), 10_000);
    let id = answer["data"]["batch_id"].as_str().expect("an id").to_owned();
    // What the workers do with each of them is shown with fewer: here the ends come at once, and in between somebody
    // takes the workflow further.
    for part in 0..4 {
        app.execute(&format!(
            "update tasks set state = 'completed', ended_at = available_at where step % 4 = {part} and state = 'queued'"
        ))
        .await;
        if part % 2 == 1 {
            app.beat().await;
        }
    }
    app.execute("delete from outbox").await;
    app.drain().await;
    let done = workflow(&user, &id).await;
    assert_eq!((&done["status"], &done["counts"]["completed"]), (&json!("completed"), &json!(10_000)));
    let mut seen = 0;
    let mut path = format!("/tasks/workflows/{id}?limit=100");
    for _ in 0..3 {
        let page = user.get(&path).await.expect(200).json()["data"].take();
        for step in page["steps"].as_array().expect("steps") {
            assert_eq!(step["step"], seen);
            seen += 1;
        }
        path = format!("/tasks/workflows/{id}?limit=100&cursor={}", page["next_cursor"].as_str().expect("more"));
    }
}

#[tokio::test]
async fn a_wide_fan_out_and_in_runs_through_few_doorbells() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let names: Vec<String> = (0..120).map(|n| format!("n{n}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut tasks = vec![taking(step("join", &all, says("j"))), step("root", &[], says("r"))];
    tasks.extend(names.iter().map(|name| step(name, &["root"], says("n"))));
    let id = submit(&user, "/tasks/chain", json!({ "tasks": tasks })).await;
    app.drain().await;
    let done = workflow(&user, &id).await;
    assert_eq!((&done["status"], &done["counts"]["completed"]), (&json!("completed"), &json!(122)));
    let joined = super::result(&user, &id, 0).await["echo"]["input"].take();
    assert_eq!(joined.as_object().expect("results by name").len(), 120);
}
