use chrono::Duration;
use halyard_tests::{Actor, TestApp, TestResponse};
use http::Method;
use serde_json::json;

use super::audited::entries;
use crate::assert_snapshot;

async fn refresh(app: &TestApp, token: &str) -> TestResponse {
    app.anonymous().request(Method::POST, "/auth/refresh").bearer(token).send().await
}

fn refresh_token(actor: &Actor) -> String {
    actor.refresh_token.clone().expect("a refresh token")
}

fn next(answer: TestResponse) -> String {
    answer.expect(200).json()["data"]["refresh_token"].as_str().expect("a refresh token").to_owned()
}

#[tokio::test]
async fn refresh_gives_new_tokens_of_the_same_session() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    app.advance(Duration::minutes(10));
    let answer = refresh(&app, &refresh_token(&admin)).await.expect(200);
    assert_snapshot!("refreshed", answer);
    let json = answer.json();
    assert_eq!(json["access_token"], json["data"]["access_token"]);
    let renewed = admin.with_token(json["access_token"].as_str().expect("a token"));
    renewed.get("/api/protected").await.expect(200);
}

#[tokio::test]
async fn refresh_takes_the_token_in_the_body_too() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    let body = json!({"refresh_token": refresh_token(&admin)});
    app.anonymous().post("/auth/refresh", body).await.expect(200);
}

#[tokio::test]
async fn refresh_with_a_reused_token_revokes_the_family() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    let first = refresh_token(&admin);
    let second = next(refresh(&app, &first).await);
    let third = next(refresh(&app, &second).await);
    assert_snapshot!("reused", refresh(&app, &first).await.expect(401));
    refresh(&app, &first).await.expect(401);
    let kept = entries(&app, "session.replay").await;
    let [(None, target, detail)] = kept.as_slice() else { panic!("one family ended once: {kept:?}") };
    assert!(target.starts_with("session:"), "{target}");
    assert_eq!((&detail["user_id"], &detail["address"]), (&json!(1), &json!("127.0.0.1")), "{detail}");
    refresh(&app, &third).await.expect_problem(401, "token_revoked");
    app.advance(Duration::seconds(6));
    admin.get("/api/protected").await.expect_problem(401, "token_revoked");
}

#[tokio::test]
async fn a_refresh_whose_answer_was_lost_may_be_repeated_for_a_moment() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    let first = refresh_token(&admin);
    let second = next(refresh(&app, &first).await);
    app.advance(Duration::seconds(5));
    assert_eq!(next(refresh(&app, &first).await), second, "the same next token, not another");
    app.advance(Duration::seconds(60));
    refresh(&app, &first).await.expect(401);
    refresh(&app, &second).await.expect_problem(401, "token_revoked");
}

#[tokio::test]
async fn two_refreshes_at_once_end_with_one_and_the_same_token() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    let token = refresh_token(&admin);
    let (one, two) = tokio::join!(refresh(&app, &token), refresh(&app, &token));
    let (one, two) = (next(one), next(two));
    assert_eq!(one, two);
    next(refresh(&app, &one).await);
}

#[tokio::test]
async fn fifty_refreshes_at_once_are_one_step_of_one_chain() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let admin = app.admin().await;
    let mut token = refresh_token(&admin);
    for _ in 0..3 {
        let answers = futures::future::join_all((0..50).map(|_| refresh(&app, &token))).await;
        let mut given: Vec<String> = answers.into_iter().map(next).collect();
        given.dedup();
        assert_eq!(given.len(), 1, "one chain: {given:?}");
        assert_ne!(given[0], token, "a step further");
        token = given.remove(0);
    }
    let sessions = admin.get("/auth/sessions").await.expect(200).json();
    assert_eq!(sessions["data"]["items"].as_array().map(Vec::len), Some(1), "{sessions}");
}

#[tokio::test]
async fn refresh_refuses_an_access_token() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    let access = admin.access_token.clone().expect("a token");
    assert_snapshot!("access_token", refresh(&app, &access).await.expect(401));
}

#[tokio::test]
async fn refresh_refuses_what_it_did_not_issue() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    let mut forged = refresh_token(&admin);
    let last = if forged.pop() == Some('A') { 'B' } else { 'A' };
    forged.push(last);
    for token in ["nonsense", "hr_", forged.as_str()] {
        refresh(&app, token).await.expect(401);
    }
    assert_snapshot!("without_token", app.anonymous().request(Method::POST, "/auth/refresh").send().await.expect(401));
    next(refresh(&app, &refresh_token(&admin)).await);
}

#[tokio::test]
async fn a_refresh_token_ends_with_its_family() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    app.advance(Duration::days(31));
    refresh(&app, &refresh_token(&admin)).await.expect(401);
}
