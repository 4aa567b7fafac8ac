//! One-time passwords: setting up, signing in, recovering, stepping up.

use chrono::Duration;
use halyard_auth::otp::Secret;
use halyard_tests::{Actor, PASSWORD, TestApp, TestResponse};
use http::Method;
use serde_json::{Value, json};

use super::audited::entries;
use crate::assert_snapshot;

/// Authorizer cache and session cache, and one second to be past both.
const BOUND: Duration = Duration::seconds(11);

/// Somebody with an authenticator.
struct Authenticator {
    secret: Secret,
    recovery_codes: Vec<String>,
}

impl Authenticator {
    fn code(&self, app: &TestApp) -> String {
        self.secret.code(app.now().timestamp().div_euclid(30), 6)
    }
}

fn decode(base32: &str) -> Secret {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits = base32.chars().map(|c| alphabet.find(c).expect("base 32"));
    let (mut bytes, mut buffer, mut n) = (Vec::new(), 0_usize, 0);
    for five in bits {
        buffer = (buffer << 5) | five;
        n += 5;
        if n >= 8 {
            n -= 8;
            bytes.push(u8::try_from(buffer >> n & 255).expect("a byte"));
        }
    }
    Secret::from_bytes(bytes)
}

async fn prepare(actor: &Actor) -> Secret {
    let answer = actor.post("/auth/2fa/setup", json!({})).await.expect(200).json();
    decode(answer["data"]["secret"].as_str().expect("a secret"))
}

async fn set_up(app: &TestApp, actor: &Actor) -> Authenticator {
    let mut made = Authenticator { secret: prepare(actor).await, recovery_codes: Vec::new() };
    let answer = actor.post("/auth/2fa/confirm", json!({"otp": made.code(app)})).await.expect(200).json();
    let codes = answer["data"]["recovery_codes"].as_array().expect("codes");
    made.recovery_codes = codes.iter().map(|code| code.as_str().expect("a code").to_owned()).collect();
    // That code is used up.
    app.advance(Duration::seconds(30));
    made
}

async fn sign_in(app: &TestApp, otp: Option<&str>) -> TestResponse {
    let mut body = json!({"username": "maria", "password": PASSWORD});
    if let Some(otp) = otp {
        body["otp"] = otp.into();
    }
    app.anonymous().post("/auth/login", body).await
}

async fn step_up(actor: &Actor, body: Value) -> TestResponse {
    actor.post("/auth/step-up", body).await
}

#[tokio::test]
async fn an_account_with_an_authenticator_asks_for_its_code() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let maria = app.user_named("maria").await;
    assert_snapshot!("status_without", maria.get("/auth/2fa").await.expect(200));
    let shown = maria.post("/auth/2fa/setup", json!({})).await.expect(200);
    assert_snapshot!("prepared", shown);
    // What is only prepared is not asked for.
    sign_in(&app, None).await.expect(200);
    let made = Authenticator { secret: prepare(&maria).await, recovery_codes: Vec::new() };
    let confirmed = maria.post("/auth/2fa/confirm", json!({"otp": made.code(&app)})).await.expect(200);
    assert_snapshot!("confirmed", confirmed);
    assert_snapshot!("status_with", maria.get("/auth/2fa").await.expect(200));
    assert_snapshot!("otp_required", sign_in(&app, None).await.expect(401));
    assert_snapshot!("otp_wrong", sign_in(&app, Some("000000")).await.expect(401));
    app.advance(Duration::seconds(30));
    let signed_in = sign_in(&app, Some(&made.code(&app))).await.expect(200).json();
    assert_eq!(signed_in["data"]["user"]["two_factor_enabled"], true);
    let token = signed_in["access_token"].as_str().expect("a token");
    let claims: Value = claims(token);
    assert_eq!(claims["amr"], json!(["pwd", "otp"]), "{claims}");
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("a payload");
    serde_json::from_slice(&halyard_auth::encoding::from_base64url(payload).expect("base64url")).expect("claims")
}

#[tokio::test]
async fn a_code_is_good_once_and_one_step_around_now() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let maria = app.user_named("maria").await;
    let made = set_up(&app, &maria).await;
    let step = app.now().timestamp().div_euclid(30);
    let code = |step: i64| made.secret.code(step, 6);
    sign_in(&app, Some(&code(step + 2))).await.expect_problem(401, "invalid_otp");
    sign_in(&app, Some(&code(step - 2))).await.expect_problem(401, "invalid_otp");
    sign_in(&app, Some(&code(step))).await.expect(200);
    sign_in(&app, Some(&code(step))).await.expect_problem(401, "invalid_otp");
    // Nor an earlier one, which somebody may have seen.
    sign_in(&app, Some(&code(step - 1))).await.expect_problem(401, "invalid_otp");
    sign_in(&app, Some(&format!(" {} {} ", &code(step + 1)[..3], &code(step + 1)[3..]))).await.expect(200);
}

