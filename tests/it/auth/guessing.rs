//! Guessing passwords: what a guesser meets, and that nobody else does.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use chrono::Duration;
use halyard_tests::{Actor, PASSWORD, PrivateRedis, TestApp, TestResponse, transport::Remote};
use http::Method;
use serde_json::{Value, json};

use super::audited::entries;
use crate::assert_snapshot;

/// An application that believes what is said of clients' addresses, and a caller.
async fn app() -> (TestApp, Actor) {
    let app = TestApp::builder().listening_behind(&["127.0.0.1"]).spawn().await;
    let caller = Actor::anonymous(Arc::new(Remote::new(&format!("http://{}", app.address()))));
    (app, caller)
}

async fn sign_in(caller: &Actor, address: &str, body: Value) -> TestResponse {
    caller.request(Method::POST, "/auth/login").header("x-forwarded-for", address).json(&body).send().await
}

fn body(name: &str, password: &str) -> Value {
    json!({"username": name, "password": password})
}

/// Failures from ever new addresses until one of them counts no longer; answers with how many did, and how long to wait.
async fn guess_until_stopped(caller: &Actor, name: &str) -> (u32, i64) {
    static ADDRESSES: AtomicU32 = AtomicU32::new(0);
    for n in 0..40 {
        let address = Ipv4Addr::from(0x0a00_0000 + ADDRESSES.fetch_add(1, Ordering::Relaxed)).to_string();
        let answer = sign_in(caller, &address, body(name, &format!("guess number {n}"))).await;
        if answer.code() == 429 {
            assert_eq!(answer.json()["error"], "too_many_failures", "{}", answer.text());
            return (n, answer.header("retry-after").parse().expect("seconds"));
        }
        answer.expect_problem(401, "invalid_credentials");
    }
    panic!("forty guesses, and nobody minds");
}

#[tokio::test]
async fn guesses_from_many_addresses_at_one_account_are_delayed_longer_and_longer() {
    let (app, caller) = app().await;
    app.user_named("maria").await;
    app.advance(Duration::minutes(2));
    let mut waits = Vec::new();
    for _ in 0..4 {
        let (_, wait) = guess_until_stopped(&caller, "maria").await;
        waits.push(wait);
        app.advance(Duration::seconds(wait));
    }
    assert_eq!(waits, [1, 2, 4, 8]);
    let stopped = guess_until_stopped(&caller, "maria").await;
    assert_eq!(stopped, (1, 15));
    let answer = sign_in(&caller, "203.0.113.1", body("maria", "another guess")).await;
    assert_snapshot!("too_many_failures", answer.expect(429));
}

#[tokio::test]
async fn an_account_that_does_not_exist_is_guarded_as_one_that_does() {
    let (app, caller) = app().await;
    app.user_named("maria").await;
    app.advance(Duration::minutes(2));
    let known = guess_until_stopped(&caller, "maria").await;
    app.advance(Duration::days(2));
    assert_eq!(guess_until_stopped(&caller, "nobody-here").await, known);
}

#[tokio::test]
async fn strangers_cannot_lock_out_an_address_that_has_signed_in_before() {
    let (app, caller) = app().await;
    app.user_named("maria").await;
    let home = "192.0.2.7";
    sign_in(&caller, home, body("maria", PASSWORD)).await.expect(200);
    app.advance(Duration::minutes(2));
    guess_until_stopped(&caller, "maria").await;
    sign_in(&caller, "192.0.2.8", body("maria", PASSWORD)).await.expect_problem(429, "too_many_failures");
    sign_in(&caller, home, body("maria", PASSWORD)).await.expect(200);
}

