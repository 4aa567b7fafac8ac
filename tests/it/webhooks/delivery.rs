//! From owed to delivered, or given up.

use chrono::Duration;
use halyard_tests::{Receiver, Reply, TestApp};
use serde_json::{Value, json};

use super::{finished, notify, states, task};

/// Seconds until the next attempt of the only delivery.
async fn wait(app: &TestApp) -> i64 {
    let sql = "select ceil(extract(epoch from due_at - $1))::bigint from webhook_deliveries";
    app.count_of(sql, app.now()).await
}

#[tokio::test]
async fn what_fails_is_tried_again_under_the_same_id_with_the_same_body() {
    let app = TestApp::spawn().await;
    let receiver = Receiver::start();
    let user = app.user().await;
    receiver.reply(Reply::status(500).body("\u{0}it \u{1b}[31mbroke\n"));
    receiver.reply(Reply::status(404));
    finished(&app, &user, &receiver).await;
    assert_eq!(states(&app).await, "completed owed 1");
    assert!((4..=5).contains(&wait(&app).await));
    app.advance(Duration::seconds(6));
    app.drain().await;
    assert_eq!(states(&app).await, "completed owed 2", "the notifier rang for it itself");
    assert!((24..=30).contains(&wait(&app).await));
    app.advance(Duration::seconds(31));
    app.drain().await;
    assert_eq!(states(&app).await, "completed delivered 3");
    let heard = receiver.take();
    assert_eq!(heard.len(), 3);
    assert!(heard.iter().all(|h| h.id() == heard[0].id() && h.body == heard[0].body));
    assert_ne!(heard[0].headers["webhook-timestamp"], heard[2].headers["webhook-timestamp"]);
    let kept = app.text("select response from webhook_attempts where attempt = 1").await;
    assert_eq!(kept, "\u{fffd}it \u{fffd}[31mbroke\n");
}

#[tokio::test]
async fn an_endpoint_that_never_answers_well_is_given_up_after_a_day() {
    let app = TestApp::spawn().await;
    let receiver = Receiver::start();
    let user = app.user().await;
    receiver.otherwise(Reply::status(500));
    finished(&app, &user, &receiver).await;
    for _ in 0..10 {
        let wait = wait(&app).await;
        app.advance(Duration::seconds(wait + 1));
        app.beat().await;
        app.drain().await;
    }
    assert_eq!(states(&app).await, "completed failed 11");
    assert_eq!(receiver.count(), 11);
    assert_eq!(app.count("select count(*) from webhook_attempts where error = 'answered 500'").await, 11);
}