#[tokio::test]
async fn of_two_sign_ins_with_one_code_one_is_let_in() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let maria = app.user_named("maria").await;
    let made = set_up(&app, &maria).await;
    let code = made.code(&app);
    let answers = futures::future::join_all((0..8).map(|_| sign_in(&app, Some(&code)))).await;
    let let_in = answers.iter().filter(|answer| answer.code() == 200).count();
    assert_eq!(let_in, 1);
    let recovery = made.recovery_codes[0].clone();
    let answers = futures::future::join_all((0..8).map(|_| sign_in(&app, Some(&recovery)))).await;
    assert_eq!(answers.iter().filter(|answer| answer.code() == 200).count(), 1);
}

#[tokio::test]
async fn a_recovery_code_opens_once_and_is_counted_and_audited() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let maria = app.user_named("maria").await;
    let made = set_up(&app, &maria).await;
    let [first, second, ..] = made.recovery_codes.as_slice() else { panic!("ten codes") };
    sign_in(&app, Some(&first.to_uppercase())).await.expect(200);
    sign_in(&app, Some(first)).await.expect_problem(401, "invalid_otp");
    sign_in(&app, Some(&second.replace('-', " "))).await.expect(200);
    assert_eq!(maria.get("/auth/2fa").await.expect(200).json()["data"]["recovery_codes_left"], 8);
    assert_eq!(entries(&app, "two_factor.use_recovery_code").await.len(), 2);
    let answer = maria.post("/auth/2fa/recovery-codes", json!({})).await.expect(200);
    assert_snapshot!("new_recovery_codes", answer);
    sign_in(&app, Some(&made.recovery_codes[5])).await.expect_problem(401, "invalid_otp");
    let fresh = answer.json()["data"]["recovery_codes"][0].as_str().expect("a code").to_owned();
    sign_in(&app, Some(&fresh)).await.expect(200);
}

#[tokio::test]
async fn nothing_of_it_lies_in_the_database_in_clear() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let maria = app.user_named("maria").await;
    let made = set_up(&app, &maria).await;
    let secret = made.secret.as_bytes().iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().concat();
    let kept = app.count(&format!("select count(*) from second_factors where secret::text like '%{secret}%'")).await;
    assert_eq!(kept, 0);
    assert_eq!(app.count("select count(*) from second_factors where length(secret) = 52").await, 1);
    let plain = made.recovery_codes[0].replace('-', "");
    let codes = format!("select count(*) from recovery_codes where hash = convert_to('{plain}', 'UTF8')");
    assert_eq!(app.count(&codes).await, 0);
    assert_eq!(app.count(&format!("select count(*) from recovery_codes where hash = sha256('{plain}')")).await, 1);
}

#[tokio::test]
async fn a_secret_that_was_put_into_another_row_opens_nothing() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let (maria, mallory) = (app.user_named("maria").await, app.user_named("mallory").await);
    set_up(&app, &maria).await;
    let theirs = set_up(&app, &mallory).await;
    let (from, to) = (mallory.user_id, maria.user_id);
    app.execute(&format!(
        "update second_factors set secret = (select secret from second_factors where user_id = {from}) where user_id = {to}"
    ))
    .await;
    sign_in(&app, Some(&theirs.code(&app))).await.expect_problem(500, "internal");
}

#[tokio::test]
async fn a_second_factor_ends_the_sessions_that_were_opened_without_it() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let maria = app.user_named("maria").await;
    let elsewhere = app.login("maria", PASSWORD).await;
    elsewhere.get("/api/protected").await.expect(200);
    set_up(&app, &maria).await;
    app.advance(BOUND);
    elsewhere.get("/api/protected").await.expect_problem(401, "token_revoked");
    maria.get("/api/protected").await.expect(200);
}