#[tokio::test]
async fn strangers_cannot_lock_out_a_device_that_shows_itself() {
    let (app, caller) = app().await;
    app.user_named("maria").await;
    let first = sign_in(&caller, "192.0.2.7", body("maria", PASSWORD)).await.expect(200).json();
    let token = first["data"]["device_token"].as_str().expect("a device token").to_owned();
    // What Redis knew is gone; the token needs nobody to remember it.
    app.forget_redis().await;
    app.advance(Duration::minutes(2));
    guess_until_stopped(&caller, "maria").await;
    let with = |name: &str, token: &str| json!({"username": name, "password": PASSWORD, "device_token": token});
    for (n, junk) in ["", "hd_", "hd_AAAA", "junk\u{0}", &token[..token.len() - 1]].into_iter().enumerate() {
        sign_in(&caller, &format!("203.0.113.{n}"), with("maria", junk)).await.expect_problem(429, "too_many_failures");
    }
    let again = sign_in(&caller, "192.0.2.9", with("maria", &token)).await.expect(200).json();
    assert_eq!(again["data"]["device_token"], *token, "it stays the same device");
    // Nobody else's account takes it for a known device.
    app.user_named("mallory").await;
    guess_until_stopped(&caller, "mallory").await;
    sign_in(&caller, "192.0.2.10", with("mallory", &token)).await.expect_problem(429, "too_many_failures");
}

#[tokio::test]
async fn a_right_password_forgets_the_wrong_ones_before_it() {
    let (app, caller) = app().await;
    app.user_named("maria").await;
    app.advance(Duration::minutes(2));
    for round in 0..4 {
        for n in 0..5 {
            let address = format!("198.51.100.{}", round * 10 + n);
            sign_in(&caller, &address, body("maria", "mistyped once more")).await.expect(401);
        }
        sign_in(&caller, &format!("203.0.113.{round}"), body("maria", PASSWORD)).await.expect(200);
    }
}

#[tokio::test]
async fn one_address_that_fails_at_many_accounts_is_delayed_at_all_of_them() {
    let (app, caller) = app().await;
    app.user_named("maria").await;
    app.advance(Duration::minutes(2));
    let office = "192.0.2.50";
    for n in 0..21 {
        sign_in(&caller, office, body(&format!("leaked-name-{n}"), "leaked password")).await.expect(401);
    }
    let refused = sign_in(&caller, office, body("maria", PASSWORD)).await;
    refused.expect_problem(429, "too_many_failures");
    sign_in(&caller, "192.0.2.51", body("maria", PASSWORD)).await.expect(200);
    app.advance(Duration::seconds(5));
    sign_in(&caller, office, body("maria", PASSWORD)).await.expect(200);
}

#[tokio::test]
async fn a_customer_with_a_whole_ipv6_network_is_one_address() {
    let (app, caller) = app().await;
    app.advance(Duration::minutes(2));
    for n in 0..21 {
        let address = format!("2001:db8:1:2::{n:x}");
        sign_in(&caller, &address, body(&format!("leaked-name-{n}"), "leaked password")).await.expect(401);
    }
    let answer = sign_in(&caller, "2001:db8:1:2:ffff::1", body("leaked-name-99", "leaked password")).await;
    answer.expect_problem(429, "too_many_failures");
    sign_in(&caller, "2001:db8:1:3::1", body("leaked-name-99", "leaked password")).await.expect(401);
}

#[tokio::test]
async fn an_outage_forgets_no_failure_and_makes_none() {
    let (app, caller) = app().await;
    app.user_named("maria").await;
    app.advance(Duration::minutes(2));
    let wrong = async |n: u32| sign_in(&caller, &format!("198.51.100.{n}"), body("maria", "a guess")).await;
    for n in 0..5 {
        wrong(n).await.expect_problem(401, "invalid_credentials");
    }
    app.table().set_broken(true);
    for n in 0..3 {
        sign_in(&caller, &format!("203.0.113.{n}"), body("maria", PASSWORD)).await.expect_problem(503, "unavailable");
    }
    app.table().set_broken(false);
    wrong(5).await.expect_problem(401, "invalid_credentials");
    wrong(6).await.expect_problem(429, "too_many_failures");
}

#[tokio::test]
async fn without_redis_failures_are_counted_in_memory() {
    let mut redis = PrivateRedis::start();
    let app = TestApp::builder().redis(&redis).listening_behind(&["127.0.0.1"]).spawn().await;
    let caller = Actor::anonymous(Arc::new(Remote::new(&format!("http://{}", app.address()))));
    app.user_named("maria").await;
    app.advance(Duration::minutes(2));
    redis.stop();
    let (counted, wait) = guess_until_stopped(&caller, "maria").await;
    assert_eq!((counted, wait), (6, 1));
    app.advance(Duration::seconds(1));
    sign_in(&caller, "192.0.2.7", body("maria", PASSWORD)).await.expect(200);
    assert_eq!(guess_until_stopped(&caller, "maria").await, (6, 1), "the right password forgets them there as well");
}

