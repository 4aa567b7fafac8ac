use chrono::Duration;
use halyard_cloud::mail::MailError;
use halyard_tests::TestApp;
use serde_json::json;

const ADDRESS: &str = "maria@example.com";
const SUBJECT: &str = "Confirm your e-mail address";

fn down() -> MailError {
    MailError::Unavailable("the test broke it".to_owned())
}

async fn state(app: &TestApp) -> String {
    app.text("select string_agg(state || ' ' || attempts, ', ' order by id) from mails").await
}

/// The beat a while later; its report.
async fn beat_after(app: &TestApp, wait: Duration) -> serde_json::Value {
    app.advance(wait);
    app.beat().await["mails"].clone()
}

#[tokio::test]
async fn a_mail_that_could_not_be_sent_stays_owed_and_beat_sends_it() {
    let app = TestApp::spawn().await;
    app.break_mail(Some(down()));
    let maria = app.user_named("maria").await;
    maria.get("/api/protected").await.expect(200);
    assert_eq!(state(&app).await, "owed 1");
    let report = beat_after(&app, Duration::minutes(1)).await;
    assert_eq!((&report["again"], &report["sent"]), (&json!(1), &json!(0)), "{report}");
    assert_eq!(app.mails(), []);
    app.break_mail(None);
    assert_eq!(beat_after(&app, Duration::seconds(30)).await["sent"], json!(null), "not due yet");
    assert_eq!(beat_after(&app, Duration::minutes(2)).await["sent"], 1);
    assert_eq!(state(&app).await, "sent 3");
    let token = app.mailed_token(ADDRESS, SUBJECT);
    app.anonymous().post("/auth/email/verify", json!({ "token": token })).await.expect(200);
    assert_eq!(beat_after(&app, Duration::hours(1)).await["sent"], json!(null), "sent once");
}

#[tokio::test]
async fn a_mail_whose_sender_died_is_sent_by_beat() {
    let app = TestApp::spawn().await;
    app.break_mail(Some(down()));
    app.user_named("maria").await;
    app.break_mail(None);
    // As it was before the first attempt: written down, and nothing since.
    app.execute("update mails set attempts = 0, error = null, due_at = created_at + interval '30 seconds'").await;
    app.execute("delete from mail_tokens").await;
    assert_eq!(beat_after(&app, Duration::seconds(29)).await["sent"], json!(null), "its sender may be at it");
    assert_eq!(beat_after(&app, Duration::seconds(1)).await["sent"], 1);
    let token = app.mailed_token(ADDRESS, SUBJECT);
    app.anonymous().post("/auth/email/verify", json!({ "token": token })).await.expect(200);
}

#[tokio::test]
async fn a_mail_that_is_refused_is_not_sent_again() {
    let app = TestApp::spawn().await;
    app.break_mail(Some(MailError::Refused("the address does not exist".to_owned())));
    app.user_named("maria").await;
    app.break_mail(None);
    assert_eq!(state(&app).await, "given_up 1");
    assert_eq!(app.text("select error from mails").await, "the address does not exist");
    let report = beat_after(&app, Duration::hours(1)).await;
    assert!(report["errors"].is_null() && report["sent"].is_null(), "{report}");
}

#[tokio::test]
async fn a_mail_is_given_up_when_it_has_become_too_late_or_too_often() {
    let app = TestApp::spawn().await;
    app.break_mail(Some(down()));
    app.user_named("maria").await;
    for minutes in [2, 3, 5, 9, 17, 33, 61, 61, 61, 61, 61] {
        beat_after(&app, Duration::minutes(minutes)).await;
    }
    assert_eq!(state(&app).await, "given_up 12");
    app.break_mail(None);
    app.execute("update mails set state = 'owed', ended_at = null, attempts = 1").await;
    assert_eq!(beat_after(&app, Duration::hours(24)).await["given_up"], 1);
    assert_eq!(app.mails(), []);
}

