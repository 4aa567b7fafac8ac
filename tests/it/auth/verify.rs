use chrono::Duration;
use halyard_tests::{Actor, TestApp, TestResponse};
use serde_json::{Value, json};

use super::audited::entries;
use crate::assert_snapshot;

const SUBJECT: &str = "Confirm your e-mail address";
const ADDRESS: &str = "maria@example.com";

async fn verify(app: &TestApp, token: &str) -> TestResponse {
    app.anonymous().post("/auth/email/verify", json!({ "token": token })).await
}

async fn profile(actor: &Actor) -> (Value, String) {
    let answer = actor.get("/auth/profile").await.expect(200);
    (answer.json()["data"]["user"].take(), answer.header("etag").to_owned())
}

async fn spawn() -> (TestApp, Actor) {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let maria = app.user_named("maria").await;
    (app, maria)
}

#[tokio::test]
async fn an_account_is_mailed_a_token_that_verifies_its_address_once() {
    let (app, maria) = spawn().await;
    let (user, before) = profile(&maria).await;
    assert_eq!(user["email_verified"], false);
    let token = app.mailed_token(ADDRESS, SUBJECT);
    assert_snapshot!("verified", verify(&app, &token).await.expect(200));
    let (user, after) = profile(&maria).await;
    assert_eq!(user["email_verified"], true);
    assert_ne!(before, after, "the profile has another entity tag");
    assert_snapshot!("again", verify(&app, &token).await.expect(422));
    let kept = entries(&app, "user.verify_email").await;
    let [(None, target, _)] = kept.as_slice() else { panic!("{kept:?}") };
    assert_eq!(*target, format!("user:{}", maria.user_id));
}

#[tokio::test]
async fn a_token_verifies_the_address_that_it_was_sent_to_and_no_other() {
    let (app, maria) = spawn().await;
    let old = app.mailed_token(ADDRESS, SUBJECT);
    app.verify_address_of("maria").await;
    maria.put("/auth/profile", json!({"email": "maria@example.org"})).await.expect(200);
    verify(&app, &old).await.expect_problem(422, "token_invalid");
    assert_eq!(profile(&maria).await.0["email_verified"], false);
    let new = app.mailed_token("maria@example.org", SUBJECT);
    verify(&app, &new).await.expect(200);
    assert_eq!(profile(&maria).await.0["email_verified"], true);
    assert_eq!(app.subjects_to(ADDRESS)[0], "Your e-mail address was changed");
    let notice = &app.mails_to(ADDRESS)[0].message;
    assert!(!notice.text.contains("maria@example.org") && !notice.text.contains("#token="), "{}", notice.text);
}

#[tokio::test]
async fn a_change_that_leaves_the_address_as_it_is_mails_nobody() {
    let (app, maria) = spawn().await;
    let sent = app.mails().len();
    for change in [json!({"full_name": "Maria"}), json!({"email": ADDRESS}), json!({"email": "MARIA@example.com"})] {
        maria.put("/auth/profile", change).await.expect(200);
    }
    assert_eq!(app.mails().len(), sent);
}

#[tokio::test]
async fn a_token_expires_after_a_day() {
    let (app, _) = spawn().await;
    let token = app.mailed_token(ADDRESS, SUBJECT);
    app.advance(Duration::hours(24));
    verify(&app, &token).await.expect_problem(422, "token_invalid");
}

#[tokio::test]
async fn the_mail_can_be_asked_for_again_and_voids_the_one_before() {
    let (app, maria) = spawn().await;
    let first = app.mailed_token(ADDRESS, SUBJECT);
    let ask = async || maria.post("/auth/email/verification", json!({})).await;
    let early = ask().await.expect_problem(429, "rate_limited");
    assert_eq!(early.header("retry-after"), "60");
    app.advance(Duration::minutes(1));
    assert_snapshot!("asked", ask().await.expect(200));
    let second = app.mailed_token(ADDRESS, SUBJECT);
    assert_ne!(first, second);
    verify(&app, &first).await.expect_problem(422, "token_invalid");
    verify(&app, &second).await.expect(200);
    app.advance(Duration::minutes(1));
    ask().await.expect_problem(409, "already_verified");
}

#[tokio::test]
async fn of_two_uses_at_once_one_wins() {
    let (app, _) = spawn().await;
    let token = app.mailed_token(ADDRESS, SUBJECT);
    let (one, two) = tokio::join!(verify(&app, &token), verify(&app, &token));
    let mut codes = [one.code(), two.code()];
    codes.sort_unstable();
    assert_eq!(codes, [200, 422]);
    assert_eq!(entries(&app, "user.verify_email").await.len(), 1);
}

#[tokio::test]
async fn nobodys_mailbox_can_be_flooded_by_changes_of_address() {
    let (app, maria) = spawn().await;
    let victim = "victim@example.org";
    for _ in 0..3 {
        maria.put("/auth/profile", json!({ "email": victim })).await.expect(200);
        maria.put("/auth/profile", json!({"email": ADDRESS})).await.expect(200);
    }
    assert_eq!(app.subjects_to(victim).iter().filter(|subject| *subject == SUBJECT).count(), 1);
}

#[tokio::test]
async fn a_token_of_a_disabled_account_is_refused() {
    let (app, _) = spawn().await;
    let token = app.mailed_token(ADDRESS, SUBJECT);
    app.execute("update users set status = 'disabled' where username = 'maria'").await;
    verify(&app, &token).await.expect_problem(422, "token_invalid");
}

#[tokio::test]
async fn what_a_link_opens_is_a_page_that_uses_no_token_up() {
    let (app, _) = spawn().await;
    let token = app.mailed_token(ADDRESS, SUBJECT);
    for (path, field) in [("/auth/email/verify", "name=\"token\""), ("/auth/password/reset", "name=\"new_password\"")] {
        // What a scanner of mails does, and worse.
        app.anonymous().get(&format!("{path}?token={token}")).await.expect(200);
        let page = app.anonymous().get(path).await.expect(200);
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(page.header("cache-control"), "no-store");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
        assert!(page.text().contains(field), "{}", page.text());
        let policy = page.header("content-security-policy").to_owned();
        let nonce =
            policy.split("'nonce-").nth(1).and_then(|rest| rest.split('\'').next()).expect("a nonce").to_owned();
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'none'"), "{policy}");
        assert_eq!(page.text().matches(&format!("nonce=\"{nonce}\"")).count(), 2, "script and style");
        let again = app.anonymous().get(path).await.expect(200);
        assert!(!again.header("content-security-policy").contains(&nonce), "a nonce is for one answer");
    }
    verify(&app, &token).await.expect(200);
}
