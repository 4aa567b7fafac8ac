use futures::future::join_all;
use halyard_tests::{TestApp, unreliable_table::Fault};
use serde_json::json;

use super::{id_of, replayed, submit};

#[tokio::test]
async fn of_fifty_at_once_one_makes_a_task_and_the_others_hear_of_it_or_wait() {
    let app = TestApp::builder().managed().without_rate_limits().spawn().await;
    let user = app.user().await;
    let data = json!({"message": "once"});
    let answers = join_all((0..50).map(|_| submit(&user, "the-one", data.clone()))).await;
    let (done, others): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.code() == 200);
    for other in others {
        let other = other.expect_problem(409, "idempotency_in_progress");
        assert_eq!(other.header("retry-after"), "1");
    }
    assert_eq!(done.iter().filter(|answer| !replayed(answer)).count(), 1, "one was carried out");
    let again = join_all((0..50).map(|_| submit(&user, "the-one", data.clone()))).await;
    for answer in again.into_iter().map(|answer| answer.expect(200)) {
        assert!(replayed(&answer));
        assert_eq!(id_of(&answer), id_of(&done[0]));
    }
    assert_eq!(app.count("select count(*) from tasks").await, 1);
    app.drain().await;
}

#[tokio::test]
async fn of_many_who_take_over_one_does() {
    let app = TestApp::builder().managed().without_rate_limits().spawn().await;
    let user = app.user().await;
    app.table().spoil(Fault::AnswerLost, "request");
    submit(&user, "k", json!({})).await.expect(503);
    app.advance(halyard_domain::idempotency::LEASE);
    let answers = join_all((0..20).map(|_| submit(&user, "k", json!({})))).await;
    let carried_out = answers.iter().filter(|answer| answer.code() == 200 && !replayed(answer)).count();
    assert_eq!(carried_out, 1);
    assert!(answers.iter().all(|answer| [200, 409].contains(&answer.code())));
    assert_eq!(app.count("select count(*) from tasks").await, 1);
    app.drain().await;
}
