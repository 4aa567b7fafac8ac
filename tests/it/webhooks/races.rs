//! Exactly one delivery id per event, at least one post per delivery.

use halyard_domain::TaskId;
use halyard_domain::task::TaskState;
use halyard_store::{
    tasks::{self, Ending, Finish},
    webhooks,
};
use halyard_tests::{Receiver, TestApp, wait};
use serde_json::json;
use sqlx::Connection as _;
use std::time::Duration;

use super::{finished, notify, states, task};

fn end(id: TaskId, state: TaskState) -> Finish {
    Finish {
        id,
        fence: 1,
        ending: Ending::Finished { state, result: None, error: None },
        failed: false,
        lease_lost: false,
        message: "ended".to_owned(),
        progress: None,
        checkpoint: None,
    }
}

#[tokio::test]
async fn finish_cancel_and_reap_at_once_owe_one_delivery() {
    let app = TestApp::spawn().await;
    let receiver = Receiver::start();
    let user = app.user().await;
    for _ in 0..8 {
        let id = user.submit(task(&receiver, &json!({}))).await;
        app.change_task(&id, "state = 'running', fence = 1, attempt = 1, lease_until = created_at").await;
        app.execute("delete from outbox").await;
        let number: TaskId = id.parse().expect("an id");
        let now = Some(app.now());
        let finish = async |state| {
            let mut connection = app.connect().await;
            tasks::finish(&mut connection, &[end(number, state)], now).await.expect("an answer").len()
        };
        let path = format!("/tasks/cancel/{id}");
        let cancel = user.post(&path, json!({}));
        let (a, b, c, _) =
            tokio::join!(finish(TaskState::Completed), finish(TaskState::Failed), finish(TaskState::Dead), cancel);
        assert_eq!(a + b + c, 1, "one of them ended it");
    }
    assert_eq!(app.count("select count(*) from webhook_deliveries").await, 8);
    let twice = "select count(*) from (select source from webhook_deliveries group by source having count(*) > 1) d";
    assert_eq!(app.count(twice).await, 0);
    app.forget_queues().await;
    notify(&app).await;
    assert_eq!(receiver.count(), 8);
}

#[tokio::test]
async fn two_notifiers_at_once_post_each_delivery_once() {
    let app = TestApp::spawn().await;
    let receiver = Receiver::start();
    let user = app.user().await;
    for _ in 0..100 {
        user.submit(task(&receiver, &json!({}))).await;
    }
    while app.poll_once("default").await > 0 {}
    assert_eq!(receiver.count(), 0);
    for _ in 0..20 {
        app.ring("callbacks", r#"{"v":1,"webhooks":"due"}"#).await;
    }
    tokio::join!(app.poll_once("callbacks"), app.poll_once("callbacks"), app.poll_once("callbacks"));
    app.drain().await;
    let mut ids: Vec<String> = receiver.take().iter().map(|h| h.id().to_owned()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 100);
    assert_eq!(app.count("select count(*) from webhook_attempts").await, 100);
}

#[tokio::test]
async fn a_notifier_that_dies_between_post_and_commit_is_followed_by_another_with_the_same_id() {
    let app = TestApp::spawn().await;
    let receiver = Receiver::start();
    let user = app.user().await;
    user.submit(task(&receiver, &json!({}))).await;
    app.poll_once("default").await;
    // Whoever wants to say how it went waits for this.
    let mut other = app.connect().await;
    let mut held = other.begin().await.expect("a transaction");
    sqlx::query("lock table webhook_attempts in share mode").execute(&mut *held).await.expect("a lock");
    app.poll_and_kill_notifier(async || {
        wait::until("the post", Duration::from_secs(20), async || (receiver.count() == 1).then_some(())).await;
    })
    .await;
    held.rollback().await.expect("out of the way");
    assert_eq!(states(&app).await, "completed owed 1");
    app.advance(chrono::Duration::seconds(61));
    app.beat().await;
    app.drain().await;
    let heard = receiver.take();
    assert_eq!(heard.len(), 2, "at least once");
    assert_eq!((heard[0].id(), &heard[0].body), (heard[1].id(), &heard[1].body));
    assert_eq!(states(&app).await, "completed delivered 2");
}

#[tokio::test]
async fn an_outcome_of_an_attempt_that_was_overtaken_is_refused() {
    let app = TestApp::spawn().await;
    let receiver = Receiver::start();
    let user = app.user().await;
    finished(&app, &user, &receiver).await;
    app.execute("update webhook_deliveries set state = 'owed', ended_at = null, fence = 7").await;
    let mut connection = app.connect().await;
    let id = app.text("select id::text from webhook_deliveries").await;
    let late = webhooks::Settled {
        id: halyard_domain::DeliveryId(id.parse().expect("an id")),
        fence: 6,
        outcome: webhooks::Outcome::Failed,
        status: Some(500),
        error: None,
        response: None,
        took: Duration::ZERO,
    };
    webhooks::settle(&mut connection, &[late], Some(app.now())).await.expect("an answer");
    assert_eq!(states(&app).await, "completed owed 1");
    app.leave_unfinished();
}
