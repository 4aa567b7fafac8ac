use std::collections::BTreeSet;

use chrono::Duration;
use halyard_tests::{Actor, TestApp};
use serde_json::{Value, json};

use crate::assert_snapshot;

async fn ids(user: &Actor, query: &str) -> (Vec<String>, Option<String>) {
    let data = user.get(&format!("/tasks{query}")).await.expect(200).json()["data"].take();
    let ids = data["items"].as_array().expect("items").iter();
    let ids = ids.map(|item| item["task_id"].as_str().expect("an id").to_owned()).collect();
    (ids, data["next_cursor"].as_str().map(str::to_owned))
}

#[tokio::test]
async fn list_shows_the_newest_first() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let mut submitted = Vec::new();
    for n in 0..3 {
        submitted.push(user.submit(json!({"task_type": "sample", "data": {"message": n}})).await);
        app.advance(Duration::seconds(1));
    }
    assert_snapshot!("newest_first", user.get("/tasks").await.expect(200));
    submitted.reverse();
    assert_eq!(ids(&user, "").await.0, submitted);
    app.drain().await;
}

#[tokio::test]
async fn pages_hold_every_task_once_even_while_new_ones_come() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let mut submitted = BTreeSet::new();
    for _ in 0..7 {
        submitted.insert(user.submit(json!({"task_type": "sample", "data": {}})).await);
        app.advance(Duration::milliseconds(1));
    }
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let query = cursor.map_or("?limit=3".to_owned(), |c: String| format!("?limit=3&cursor={c}"));
        let (page, next) = ids(&user, &query).await;
        assert!(page.len() <= 3);
        seen.extend(page);
        user.submit(json!({"task_type": "sample", "data": {}})).await;
        let Some(next) = next else { break };
        cursor = Some(next);
    }
    assert_eq!(seen.len(), 7, "no repeats");
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), submitted);
    app.drain().await;
}

#[tokio::test]
async fn filters_are_named_after_fields() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let early = user.submit(json!({"task_type": "sample", "data": {}, "priority": 1})).await;
    app.drain().await;
    app.advance(Duration::minutes(10));
    let middle = app.now_text();
    app.advance(Duration::minutes(10));
    let late = user.submit(json!({"task_type": "user_specific", "data": {}})).await;
    for (query, expected) in [
        ("?status=completed".to_owned(), vec![&early]),
        ("?status=queued".to_owned(), vec![&late]),
        ("?status=dead".to_owned(), vec![]),
        ("?task_type=user_specific".to_owned(), vec![&late]),
        ("?priority=1".to_owned(), vec![&early]),
        (format!("?submitted_after={middle}"), vec![&late]),
        (format!("?submitted_before={middle}"), vec![&early]),
        (format!("?submitted_before={middle}&status=queued"), vec![]),
    ] {
        assert_eq!(ids(&user, &query).await.0.iter().collect::<Vec<_>>(), expected, "{query}");
    }
    app.drain().await;
}

#[tokio::test]
async fn a_bad_query_names_its_parameters() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let answer =
        user.get("/tasks?limit=101&status=sleeping&priority=0&submitted_after=yesterday&cursor=nonsense").await;
    assert_snapshot!("bad_query", answer.expect(422));
}

#[tokio::test]
async fn a_list_holds_own_tasks_only_unless_the_caller_may_read_all() {
    let app = TestApp::spawn().await;
    let (maria, hanna) = (app.user_named("maria").await, app.user_named("hanna").await);
    let id = maria.submit(json!({"task_type": "sample", "data": {}})).await;
    assert_eq!(ids(&hanna, "").await.0, Vec::<String>::new());
    assert_eq!(ids(&maria, "").await.0, vec![id]);
    let data: Value = hanna.get("/tasks").await.expect(200).json()["data"].take();
    assert!(data["next_cursor"].is_null());
    app.drain().await;
}