#[tokio::test]
async fn a_mail_whose_token_would_be_good_for_nothing_is_not_sent() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    app.break_mail(Some(down()));
    let maria = app.user_named("maria").await;
    app.verify_address_of("maria").await;
    maria.put("/auth/profile", json!({"email": "maria@example.org"})).await.expect(200);
    app.break_mail(None);
    let report = beat_after(&app, Duration::minutes(3)).await;
    assert_eq!((&report["sent"], &report["given_up"]), (&json!(2), &json!(1)), "{report}");
    assert_eq!(app.subjects_to(ADDRESS), ["Your e-mail address was changed"]);
    assert_eq!(app.subjects_to("maria@example.org"), [SUBJECT]);
}

#[tokio::test]
async fn two_beats_at_once_send_a_mail_once() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    app.break_mail(Some(down()));
    for n in 0..25 {
        let body =
            json!({"username": format!("user{n}"), "email": format!("u{n}@example.com"), "password": "correct horse"});
        app.anonymous().post("/auth/register", body).await.expect(200);
    }
    app.break_mail(None);
    app.advance(Duration::minutes(2));
    tokio::join!(app.beat(), app.beat());
    app.beat().await;
    assert_eq!(app.mails().len(), 25);
}

#[tokio::test]
async fn mails_are_forgotten_a_week_after_they_ended() {
    let app = TestApp::spawn().await;
    app.user_named("maria").await;
    app.anonymous().post("/auth/password/forgot", json!({"email": "nobody@example.com"})).await.expect(200);
    let rows = async || {
        let of = |table| format!("select count(*) from {table}");
        (app.count(&of("mails")).await, app.count(&of("mail_tokens")).await, app.count(&of("mail_limits")).await)
    };
    assert_eq!(rows().await, (1, 1, 2));
    beat_after(&app, Duration::days(6)).await;
    assert_eq!(rows().await, (1, 0, 0), "expired tokens and idle limits go sooner");
    assert_eq!(beat_after(&app, Duration::days(2)).await["forgotten"], 1);
    assert_eq!(rows().await, (0, 0, 0));
}

#[tokio::test]
async fn without_a_sender_no_mail_leaves_and_everything_else_works() {
    let app = TestApp::builder().var("MAIL_FROM", "").spawn().await;
    app.user_named("maria").await.get("/api/protected").await.expect(200);
    assert_eq!(app.mails(), []);
    assert_eq!(app.text("select state || ': ' || error from mails").await, "given_up: MAIL_FROM is not set");
}

#[tokio::test]
async fn a_changed_password_is_told_to_its_owner() {
    let app = TestApp::spawn().await;
    let maria = app.user_named("maria").await;
    let change = json!({"current_password": maria.password, "new_password": "another long password"});
    maria.post("/auth/password", change).await.expect(200);
    assert_eq!(app.subjects_to(ADDRESS)[0], "Your password was changed");
}

#[tokio::test]
async fn every_mail_says_that_a_machine_sent_it_and_which_it_is() {
    let app = TestApp::spawn().await;
    app.user_named("maria").await;
    let mail = app.mails_to(ADDRESS).remove(0).message;
    assert_eq!(mail.from, "Halyard <no-reply@halyard.test>");
    let header = |name: &str| mail.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
    assert_eq!(header("Auto-Submitted").as_deref(), Some("auto-generated"));
    let id = header("X-Halyard-Mail").expect("an id");
    assert!(id.parse::<halyard_domain::MailId>().is_ok(), "{id}");
    assert!(mail.text.contains("https://api.example.com/auth/email/verify#token=hm_"), "{}", mail.text);
}

#[tokio::test]
async fn a_name_that_somebody_chose_for_somebody_elses_mail_carries_nothing() {
    let app = TestApp::spawn().await;
    let body = json!({
        "username": "evil.example", "email": ADDRESS, "password": "correct horse",
        "full_name": "<a href=\"https://evil.example\">You won</a>",
    });
    app.anonymous().post("/auth/register", body).await.expect(200);
    let mail = app.mails_to(ADDRESS).remove(0).message;
    for body in [&mail.text, &mail.html] {
        assert!(!body.contains("evil") && !body.contains("You won"), "{body}");
    }
}