#[tokio::test]
async fn failures_do_not_touch_those_who_are_signed_in() {
    let (app, caller) = app().await;
    let maria = app.user_named("maria").await;
    app.advance(Duration::minutes(2));
    guess_until_stopped(&caller, "maria").await;
    maria.get("/api/protected").await.expect(200);
    let token = maria.refresh_token.clone().expect("a refresh token");
    app.anonymous().request(Method::POST, "/auth/refresh").bearer(&token).send().await.expect(200);
}

#[tokio::test]
async fn a_hundred_guesses_at_once_are_a_hundred_guesses() {
    let (app, caller) = app().await;
    app.user_named("maria").await;
    app.advance(Duration::minutes(2));
    let guesses = (0..60).map(|n| {
        let caller = caller.clone();
        async move { sign_in(&caller, &format!("198.51.100.{n}"), body("maria", "guess")).await.code() }
    });
    let codes = futures::future::join_all(guesses).await;
    let counted = codes.iter().filter(|code| **code == 401).count();
    assert_eq!(counted, 6, "{codes:?}");
    assert!(codes.iter().all(|code| [401, 429].contains(code)), "{codes:?}");
}

#[tokio::test]
async fn every_tenth_failure_in_a_row_is_kept_for_the_audit() {
    let (app, caller) = app().await;
    app.user_named("maria").await;
    app.advance(Duration::minutes(2));
    for n in 0..20 {
        app.advance(Duration::minutes(16));
        sign_in(&caller, &format!("198.51.100.{n}"), body("maria", "guess")).await.expect(401);
    }
    let kept = entries(&app, "login.failures").await;
    let failures: Vec<_> =
        kept.iter().map(|(_, target, detail)| (target.as_str(), detail["failures"].clone())).collect();
    assert_eq!(failures, [("login:maria", json!(10)), ("login:maria", json!(20))]);
}

#[tokio::test]
async fn the_present_password_cannot_be_guessed_by_whoever_has_a_token() {
    let app = TestApp::spawn().await;
    let maria = app.user_named("maria").await;
    for n in 0..6 {
        // Past the limit of the route.
        app.advance(Duration::seconds(60));
        let guess = json!({"current_password": format!("guess {n}"), "new_password": "correct horse battery staple"});
        maria.post("/auth/password", guess).await.expect(422);
    }
    let right = json!({"current_password": PASSWORD, "new_password": "correct horse battery staple"});
    maria.post("/auth/password", right.clone()).await.expect_problem(429, "too_many_failures");
    app.advance(Duration::seconds(20));
    maria.post("/auth/password", right).await.expect(200);
}

#[tokio::test]
async fn a_password_that_everybody_uses_is_refused_where_the_configuration_says_so() {
    let app = TestApp::builder().var("COMMON_PASSWORDS", "refuse").spawn().await;
    let register = async |name: &str, password: &str| {
        let body = json!({"username": name, "email": format!("{name}@example.com"), "password": password});
        app.anonymous().post("/auth/register", body).await
    };
    assert_snapshot!("common_password", register("maria", "Password123").await.expect(422));
    register("maria", "maria1990").await.expect_problem(422, "validation_failed");
    register("maria", "ma\u{f1}ana ser\u{e1} otro d\u{ed}a").await.expect(200);
    let admin = app.admin().await;
    let change = |new: &str| json!({"current_password": "admin123", "new_password": new});
    admin.post("/auth/password", change("qwertyuiop")).await.expect_problem(422, "validation_failed");
    admin.post("/auth/password", change("correct horse battery staple")).await.expect(200);
}

#[tokio::test]
async fn local_profiles_take_the_passwords_of_the_originals_test_accounts() {
    let app = TestApp::spawn().await;
    let body = json!({"username": "testuser", "email": "test@example.com", "password": "password123"});
    app.anonymous().post("/auth/register", body).await.expect(200);
}
