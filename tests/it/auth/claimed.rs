//! Addresses that more than one account claims: whoever asks must not learn who has one, and nobody takes one away.

use chrono::Duration;
use halyard_domain::RequestId;
use halyard_tests::{TestApp, TestResponse};
use serde_json::{Value, json};

const ADDRESS: &str = "maria@example.com";
const CLAIMED: &str = "Your e-mail address was given again";
const CONFIRM: &str = "Confirm your e-mail address";
const PASSWORD: &str = "correct horse battery";

async fn spawn() -> TestApp {
    TestApp::builder().without_rate_limits().spawn().await
}

async fn register(app: &TestApp, name: &str, email: &str) -> TestResponse {
    let body = json!({"username": name, "email": email, "password": PASSWORD});
    app.anonymous().post("/auth/register", body).await.expect(200)
}

/// All of an answer but what names the account.
fn telling(answer: &TestResponse) -> (Vec<String>, Value) {
    let mut body = answer.json();
    let user = body["data"]["user"].as_object_mut().expect("a user");
    for own in ["id", "username", "email", "created_at", "password_changed_at"] {
        user.remove(own).expect(own);
    }
    assert!(RequestId::parse(answer.header("x-request-id")).is_some());
    (answer.headers.keys().map(ToString::to_string).collect(), body)
}

#[tokio::test]
async fn register_answers_the_same_for_an_address_that_is_free_claimed_and_verified_by_another() {
    let app = spawn().await;
    let free = register(&app, "maria", ADDRESS).await;
    let claimed = register(&app, "second", "MARIA@example.com").await;
    app.verify_address_of("maria").await;
    let verified = register(&app, "third", ADDRESS).await;
    assert_eq!(telling(&free), telling(&claimed));
    assert_eq!(telling(&free), telling(&verified));
    // Whoever did so is let in by the name and not by the address, whoever has that.
    for name in ["second", "third"] {
        app.login(name, PASSWORD).await;
    }
    register(&app, "fourth", "free@example.com").await;
    for address in ["free@example.com", "nobody@example.com"] {
        let body = json!({"username": address, "password": PASSWORD});
        app.anonymous().post("/auth/login", body).await.expect_problem(401, "invalid_credentials");
    }
}

#[tokio::test]
async fn the_owner_of_an_address_is_told_who_else_claims_it_and_nobody_else_can_verify_it() {
    let app = spawn().await;
    register(&app, "maria", ADDRESS).await;
    app.advance(Duration::minutes(2));
    register(&app, "mallory", ADDRESS).await;
    // Both may still turn out to be the owner.
    let theirs = app.mailed_token(ADDRESS, CONFIRM);
    app.verify_address_of("maria").await;
    app.anonymous().post("/auth/email/verify", json!({"token": theirs})).await.expect_problem(422, "token_invalid");
    let mallory = app.login("mallory", PASSWORD).await;
    for _ in 0..2 {
        app.advance(Duration::minutes(2));
        mallory.post("/auth/email/verification", json!({})).await.expect(200);
        let newest = &app.mails_to(ADDRESS)[0].message;
        assert_eq!(newest.subject, CLAIMED);
        assert!(newest.text.contains("Hello maria") && !newest.text.contains("mallory"), "{}", newest.text);
        assert!(!newest.text.contains("token"), "{}", newest.text);
    }
    let user = mallory.get("/auth/profile").await.expect(200).json()["data"]["user"].take();
    assert_eq!((&user["email"], &user["email_verified"]), (&json!(ADDRESS), &json!(false)));
}

#[tokio::test]
async fn of_two_who_verify_one_address_at_once_one_does() {
    let app = spawn().await;
    let mut tokens = Vec::new();
    for name in ["maria", "mallory"] {
        register(&app, name, ADDRESS).await;
        tokens.push(app.mailed_token(ADDRESS, CONFIRM));
        app.advance(Duration::minutes(2));
    }
    let verify =
        async |token: &String| app.anonymous().post("/auth/email/verify", json!({"token": token})).await.status;
    let answers = futures::future::join_all(tokens.iter().map(verify)).await;
    assert_eq!(answers.iter().filter(|status| status.as_u16() == 200).count(), 1, "{answers:?}");
    assert!(answers.iter().all(|status| [200, 409, 422].contains(&status.as_u16())), "{answers:?}");
    assert_eq!(app.count("select count(*) from users where email_verified and email = 'maria@example.com'").await, 1);
}

#[tokio::test]
async fn a_forgotten_password_is_that_of_whoever_has_verified_the_address() {
    let app = spawn().await;
    register(&app, "squatter", ADDRESS).await;
    register(&app, "maria", ADDRESS).await;
    app.verify_address_of("maria").await;
    app.anonymous().post("/auth/password/forgot", json!({"email": ADDRESS})).await.expect(200);
    let token = app.mailed_token(ADDRESS, "Set a new password");
    let new = json!({"token": token, "new_password": "another horse battery"});
    app.anonymous().post("/auth/password/reset", new).await.expect(200);
    app.login("maria", "another horse battery").await;
    app.login("squatter", PASSWORD).await;
}