#[tokio::test]
async fn retry_after_is_obeyed() {
    let app = TestApp::spawn().await;
    let receiver = Receiver::start();
    let user = app.user().await;
    receiver.reply(Reply::status(429).header("retry-after", "3600"));
    finished(&app, &user, &receiver).await;
    assert_eq!(wait(&app).await, 3_600);
    app.advance(Duration::minutes(59));
    assert_eq!(app.beat().await["webhooks"]["due"], json!(null), "not yet");
    app.advance(Duration::minutes(2));
    assert_eq!(app.beat().await["webhooks"]["rung"], 1, "too late for a delayed message: beat rings");
    app.drain().await;
    assert_eq!(states(&app).await, "completed delivered 2");
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_disabled_until_its_owner_enables_it() {
    let app = TestApp::spawn().await;
    let receiver = Receiver::start();
    let user = app.user().await;
    receiver.reply(Reply::status(410));
    finished(&app, &user, &receiver).await;
    assert_eq!(states(&app).await, "completed failed 1");
    app.advance(Duration::seconds(1));
    finished(&app, &user, &receiver).await;
    assert_eq!(states(&app).await, "completed failed 1, completed skipped 0");
    assert_eq!(receiver.take().len(), 1, "nothing was sent there any more");
    let list = user.get("/tasks/webhooks/endpoints").await.expect(200).json();
    let endpoint = &list["data"]["items"][0];
    assert_eq!((&endpoint["enabled"], &endpoint["disabled_reason"]), (&json!(false), &json!("gone")));
    let enable = json!({"url": receiver.url("/completion")});
    app.user_named("other").await.post("/tasks/webhooks/endpoints/enable", enable.clone()).await.expect(404);
    user.post("/tasks/webhooks/endpoints/enable", enable).await.expect(200);
    app.advance(Duration::seconds(1));
    finished(&app, &user, &receiver).await;
    assert_eq!(receiver.count(), 1);
}

#[tokio::test]
async fn an_endpoint_that_fails_for_days_is_disabled() {
    let app = TestApp::spawn().await;
    let receiver = Receiver::start();
    let user = app.user().await;
    receiver.otherwise(Reply::status(500));
    finished(&app, &user, &receiver).await;
    app.execute("update webhook_endpoints set failures = 30").await;
    app.advance(Duration::hours(71));
    notify(&app).await;
    assert_eq!(app.count("select count(*) from webhook_endpoints where disabled_at is not null").await, 0);
    app.execute("update webhook_deliveries set state = 'owed', ended_at = null").await;
    app.advance(Duration::hours(2));
    notify(&app).await;
    assert_eq!(app.text("select disabled_reason from webhook_endpoints").await, "failing");
    app.leave_unfinished();
}

#[tokio::test]
async fn redirects_are_refused() {
    let app = TestApp::spawn().await;
    let (receiver, other) = (Receiver::start(), Receiver::start());
    let user = app.user().await;
    receiver.reply(Reply::status(307).header("location", &other.url("/")));
    finished(&app, &user, &receiver).await;
    assert_eq!(app.text("select error from webhook_deliveries").await, "redirects are not followed: 307");
    assert_eq!((receiver.count(), other.count()), (1, 0));
    app.leave_unfinished();
}

#[tokio::test]
async fn of_a_huge_answer_a_kilobyte_is_kept() {
    let app = TestApp::spawn().await;
    let receiver = Receiver::start();
    let user = app.user().await;
    receiver.reply(Reply::status(200).body(vec![b'x'; 5_000_000]));
    finished(&app, &user, &receiver).await;
    assert_eq!(states(&app).await, "completed delivered 1");
    assert_eq!(app.count("select length(response)::bigint from webhook_attempts").await, 1_024);
}

#[tokio::test]
async fn what_may_not_be_called_is_given_up_at_once_and_said_at_submit_where_it_can_be() {
    let app = TestApp::builder().var("OUTBOUND_ALLOW_PRIVATE", "192.0.2.1").spawn().await;
    let receiver = Receiver::start();
    let user = app.user().await;
    let task = super::task(&receiver, &json!({}));
    let answer = user.post("/tasks/submit", task.clone()).await.expect(422).json();
    assert_eq!(answer["errors"][0]["pointer"], "/callbacks/progress_url");
    assert_eq!(answer["errors"][0]["code"], "forbidden_address");
    // As if the name had been harmless when it was submitted.
    let mut later = task;
    later["callbacks"] = json!({"completion_url": "https://hooks.example/"});
    let id = user.submit(later).await;
    let url = receiver.url("/completion");
    app.change_task(&id, &format!(r#"callbacks = '{{"completion_url": "{url}"}}'"#)).await;
    app.drain().await;
    assert_eq!(states(&app).await, "completed failed 1");
    let why = app.text("select error from webhook_deliveries").await;
    assert_eq!(why, "the URL leads to an address that may not be called: loopback");
    assert_eq!(receiver.count(), 0);
}

#[tokio::test]
async fn webhooks_of_a_disabled_account_are_not_sent() {
    let app = TestApp::spawn().await;
    let receiver = Receiver::start();
    let user = app.user().await;
    user.submit(super::task(&receiver, &json!({}))).await;
    let path = format!("/api/users/{}", user.user_id);
    app.admin().await.patch(&path, json!({"account_status": "disabled"})).await.expect(200);
    app.drain().await;
    assert_eq!(states(&app).await, "completed skipped 0");
    assert_eq!(receiver.count(), 0);
}

#[tokio::test]
async fn an_endpoint_that_fails_holds_nobody_else_up() {
    let app = TestApp::spawn().await;
    let (bad, good) = (Receiver::start(), Receiver::start());
    let user = app.user().await;
    bad.otherwise(Reply::status(500));
    finished(&app, &user, &bad).await;
    app.advance(Duration::seconds(1));
    for _ in 0..20 {
        user.submit(super::task(&bad, &json!({}))).await;
    }
    user.submit(super::task(&good, &json!({}))).await;
    app.drain().await;
    assert_eq!(good.count(), 1);
    assert!(bad.count() < 10, "{}", bad.count());
    app.leave_unfinished();
}

/// Owes so many deliveries more like the only one to a receiver, due so many seconds before that one's event.
async fn owe(app: &TestApp, receiver: &Receiver, count: u32, seconds: u32) {
    let url = receiver.url("/completion");
    app.execute(&format!(
        "insert into webhook_deliveries
             (id, source, user_id, event_at, planned_at, due_at, sequence, source_kind, event, url, data)
         select gen_random_uuid(), source, user_id, event_at, planned_at, event_at - interval '{seconds} s', sequence + i,
                source_kind, event, url, data
         from webhook_deliveries, generate_series(1, {count}) i where url = '{url}'"
    ))
    .await;
}

#[tokio::test]
async fn endpoints_with_hundreds_due_that_fail_or_are_gone_hold_nobody_else_up() {
    let app = TestApp::spawn().await;
    let (gone, bad, good) = (Receiver::start(), Receiver::start(), Receiver::start());
    let user = app.user().await;
    gone.reply(Reply::status(410));
    bad.otherwise(Reply::status(500));
    for receiver in [&gone, &bad, &good] {
        finished(&app, &user, receiver).await;
        assert_eq!(receiver.take().len(), 1);
    }
    // More of each than one claim looks at.
    owe(&app, &gone, 300, 3).await;
    owe(&app, &bad, 300, 2).await;
    owe(&app, &good, 1, 1).await;
    notify(&app).await;
    assert_eq!((gone.count(), good.count()), (0, 1), "one doorbell is enough");
    assert!((1..=10).contains(&bad.count()), "{}", bad.count());
    assert_eq!(app.count("select count(*) from webhook_deliveries where state = 'skipped'").await, 300);
    let due = "select count(*) from webhook_deliveries where state = 'owed' and due_at <= $1";
    assert_eq!(app.count_of(due, app.now()).await, 0);
    app.leave_unfinished();
}

#[tokio::test]
async fn an_endpoint_that_answers_late_holds_nobody_else_up() {
    let app = TestApp::spawn().await;
    let (late, good) = (Receiver::start(), Receiver::start());
    let user = app.user().await;
    for receiver in [&late, &good] {
        finished(&app, &user, receiver).await;
        assert_eq!(receiver.take().len(), 1);
    }
    // More than one claim looks at, and all of it due before the other's.
    owe(&app, &late, 200, 2).await;
    owe(&app, &good, 1, 1).await;
    late.hold();
    app.ring("callbacks", r#"{"v":1,"webhooks":"due"}"#).await;
    let meanwhile = async {
        let heard = async || (good.count() == 1).then_some(());
        halyard_tests::wait::until("the other one's webhook", std::time::Duration::from_secs(30), heard).await;
        assert!(late.count() > 0, "posts to the first one are open");
        late.release();
    };
    tokio::join!(app.poll_once("callbacks"), meanwhile);
    let begun = i64::try_from(late.count()).expect("a number");
    assert!((32..200).contains(&begun), "{begun} were begun, the others put off");
    let delivered = "select count(*) from webhook_deliveries where state = 'delivered'";
    assert_eq!(app.count(delivered).await, 3 + begun, "what was open has ended well");
    app.advance(Duration::seconds(31));
    app.drain().await;
    assert_eq!((late.count(), good.count()), (200, 1), "the notifier rang for what it had put off");
    assert_eq!(app.count(delivered).await, 203);
}

#[tokio::test]
async fn what_becomes_due_while_a_post_is_slow_does_not_wait_for_its_end() {
    let app = TestApp::spawn().await;
    let (late, good) = (Receiver::start(), Receiver::start());
    let user = app.user().await;
    for receiver in [&late, &good] {
        finished(&app, &user, receiver).await;
        assert_eq!(receiver.take().len(), 1);
    }
    owe(&app, &late, 1, 1).await;
    late.hold();
    app.ring("callbacks", r#"{"v":1,"webhooks":"due"}"#).await;
    let heard = async |receiver: &Receiver| {
        let heard = async || (receiver.count() == 1).then_some(());
        halyard_tests::wait::until("a webhook", std::time::Duration::from_secs(30), heard).await;
    };
    let meanwhile = async {
        heard(&late).await;
        // Nobody else hears of it: the notifiers that there are may all have a slow one.
        owe(&app, &good, 1, 1).await;
        heard(&good).await;
        late.release();
    };
    tokio::join!(app.poll_once("callbacks"), meanwhile);
    assert_eq!(app.count("select count(*) from webhook_deliveries where state = 'delivered'").await, 4);
}

#[tokio::test]
async fn deliveries_are_forgotten_a_month_after_they_ended() {
    let app = TestApp::spawn().await;
    let receiver = Receiver::start();
    let user = app.user().await;
    finished(&app, &user, &receiver).await;
    app.advance(Duration::days(29));
    app.beat().await;
    assert_eq!(app.count("select count(*) from webhook_attempts").await, 1);
    app.advance(Duration::days(2));
    assert_eq!(app.beat().await["webhooks"]["forgotten"], 1);
    assert_eq!(app.count("select count(*) from webhook_attempts").await, 0);
}

#[tokio::test]
async fn an_endpoint_is_forgotten_a_month_after_it_was_heard_of_unless_it_is_disabled() {
    let app = TestApp::spawn().await;
    let (silent, gone) = (Receiver::start(), Receiver::start());
    let user = app.user().await;
    gone.reply(Reply::status(410));
    for receiver in [&silent, &gone] {
        finished(&app, &user, receiver).await;
    }
    app.advance(Duration::days(29));
    assert_eq!(app.beat().await["webhooks"]["endpoints_forgotten"], 0);
    app.advance(Duration::days(2));
    assert_eq!(app.beat().await["webhooks"]["endpoints_forgotten"], 1);
    assert_eq!(app.text("select string_agg(url, ' ') from webhook_endpoints").await, gone.url("/completion"));
}

#[tokio::test]
async fn an_undecodable_message_comes_again_until_it_is_a_dead_letter() {
    let app = TestApp::spawn().await;
    let event = json!({"v": 2, "webhooks": "due"}).to_string();
    app.ring("callbacks", &event).await;
    assert_eq!(app.poll_once("callbacks").await, 1);
    assert_eq!(app.depth_of("callbacks").await, 0, "an undecodable message stays hidden until it comes again");
}

const SUBJECT: &str = "One of your webhooks was disabled";

#[tokio::test]
async fn the_owner_of_an_endpoint_that_is_disabled_is_told_by_mail_once() {
    let app = TestApp::spawn().await;
    let receiver = Receiver::start();
    let user = app.user().await;
    let address = "user@example.com";
    app.verify_address_of("user").await;
    let told = || app.mails_to(address).into_iter().filter(|mail| mail.message.subject == SUBJECT).collect::<Vec<_>>();
    receiver.reply(Reply::status(410));
    finished(&app, &user, &receiver).await;
    assert!(told().is_empty(), "beat sends it");
    app.beat().await;
    let mails = told();
    assert_eq!(mails.len(), 1);
    assert!(mails[0].message.text.contains("/tasks/webhooks/endpoints"), "{}", mails[0].message.text);
    assert!(!mails[0].message.text.contains("http://"), "nothing that somebody wrote: {}", mails[0].message.text);
    // What is skipped, and a later failure, say nothing new.
    app.advance(Duration::minutes(2));
    finished(&app, &user, &receiver).await;
    app.beat().await;
    assert_eq!(told().len(), 1);
    // Disabled once more after it was enabled is news.
    user.post("/tasks/webhooks/endpoints/enable", json!({"url": receiver.url("/completion")})).await.expect(200);
    receiver.reply(Reply::status(410));
    app.advance(Duration::minutes(2));
    finished(&app, &user, &receiver).await;
    app.beat().await;
    assert_eq!(told().len(), 2);
}

#[tokio::test]
async fn an_address_that_nobody_has_confirmed_is_not_told_of_endpoints() {
    let app = TestApp::spawn().await;
    let receiver = Receiver::start();
    let user = app.user().await;
    receiver.reply(Reply::status(410));
    finished(&app, &user, &receiver).await;
    app.beat().await;
    assert!(app.mails().iter().all(|mail| mail.message.subject != SUBJECT));
}

#[tokio::test]
async fn a_result_is_told_however_deep_it_is() {
    let app = TestApp::spawn().await;
    let (receiver, user) = (Receiver::start(), app.user().await);
    // Each step wraps the result of the one before it, until that is deeper than what is decoded.
    let mut data = json!("deep");
    for _ in 0..90 {
        data = json!([data]);
    }
    let step = |data: Value, more: Value| {
        let mut step = task(&receiver, &data);
        step["input_from"] = more;
        step
    };
    let mut steps = vec![step(json!({"message": data}), Value::Null)];
    steps.extend((0..40).map(|_| step(json!({}), json!("previous"))));
    steps[0].as_object_mut().expect("an object").remove("input_from");
    user.post("/tasks/chain", json!({"tasks": steps})).await.expect(200);
    app.drain().await;
    let of = |condition: &str| format!("select count(*) from {condition}");
    let completed = app.count(&of("tasks where state = 'completed'")).await;
    assert!((2..41).contains(&completed), "{completed} of 41 could be decoded");
    assert_eq!(app.count(&of("webhook_deliveries where event = 'completed' and state = 'delivered'")).await, completed);
    assert_eq!(app.count(&of("webhook_deliveries where state = 'owed'")).await, 0);
}
