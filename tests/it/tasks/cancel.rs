use std::time::Duration;

use halyard_domain::{Lane, task::TaskState};
use halyard_store::{
    PgConnection,
    tasks::{self, Claim, Claimed, Ending, Finish, Renewal},
};
use halyard_tests::{Receiver, TestApp};
use http::Method;
use serde_json::json;

use crate::assert_snapshot;

/// The one task that waits in the default lane, claimed by a worker that only the test plays.
async fn claimed_by(worker_id: &str, app: &TestApp, connection: &mut PgConnection) -> Claimed {
    let claim = Claim {
        lane: Lane::Default,
        limit: 1,
        worker_id,
        worker_host: "played",
        lease: Duration::from_secs(15),
        look: tasks::Look::Quick,
        fronts: &[],
    };
    tasks::claim(connection, &claim, Some(app.now())).await.expect("a claim").remove(0)
}

#[tokio::test]
async fn a_task_that_waits_is_cancelled_at_once() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "sample", "data": {}})).await;
    let answer = user.post(&format!("/tasks/cancel/{id}"), json!({"reason": "changed my mind", "force": false})).await;
    assert_snapshot!("cancelled", answer.expect(200));
    app.drain().await;
    assert_eq!(user.state_of(&id).await, "cancelled");
    assert_eq!(app.runs_of(&id).await, 0);
}

#[tokio::test]
async fn cancel_takes_a_body_without_a_content_type() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "sample", "data": {}})).await;
    let draft = user.request(Method::POST, &format!("/tasks/cancel/{id}"));
    draft.body("{\"reason\": \"User requested cancellation\", \"force\": false}").send().await.expect(200);
    let other = user.submit(json!({"task_type": "sample", "data": {}})).await;
    user.request(Method::POST, &format!("/tasks/cancel/{other}")).send().await.expect(200);
    app.drain().await;
}

#[tokio::test]
async fn a_task_that_ended_cannot_be_cancelled() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "sample", "data": {}})).await;
    app.drain().await;
    assert_snapshot!("ended", user.post(&format!("/tasks/cancel/{id}"), json!({})).await.expect(409));
    assert_eq!(user.state_of(&id).await, "completed");
}

#[tokio::test]
async fn a_running_task_is_told_to_stop_and_ends_cancelled() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let data = json!({"duration_ms": 60_000, "steps": 6000});
    let id = user.submit(json!({"task_type": "sample", "data": data})).await;
    let (cancelled, ()) = tokio::join!(
        async {
            app.until_state(&user, &id, "running", Duration::from_secs(10)).await;
            user.post(&format!("/tasks/cancel/{id}"), json!({})).await
        },
        app.drain(),
    );
    cancelled.expect(200);
    let task = user.task(&id).await;
    assert_eq!(task["status"], "cancelled");
    let history = task["history"].to_string();
    assert!(history.contains("Cancellation requested: no reason given"), "{history}");
    assert!(history.contains("attempt 1 was told at"), "when it noticed: {history}");
    assert_eq!(app.ends_of(&id).await, 1);
}

#[tokio::test]
async fn a_running_task_that_is_cancelled_ends_with_the_reason_and_its_webhook_says_it() {
    let app = TestApp::spawn().await;
    let receiver = Receiver::start();
    let user = app.user().await;
    for (body, why) in [(json!({"reason": "old: no need"}), "old: no need"), (json!({}), "no reason given")] {
        let id = user
            .submit(json!({
                "task_type": "sample",
                "data": {"duration_ms": 60_000, "steps": 6000},
                "callbacks": {"error_url": receiver.url("/error")},
            }))
            .await;
        tokio::join!(
            async {
                app.until_state(&user, &id, "running", Duration::from_secs(10)).await;
                user.post(&format!("/tasks/cancel/{id}"), body).await.expect(200);
            },
            app.drain(),
        );
        let error = json!({"code": "cancelled", "message": why});
        let task = user.task(&id).await;
        assert_eq!((&task["status"], &task["error"]), (&json!("cancelled"), &error));
        let heard = receiver.take();
        let [one] = heard.as_slice() else { panic!("{heard:?}") };
        let event = one.json();
        assert_eq!((&event["type"], &event["data"]["error"]), (&json!("halyard.task.cancelled"), &error));
    }
}

