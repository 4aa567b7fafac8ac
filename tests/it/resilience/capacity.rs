//! More callers than environments.

use std::time::Duration;

use futures::future::join_all;
use halyard_tests::{TestApp, wait};
use serde_json::json;

/// `ReservedConcurrentExecutions` of the function tasks in the template, with one connection each.
const ENVIRONMENTS: i64 = 24;

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_opens_no_more_connections_than_the_template_says_and_loses_nothing() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let user = app.user().await;
    let body = json!({"task_type": "sample", "data": {}});
    let answers = join_all((0..150).map(|_| user.post("/tasks/submit", body.clone()))).await;
    let accepted = answers.iter().filter(|a| a.code() == 200).count();
    assert!(
        answers.iter().all(|a| matches!(a.code(), 200 | 503)),
        "{:?}",
        answers.iter().map(halyard_tests::TestResponse::code).max()
    );
    assert!(accepted > 0);
    assert_eq!(app.count("select count(*) from tasks").await, i64::try_from(accepted).expect("few"));
    // One for the environment of auth, one that asks.
    let connections = app.count("select count(*) from pg_stat_activity where datname = current_database()").await;
    assert!(connections <= ENVIRONMENTS + 2, "{connections} connections");
    app.drain().await;
    assert_eq!(
        app.count("select count(*) from tasks where state = 'completed'").await,
        i64::try_from(accepted).expect("few")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn in_managed_mode_a_few_environments_answer_everybody_and_each_task_ends_once() {
    let app = TestApp::builder().managed().without_rate_limits().spawn().await;
    let user = app.user().await;
    let body = json!({"task_type": "sample", "data": {"steps": 3}});
    let answers = join_all((0..100).map(|_| user.post("/tasks/submit", body.clone()))).await;
    assert!(
        answers.iter().all(|a| a.code() == 200),
        "{:?}",
        answers.iter().map(halyard_tests::TestResponse::code).max()
    );
    app.drain().await;
    assert_eq!(app.count("select count(*) from tasks where state = 'completed'").await, 100);
    let ends = "select count(*) from task_events where state = 'completed'";
    assert_eq!(app.count(ends).await, 100);
    let connections = app.count("select count(*) from pg_stat_activity where datname = current_database()").await;
    assert!(connections <= 6, "{connections} connections");
}

/// Claims, submits and doorbells race each other here. Beat comes after a minute: whoever waits for it is too late.
#[tokio::test(flavor = "multi_thread")]
async fn no_task_of_a_burst_is_left_without_a_doorbell() {
    for managed in [true, false] {
        let builder = TestApp::builder().live().without_rate_limits();
        let app = if managed { builder.managed() } else { builder }.spawn().await;
        let user = app.user().await;
        let submits = async {
            for _ in 0..40 {
                let body = json!({"task_type": "sample", "data": {}});
                let answers = join_all((0..10).map(|_| user.post("/tasks/submit", body.clone()))).await;
                assert!(answers.iter().all(|a| a.code() == 200));
            }
        };
        submits.await;
        wait::until("every task to end without beat's help", Duration::from_secs(30), async || {
            (app.count("select count(*) from tasks where state <> 'completed'").await == 0).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_want_one_name_at_once_one_gets_it() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let register = async |email: &str| {
        let body = json!({"username": "wanted", "email": email, "password": "correct horse battery"});
        app.anonymous().post("/auth/register", body).await.code()
    };
    let (one, other) = tokio::join!(register("a@example.com"), register("b@example.com"));
    let mut codes = [one, other];
    codes.sort_unstable();
    assert_eq!(codes, [200, 409]);
    assert_eq!(app.count("select count(*) from users where username = 'wanted'").await, 1);
}
