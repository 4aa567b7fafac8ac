use halyard_tests::target;
use http::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_submitted_watched_and_done() {
    let target = target!();
    let user = target.user("e2e-task").await;
    let id = user.submit(json!({"task_type": "sample", "data": {"message": "hello", "steps": 3}})).await;
    let task = target.finished(&user, &id).await;
    assert_eq!(task["status"], "completed", "{task}");
    assert_eq!(task["result"]["message"], "hello");
    assert_eq!(task["progress"]["percentage"], 100.0);
    assert_eq!(user.get(&format!("/tasks/result/{id}")).await.expect(200).json()["data"]["result"]["message"], "hello");
    assert!(user.get(&format!("/tasks/logs/{id}")).await.expect(200).text().contains("step 2 of 3"));
    let list = user.get("/tasks?status=completed").await.expect(200).json();
    assert_eq!(list["data"]["items"][0]["task_id"], id.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_no_answer_can_carry_is_where_the_answer_leads_to() {
    const LENGTH: usize = 2_700_000;
    let target = target!();
    let user = target.user("e2e-stored").await;
    // What `sample` is told, it answers twice.
    let id = user.submit(json!({"task_type": "sample", "data": {"message": "x".repeat(LENGTH)}})).await;
    assert_eq!(target.finished(&user, &id).await["status"], "completed");
    let answer = user.get(&format!("/tasks/result/{id}")).await.expect(303);
    let link = answer.header("location");
    let stored = target.follow(link).await.expect(200);
    assert_eq!(stored.header("content-type"), "application/json");
    assert!(stored.body.len() > 2 * LENGTH, "{} bytes", stored.body.len());
    let result = stored.json();
    assert_eq!(result["message"].as_str().map(str::len), Some(LENGTH));
    assert!(result["echo"]["message"] == result["message"], "the message comes twice");
    // It is for those who were given it.
    let (known, last) = link.split_at(link.len() - 1);
    let forged = format!("{known}{}", if last == "0" { "1" } else { "0" });
    assert!([403, 404].contains(&target.follow(&forged).await.code()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submit_that_is_sent_again_under_its_key_makes_no_second_task() {
    let target = target!();
    let user = target.user("e2e-key").await;
    // Runs may follow each other within a day.
    let unique = user.get("/auth/profile").await.expect(200).header("x-request-id").to_owned();
    let body = json!({"task_type": "sample", "data": {"message": unique}});
    let submit = async || {
        let draft = user.request(Method::POST, "/tasks/submit").header("idempotency-key", &format!("\"{unique}\""));
        draft.json(&body).send().await.expect(200)
    };
    let (first, again) = (submit().await, submit().await);
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), ("", "true"));
    assert_eq!(again.json(), first.json());
    let id = first.json()["task_id"].as_str().expect("an id").to_owned();
    assert_eq!(target.finished(&user, &id).await["status"], "completed");
    let other = user.request(Method::POST, "/tasks/submit").header("idempotency-key", &unique);
    let other = other.json(&json!({"task_type": "sample", "data": {}})).send().await;
    other.expect_problem(422, "idempotency_key_reused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_submit_names_every_field_and_stores_nothing() {
    let target = target!();
    let user = target.user("e2e-bad").await;
    let newest = async || user.get("/tasks?limit=1").await.expect(200).json()["data"]["items"].take();
    let before = newest().await;
    let body = json!({"task_type": "sample", "data": {}, "priority": 11, "timeout": 0, "expires_in": -1});
    let problem = user.post("/tasks/submit", body).await.expect_problem(422, "validation_failed").json();
    let pointers: Vec<&str> =
        problem["errors"].as_array().expect("errors").iter().filter_map(|e| e["pointer"].as_str()).collect();
    assert_eq!(pointers, ["/priority", "/timeout", "/expires_in"]);
    user.post("/tasks/submit", json!({"task_type": "no_such_type", "data": {}})).await.expect(422);
    let broken = user.request(Method::POST, "/tasks/submit").header("content-type", "application/json").body("{\"task");
    broken.send().await.expect(400);
    assert_eq!(newest().await, before);
}
