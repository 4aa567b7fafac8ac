//! A session that ended is refused everywhere within the bound that is stated. Each test prints how long it took.

use std::time::{Duration, Instant};

use halyard_tests::{Actor, Profile, Target, target, wait};
use http::Method;
use serde_json::{Value, json};

/// 5 s in the gateway's cache of the authorizer's answer, 1 s in the cache of sessions.
const BOUND: Duration = Duration::from_secs(6);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);
const NEW: &str = "correct horse battery staple";

/// Whatever is asked later than the bound after the end is refused, by whichever node answers.
async fn is_refused_after_the_bound(what: &str, session: &Actor, ended: Instant) {
    // Behind the gateway's cache, and without it.
    let mut last = [("/api/protected", None), ("/auth/validate", None)];
    while ended.elapsed() <= BOUND {
        let asked = ended.elapsed();
        for (path, last) in &mut last {
            if session.get(path).await.code() == 200 {
                *last = Some(asked);
            }
        }
        wait::until("the next look", BOUND, async || (ended.elapsed() > asked + PAUSE).then_some(())).await;
    }
    for (path, last) in last {
        let seen =
            last.map_or_else(|| "refused at once".to_owned(), |at| format!("let in until {:.1} s", at.as_secs_f64()));
        println!("{}: {what}: {path} {seen}", Profile::current());
    }
    for path in ["/api/protected", "/tasks", "/auth/profile", "/tasks/stats", "/auth/validate", "/api/protected"] {
        session.get(path).await.expect_problem(401, "token_revoked");
    }
    let task = json!({"task_type": "sample", "data": {}});
    session.post("/tasks/submit", task).await.expect_problem(401, "token_revoked");
}

/// A second session that every cache knows.
async fn warm_session(target: &Target, user: &Actor) -> Actor {
    let session = target.session_of(user).await;
    for path in ["/api/protected", "/tasks"] {
        session.get(path).await.expect(200);
    }
    session
}

async fn sessions(user: &Actor) -> Vec<Value> {
    user.get("/auth/sessions").await.expect(200).json()["data"]["items"].as_array().cloned().expect("sessions")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_logged_out_is_refused_within_the_bound() {
    let target = target!();
    let user = target.user("e2e-logout").await;
    let session = warm_session(&target, &user).await;
    session.post("/auth/logout", json!({})).await.expect(200);
    let ended = Instant::now();
    is_refused_after_the_bound("logout", &session, ended).await;
    // Other sessions of the account live on.
    user.get("/api/protected").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_can_be_ended_from_another_one_and_nobody_elses() {
    let target = target!();
    let (user, other) = (target.user("e2e-sessions").await, target.user("e2e-stranger").await);
    let session = warm_session(&target, &user).await;
    let id = session.get("/auth/validate").await.expect(200).header("x-auth-session-id").to_owned();
    let listed = sessions(&user).await;
    assert!(listed.iter().any(|s| s["id"] == id.as_str() && s["current"] == false), "{listed:?}");
    assert_eq!(listed.iter().filter(|s| s["current"] == true).count(), 1, "{listed:?}");

    let path = format!("/auth/sessions/{id}");
    other.request(Method::DELETE, &path).send().await.expect(404);
    session.get("/auth/validate").await.expect(200);
    user.request(Method::DELETE, &path).send().await.expect(200);
    let ended = Instant::now();
    assert!(!sessions(&user).await.iter().any(|s| s["id"] == id.as_str()));
    user.request(Method::DELETE, &path).send().await.expect(404);
    is_refused_after_the_bound("one session of several", &session, ended).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logout_all_ends_every_session_of_the_account() {
    let target = target!();
    let user = target.user("e2e-everywhere").await;
    let session = warm_session(&target, &user).await;
    let answer = user.post("/auth/logout-all", json!({})).await.expect(200).json();
    let ended = Instant::now();
    // An account that others had before may have sessions that nobody uses any more.
    assert!(answer["data"]["sessions_ended"].as_i64() >= Some(2), "{answer}");
    is_refused_after_the_bound("logout everywhere", &session, ended).await;
    is_refused_after_the_bound("logout everywhere, the caller", &user, ended).await;
}

/// Of an account of its own: others borrow theirs by its password.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_ends_every_other_session_of_the_account() {
    let target = target!();
    let user = target.new_user("e2e-password").await;
    let session = warm_session(&target, &user).await;
    let change = json!({"current_password": user.password, "new_password": NEW});
    user.post("/auth/password", change).await.expect(200);
    is_refused_after_the_bound("a new password", &session, Instant::now()).await;
    user.get("/api/protected").await.expect(200);
}

/// What a token says of a role is as old as the token.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_role_ends_the_sessions_of_before_within_the_bound() {
    let target = target!();
    let (admin, user) = (target.admin().await, target.new_user("e2e-role").await);
    for path in ["/api/protected", "/tasks"] {
        user.get(path).await.expect(200);
    }
    user.get("/api/users").await.expect(403);
    admin.patch(&format!("/api/users/{}", user.user_id), json!({"role": "operator"})).await.expect(200);
    is_refused_after_the_bound("a changed role", &user, Instant::now()).await;
    target.session_of(&user).await.get("/api/users").await.expect(200);
}

/// Of an account of its own, which is of no use to others any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_account_is_refused_within_the_bound_and_cannot_sign_in() {
    let target = target!();
    let admin = target.admin().await;
    let user = target.new_user("e2e-disabled").await;
    for path in ["/api/protected", "/tasks"] {
        user.get(path).await.expect(200);
    }
    let path = format!("/api/users/{}", user.user_id);
    let changed = admin.patch(&path, json!({"account_status": "disabled"})).await.expect(200);
    let ended = Instant::now();
    assert_eq!(changed.json()["data"]["account_status"], "disabled");
    is_refused_after_the_bound("a disabled account", &user, ended).await;
    user.try_login().await.expect_problem(401, "invalid_credentials");
    let query = format!("/api/audit?action=user.update&target=user:{}", user.user_id);
    let kept = admin.get(&query).await.expect(200).json();
    assert_eq!(kept["data"]["items"][0]["detail"]["after"]["account_status"], "disabled", "{kept}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_that_was_deleted_is_refused_within_the_bound() {
    let target = target!();
    // A sign-in of now: who borrows an account has one that may be too old to make keys.
    let user = target.session_of(&target.user("e2e-api-key").await).await;
    let made = user.post("/auth/api-keys", json!({"name": "a program", "expires_in": 600})).await.expect(200).json();
    let key = user.with_token(made["data"]["key"].as_str().expect("a key"));
    for path in ["/api/protected", "/tasks", "/auth/validate"] {
        key.get(path).await.expect(200);
    }
    let path = format!("/auth/api-keys/{}", made["data"]["api_key"]["id"].as_str().expect("a name"));
    user.request(Method::DELETE, &path).send().await.expect(200);
    is_refused_after_the_bound("an API key", &key, Instant::now()).await;
    user.get("/api/protected").await.expect(200);
}
