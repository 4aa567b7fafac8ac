use std::time::{Duration, Instant};

use halyard_tests::{PrivatePostgres, TestApp, TestResponse};
use http::Method;
use serde_json::json;

/// How long the database stays away at least.
const OUTAGE: Duration = Duration::from_secs(10);
/// And at least until so many submits have failed.
const FAILURES: usize = 20;

fn is_correct_or_503(answer: &TestResponse) -> bool {
    match answer.code() {
        200 => true,
        503 => answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds >= 1),
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_accepted_submit_is_lost_while_the_database_stops_and_comes_back() {
    let mut postgres = PrivatePostgres::start().await;
    let app = TestApp::builder().postgres(&postgres).without_rate_limits().spawn().await;
    let user = app.user().await;
    let (mut accepted, mut refused) = (Vec::new(), 0);
    let submit = async |accepted: &mut Vec<String>, refused: &mut usize| {
        let body = json!({"task_type": "sample", "data": {"n": accepted.len() + *refused}});
        let answer = user.request(Method::POST, "/tasks/submit").json(&body).send().await;
        assert!(is_correct_or_503(&answer), "{}: {}", answer.status, answer.text());
        if answer.code() == 200 {
            accepted.push(answer.json()["task_id"].as_str().expect("an id").to_owned());
        } else {
            *refused += 1;
        }
    };
    for _ in 0..30 {
        submit(&mut accepted, &mut refused).await;
    }
    assert_eq!(refused, 0);
    postgres.stop();
    let stopped = Instant::now();
    while stopped.elapsed() < OUTAGE || refused < FAILURES {
        submit(&mut accepted, &mut refused).await;
        // What needs no database is answered all the time.
        user.get("/api/protected").await.expect(200);
        app.anonymous().get("/health/ping").await.expect(200);
        let answer = user.get("/tasks/stats").await;
        assert!(is_correct_or_503(&answer), "{}: {}", answer.status, answer.text());
        assert!(stopped.elapsed() < Duration::from_mins(2), "only {refused} submits failed");
    }
    postgres.start_again().await;
    let before = accepted.len();
    let back = Instant::now();
    while accepted.len() < before + 30 {
        submit(&mut accepted, &mut refused).await;
        assert!(back.elapsed() < Duration::from_mins(1), "submits do not work again");
    }
    app.advance(chrono::Duration::minutes(5));
    app.beat().await;
    app.drain().await;
    for id in &accepted {
        assert_eq!(user.state_of(id).await, "completed", "{id}");
        assert_eq!(app.ends_of(id).await, 1, "{id}");
    }
    let stored = app.count("select count(*) from tasks").await;
    let known = i64::try_from(accepted.len()).expect("few");
    // A submit whose answer was lost on the way may be there: one that was answered 503 by the cut itself.
    assert!(stored >= known && stored <= known + 1, "{stored} stored, {known} accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_meets_a_dead_database_comes_again_and_each_task_ends_once() {
    let mut postgres = PrivatePostgres::start().await;
    let app = TestApp::builder().postgres(&postgres).without_rate_limits().spawn().await;
    let user = app.user().await;
    let mut ids = Vec::new();
    for n in 0..10 {
        ids.push(user.submit(json!({"task_type": "sample", "data": {"n": n}})).await);
    }
    postgres.kill();
    app.poll_once("default").await;
    postgres.start_again().await;
    // The messages are hidden for six times the worker's timeout; beat does not wait for them.
    app.advance(chrono::Duration::minutes(3));
    app.until_ok("/tasks/stats").await;
    app.beat().await;
    app.drain().await;
    for id in &ids {
        assert_eq!(user.state_of(id).await, "completed", "{id}");
        assert_eq!(app.ends_of(id).await, 1, "{id}");
    }
}
