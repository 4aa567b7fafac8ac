use std::time::{Duration as Time, Instant};

use chrono::Duration;
use halyard_cloud::mail::MailError;
use halyard_tests::{TestApp, TestResponse};
use serde_json::json;

use super::audited::entries;
use crate::assert_snapshot;

pub const SUBJECT: &str = "Set a new password";

pub async fn forgot(app: &TestApp, address: &str) -> TestResponse {
    app.anonymous().post("/auth/password/forgot", json!({"email": address})).await
}

/// An answer without what differs between any two: its ids, and what is left of the caller's limits.
fn shape(answer: &TestResponse) -> (u16, String, Vec<String>) {
    let mut headers: Vec<String> = answer
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {value:?}"))
        .filter(|line| {
            !["x-request-id", "traceparent", "apigw-requestid", "ratelimit:"].iter().any(|name| line.starts_with(name))
        })
        .collect();
    headers.sort();
    (answer.code(), answer.text(), headers)
}

#[tokio::test]
async fn everybody_gets_the_same_answer_and_only_an_active_account_a_mail() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    for name in ["known", "verified", "disabled"] {
        app.user_named(name).await;
    }
    app.execute("update users set email_verified = true where username = 'verified'").await;
    app.execute("update users set status = 'disabled' where username = 'disabled'").await;
    let mut answers = Vec::new();
    for name in ["known", "verified", "disabled", "unknown"] {
        answers.push(forgot(&app, &format!("{name}@example.com")).await.expect(200));
        let expected = usize::from(["known", "verified"].contains(&name));
        let sent = app.subjects_to(&format!("{name}@example.com"));
        assert_eq!(sent.iter().filter(|subject| *subject == SUBJECT).count(), expected, "{name}");
    }
    assert_snapshot!("answer", &answers[0]);
    for answer in &answers {
        assert_eq!(shape(answer), shape(&answers[0]));
    }
}

#[tokio::test]
async fn an_account_is_found_by_its_address_without_regard_to_case_and_written_to_as_it_wrote_itself() {
    let app = TestApp::spawn().await;
    app.user_named("maria").await;
    forgot(&app, "Maria@EXAMPLE.com").await.expect(200);
    assert_eq!(app.subjects_to("maria@example.com")[0], SUBJECT);
    assert_eq!(app.subjects_to("Maria@EXAMPLE.com"), Vec::<String>::new());
}

#[tokio::test]
async fn the_answer_comes_after_a_fixed_time_whether_there_is_an_account_or_not() {
    const AFTER: u64 = 250;
    let app = TestApp::builder().without_rate_limits().var("FORGOT_ANSWER_MS", &AFTER.to_string()).spawn().await;
    app.user_named("maria").await;
    for address in ["maria@example.com", "nobody@example.com"] {
        let began = Instant::now();
        forgot(&app, address).await.expect(200);
        assert!(began.elapsed() >= Time::from_millis(AFTER), "{address}: {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn the_same_is_asked_of_the_database_for_an_account_and_for_none() {
    let app = TestApp::builder().without_rate_limits().counting().spawn().await;
    app.user_named("maria").await;
    forgot(&app, "warm@example.com").await.expect(200);
    let known = app.trips(1, async || drop(forgot(&app, "maria@example.com").await.expect(200))).await;
    let unknown = app.trips(1, async || drop(forgot(&app, "nobody@example.com").await.expect(200))).await;
    assert_eq!(known, unknown);
}

#[tokio::test]
async fn a_stranger_cannot_flood_a_mailbox_and_is_not_told() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    app.user_named("maria").await;
    let resets = || app.subjects_to("maria@example.com").iter().filter(|subject| *subject == SUBJECT).count();
    let first = forgot(&app, "maria@example.com").await.expect(200);
    for address in ["maria@example.com", "MARIA@example.com"] {
        assert_eq!(shape(&forgot(&app, address).await), shape(&first));
    }
    assert_eq!(resets(), 1, "one a minute");
    for _ in 0..20 {
        app.advance(Duration::minutes(2));
        forgot(&app, "maria@example.com").await.expect(200);
    }
    assert_eq!(resets(), 5, "five an hour");
    app.advance(Duration::minutes(30));
    forgot(&app, "maria@example.com").await.expect(200);
    assert_eq!(resets(), 6, "the next hour");
}

#[tokio::test]
async fn of_many_requests_at_once_one_sends_a_mail() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    app.user_named("maria").await;
    let answers = futures::future::join_all((0..8).map(|_| forgot(&app, "maria@example.com"))).await;
    assert!(answers.iter().all(|answer| answer.code() == 200));
    assert_eq!(app.subjects_to("maria@example.com").iter().filter(|subject| *subject == SUBJECT).count(), 1);
}

#[tokio::test]
async fn an_address_is_asked_for_five_times_a_minute_from_one_place() {
    let app = TestApp::spawn().await;
    for _ in 0..5 {
        forgot(&app, "nobody@example.com").await.expect(200);
    }
    forgot(&app, "nobody@example.com").await.expect_problem(429, "rate_limited");
    forgot(&app, "somebody@example.com").await.expect(200);
}

#[tokio::test]
async fn a_request_is_audited_for_the_account_and_for_nobody_else() {
    let app = TestApp::spawn().await;
    let maria = app.user_named("maria").await;
    for address in ["maria@example.com", "nobody@example.com"] {
        forgot(&app, address).await.expect(200);
    }
    let kept = entries(&app, "user.forgot_password").await;
    let [(None, target, detail)] = kept.as_slice() else { panic!("{kept:?}") };
    assert_eq!(*target, format!("user:{}", maria.user_id));
    assert!(!detail.to_string().contains("hm_"), "{detail}");
}

#[tokio::test]
async fn a_mail_service_that_is_down_changes_no_answer() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    app.user_named("maria").await;
    let before = forgot(&app, "nobody@example.com").await;
    for error in [MailError::Unavailable("down".to_owned()), MailError::Refused("no".to_owned())] {
        app.break_mail(Some(error));
        assert_eq!(shape(&forgot(&app, "maria@example.com").await), shape(&before));
        app.advance(Duration::minutes(2));
    }
}

#[tokio::test]
async fn a_bad_body_is_named() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let post = async |body| app.anonymous().post("/auth/password/forgot", body).await;
    assert_snapshot!("missing", post(json!({})).await.expect(422));
    post(json!({"email": "nobody"})).await.expect(422);
    post(json!({"email": "a@b.example", "username": "admin"})).await.expect(422);
}
