use halyard_tests::TestApp;
use serde_json::json;

use crate::assert_snapshot;

#[tokio::test]
async fn login_gives_tokens_and_the_user() {
    let app = TestApp::spawn().await;
    let body = json!({"username": "admin", "password": "admin123"});
    let answer = app.anonymous().post("/auth/login", body).await.expect(200);
    assert_snapshot!("signed_in", answer);
    let json = answer.json();
    for field in ["access_token", "refresh_token", "token_type", "expires_in"] {
        assert_eq!(json[field], json["data"][field], "{field} is repeated at the top");
    }
}

#[tokio::test]
async fn login_takes_a_verified_address_in_place_of_the_name() {
    let app = TestApp::spawn().await;
    let maria = app.user_named("maria").await;
    let by_address = json!({"username": "MARIA@example.com", "password": maria.password});
    // Before that it is not known to be hers.
    app.anonymous().post("/auth/login", by_address).await.expect_problem(401, "invalid_credentials");
    app.verify_address_of("maria").await;
    let again = app.login("MARIA@example.com", &maria.password).await;
    assert_eq!(again.user_id, maria.user_id);
}

#[tokio::test]
async fn login_answers_an_unknown_name_as_it_answers_a_wrong_password() {
    let app = TestApp::spawn().await;
    app.user_named("maria").await;
    let attempt = async |name: &str| {
        app.anonymous().post("/auth/login", json!({"username": name, "password": "wrong password"})).await.expect(401)
    };
    let (wrong, unknown) = (attempt("maria").await, attempt("nobody-here").await);
    assert_snapshot!("wrong_password", wrong);
    let without_id = |answer: halyard_tests::TestResponse| {
        let mut json = answer.json();
        json["request_id"].take();
        (json, answer.header("www-authenticate").to_owned())
    };
    assert_eq!(without_id(wrong), without_id(unknown));
}

#[tokio::test]
async fn login_names_the_missing_fields() {
    let app = TestApp::spawn().await;
    let answer = app.anonymous().post("/auth/login", json!({"username": 5})).await.expect(422);
    assert_snapshot!("missing_fields", answer);
}

#[tokio::test]
async fn login_refuses_a_disabled_account() {
    let app = TestApp::spawn().await;
    let maria = app.user_named("maria").await;
    app.execute("update users set status = 'disabled' where username = 'maria'").await;
    let body = json!({"username": "maria", "password": maria.password});
    let answer = app.anonymous().post("/auth/login", body).await;
    assert!(matches!(answer.code(), 401 | 403), "{}", answer.text());
    assert!(answer.json()["data"].is_null());
}

#[tokio::test]
async fn five_quick_successful_logins_pass() {
    let app = TestApp::spawn().await;
    for _ in 0..5 {
        app.admin().await;
    }
}

#[tokio::test]
async fn guessing_passwords_is_stopped_and_the_right_password_too_until_the_limit_has_passed() {
    let app = TestApp::spawn().await;
    app.user_named("maria").await;
    app.advance(chrono::Duration::minutes(2));
    let attempt = async |password: &str| {
        app.anonymous().post("/auth/login", json!({"username": "maria", "password": password})).await
    };
    let mut wait = None;
    for n in 0..6 {
        let answer = attempt(&format!("wrong password {n}")).await;
        if answer.code() == 429 {
            assert_snapshot!("too_many_failures", answer);
            wait = answer.header("retry-after").parse::<i64>().ok();
            break;
        }
        answer.expect(401);
    }
    let wait = wait.expect("a refusal within six guesses");
    attempt("correct horse battery").await.expect(429);
    app.advance(chrono::Duration::seconds(wait.max(60)));
    attempt("correct horse battery").await.expect(200);
}

#[tokio::test]
async fn login_records_when_and_how_often() {
    let app = TestApp::spawn().await;
    let maria = app.user_named("maria").await;
    app.advance(chrono::Duration::minutes(5));
    let again = app.login("maria", &maria.password).await;
    let user = again.get("/auth/profile").await.expect(200).json()["data"]["user"].take();
    assert_eq!(user["login_count"], 2);
    assert_eq!(user["last_login"], json!(app.now_text()));
}