#[tokio::test]
async fn the_reason_that_was_given_first_is_the_error_whatever_the_attempt_ends_with() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "sample", "data": {}})).await;
    let mut connection = app.connect().await;
    let attempt = claimed_by("slow", &app, &mut connection).await;
    for reason in ["the first", "the second"] {
        user.post(&format!("/tasks/cancel/{id}"), json!({"reason": reason})).await.expect(200);
        let task = user.task(&id).await;
        assert_eq!((&task["status"], &task["cancel_requested"]), (&json!("running"), &json!(true)));
        assert_eq!(task["error"], json!({"code": "cancelled", "message": "the first"}));
    }
    let end = Finish {
        id: attempt.id,
        fence: attempt.fence,
        ending: Ending::Finished { state: TaskState::Cancelled, result: None, error: Some("busy: later".to_owned()) },
        failed: true,
        lease_lost: false,
        message: "it failed once it was told".to_owned(),
        progress: None,
        checkpoint: None,
    };
    assert_eq!(tasks::finish(&mut connection, &[end], Some(app.now())).await.expect("an answer").len(), 1);
    let task = user.task(&id).await;
    assert_eq!(task["error"], json!({"code": "cancelled", "message": "the first"}), "not what came of it: {task}");
    app.drain().await;
}

#[tokio::test]
async fn by_force_a_running_task_is_cancelled_at_once_whatever_its_attempt_still_writes() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "sample", "data": {}})).await;
    let mut connection = app.connect().await;
    let attempt = claimed_by("deaf", &app, &mut connection).await;
    let answer = user.post(&format!("/tasks/cancel/{id}"), json!({"reason": "it hangs", "force": true})).await;
    assert_snapshot!("by_force", answer.expect(200));
    let cancelled = user.task(&id).await;
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(cancelled["error"], json!({"code": "cancelled", "message": "it hangs"}));

    let now = Some(app.now());
    let renewal = Renewal { id: attempt.id, fence: attempt.fence, progress: None, checkpoint: None, note: None };
    let renewed = tasks::renew(&mut connection, &[renewal], Duration::from_secs(15), now).await.expect("an answer");
    assert!(renewed.is_empty(), "the attempt has lost its task");
    let end = Finish {
        id: attempt.id,
        fence: attempt.fence,
        ending: Ending::Finished { state: TaskState::Completed, result: None, error: None },
        failed: false,
        lease_lost: false,
        message: "too late".to_owned(),
        progress: None,
        checkpoint: None,
    };
    assert!(tasks::finish(&mut connection, &[end], now).await.expect("an answer").is_empty());
    app.advance(chrono::Duration::minutes(1));
    app.beat().await;
    app.drain().await;
    let task = user.task(&id).await;
    assert_eq!(task["status"], "cancelled");
    assert!(task["history"].to_string().contains("by force, attempt 1 fenced off: it hangs"), "{task}");
    assert_eq!((app.runs_of(&id).await, app.ends_of(&id).await), (1, 1));
}

#[tokio::test]
async fn what_waits_for_the_key_of_a_task_that_is_cancelled_by_force_is_rung_for() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let keyed = || json!({"task_type": "sample", "data": {}, "concurrency_key": "printer"});
    let id = user.submit(keyed()).await;
    let mut connection = app.connect().await;
    claimed_by("deaf", &app, &mut connection).await;
    let next = user.submit(keyed()).await;
    app.drain_eligible().await;
    assert_eq!(user.state_of(&next).await, "queued", "its doorbell was heard for nothing");
    user.post(&format!("/tasks/cancel/{id}"), json!({"force": true})).await.expect(200);
    app.drain().await;
    assert_eq!(user.state_of(&next).await, "completed");
}

#[tokio::test]
async fn an_attempt_that_was_fenced_off_is_stopped_at_its_next_renewal() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let data = json!({"duration_ms": 120_000, "steps": 6000});
    let id = user.submit(json!({"task_type": "sample", "data": data})).await;
    // The worker is done once the attempt has stopped.
    let (cancelled, ()) = tokio::join!(
        async {
            app.until_state(&user, &id, "running", Duration::from_secs(10)).await;
            let answer = user.post(&format!("/tasks/cancel/{id}"), json!({"force": true})).await;
            assert_eq!(user.state_of(&id).await, "cancelled", "at once");
            answer
        },
        app.drain(),
    );
    assert_eq!(cancelled.expect(200).json()["data"]["status"], "cancelled");
    assert_eq!(app.ends_of(&id).await, 1);
}