#[tokio::test]
async fn guesses_at_the_code_are_stopped_and_the_right_password_does_not_forget_them() {
    let app = TestApp::builder().without_rate_limits().var("RATE_LIMITS", "on").spawn().await;
    let maria = app.user_named("maria").await;
    let made = set_up(&app, &maria).await;
    let mut stopped = None;
    for n in 0..16 {
        app.advance(Duration::seconds(30));
        let answer = sign_in(&app, Some("000000")).await;
        if answer.code() == 429 {
            stopped = Some((n, answer));
            break;
        }
        answer.expect_problem(401, "invalid_otp");
    }
    let (n, answer) = stopped.expect("guessing goes on for ever");
    assert!((6..=13).contains(&n), "{n}");
    answer.expect_problem(429, "too_many_failures");
    app.advance(Duration::minutes(16));
    sign_in(&app, Some(&made.code(&app))).await.expect(200);
}

#[tokio::test]
async fn what_protects_the_account_is_changed_only_by_whoever_has_shown_lately_who_they_are() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let maria = app.user_named("maria").await;
    app.advance(Duration::minutes(11));
    let refused = maria.post("/auth/2fa/setup", json!({})).await.expect(401);
    assert_snapshot!("step_up_required", refused);
    let challenge = refused.header("www-authenticate");
    assert!(challenge.contains("insufficient_user_authentication") && challenge.contains("max_age=600"), "{challenge}");
    // A refresh is no proof of anything.
    let token = maria.refresh_token.clone().expect("a refresh token");
    let refreshed =
        app.anonymous().request(Method::POST, "/auth/refresh").bearer(&token).send().await.expect(200).json();
    let maria = maria.with_token(refreshed["access_token"].as_str().expect("a token"));
    maria.post("/auth/2fa/setup", json!({})).await.expect_problem(401, "step_up_required");
    step_up(&maria, json!({"password": "wrong password"})).await.expect_problem(422, "validation_failed");
    let stepped = step_up(&maria, json!({"password": PASSWORD})).await.expect(200);
    assert_snapshot!("stepped_up", stepped);
    let fresh = maria.with_token(stepped.json()["data"]["access_token"].as_str().expect("a token"));
    let made = set_up(&app, &fresh).await;
    // From now on the password alone is no step-up.
    app.advance(Duration::minutes(11));
    step_up(&fresh, json!({"password": PASSWORD})).await.expect_problem(422, "validation_failed");
    fresh.request(Method::DELETE, "/auth/2fa").send().await.expect_problem(401, "step_up_required");
    let change = json!({"current_password": PASSWORD, "new_password": "correct horse battery staple"});
    fresh.post("/auth/password", change.clone()).await.expect_problem(401, "step_up_required");
    // Who has the address can set a new password.
    let moved = json!({"email": "maria@example.org"});
    fresh.put("/auth/profile", moved.clone()).await.expect_problem(401, "step_up_required");
    fresh.put("/auth/profile", json!({"full_name": "Maria", "email": "maria@example.com"})).await.expect(200);
    let both = json!({"password": PASSWORD, "otp": made.code(&app)});
    let stepped = step_up(&fresh, both).await.expect(200).json();
    let fresh = fresh.with_token(stepped["data"]["access_token"].as_str().expect("a token"));
    fresh.put("/auth/profile", moved).await.expect(200);
    fresh.post("/auth/password", change).await.expect(200);
    assert_snapshot!("removed", fresh.request(Method::DELETE, "/auth/2fa").send().await.expect(200));
    app.anonymous()
        .post("/auth/login", json!({"username": "maria", "password": "correct horse battery staple"}))
        .await
        .expect(200);
    assert_eq!(entries(&app, "two_factor.enable").await.len(), 1);
    assert_eq!(entries(&app, "two_factor.disable").await.len(), 1);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let maria = app.user_named("maria").await;
    maria.post("/auth/2fa/confirm", json!({"otp": "123456"})).await.expect_problem(409, "two_factor_missing");
    maria.request(Method::DELETE, "/auth/2fa").send().await.expect_problem(409, "two_factor_missing");
    maria.post("/auth/2fa/recovery-codes", json!({})).await.expect_problem(409, "two_factor_missing");
    prepare(&maria).await;
    for otp in ["", "12345", "abcdef", "000000", "１２３４５６", "1\u{0}23456", &"1".repeat(65)] {
        maria.post("/auth/2fa/confirm", json!({"otp": otp})).await.expect_problem(422, "validation_failed");
        app.advance(Duration::minutes(1));
    }
    maria.post("/auth/2fa/confirm", json!({"otp": "123456", "x": 1})).await.expect_problem(422, "validation_failed");
    let made = set_up(&app, &maria).await;
    maria.post("/auth/2fa/setup", json!({})).await.expect_problem(409, "two_factor_enabled");
    maria.post("/auth/2fa/confirm", json!({"otp": made.code(&app)})).await.expect_problem(409, "two_factor_enabled");
}
