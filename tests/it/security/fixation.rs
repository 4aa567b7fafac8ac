//! Sessions that somebody else chose, tokens that outlive their use, and sign-ins that a page of another origin makes.

use halyard_tests::{Actor, TestApp, TestResponse, actor::PASSWORD};
use http::Method;
use serde_json::{Value, json};

use super::table;

fn session_of(answer: &TestResponse) -> String {
    let token = answer.json()["data"]["access_token"].as_str().expect("a token").to_owned();
    let token = halyard_tests::response::token(&token).expect("a token");
    token["claims"]["sid"].as_str().expect("a session").to_owned()
}

#[tokio::test]
async fn login_opens_a_new_session_whatever_the_client_brings_along() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let (attacker, victim) = (app.user_named("mallory").await, app.user_named("maria").await);
    let chosen = session_of(&attacker.try_login().await.expect(200));
    let (access, refresh) = (attacker.access_token.clone().expect("one"), attacker.refresh_token.clone().expect("one"));
    let body = json!({
        "username": "maria", "password": PASSWORD,
        "session_id": chosen, "sid": chosen, "session": {"id": chosen}, "id": chosen,
        "access_token": access, "refresh_token": refresh, "user_id": attacker.user_id,
    });
    let path = format!("/auth/login?session_id={chosen}&sid={chosen}&refresh_token={refresh}");
    let draft = app.anonymous().request(Method::POST, &path).bearer(&access);
    let draft = draft.header("cookie", &format!("halyard_session={access}; session={chosen}; sid={chosen}"));
    let answer = draft.header("x-session-id", &chosen).json(&body).send().await.expect(200);
    assert!(answer.headers.get("set-cookie").is_none());
    let session = session_of(&answer);
    assert_ne!(session, chosen);
    assert_ne!(answer.json()["data"]["access_token"], access);
    assert_ne!(answer.json()["data"]["refresh_token"], refresh);
    assert_eq!(answer.json()["data"]["user"]["username"], "maria");
    // What was brought along is still the attacker's, and only that.
    assert_eq!(attacker.get("/api/protected").await.expect(200).json()["data"]["user"]["username"], "mallory");
    assert!(!attacker.get("/auth/sessions").await.expect(200).text().contains(&session));
    assert!(!victim.get("/auth/sessions").await.expect(200).text().contains(&chosen));
}

#[tokio::test]
async fn every_login_and_every_refresh_gives_other_tokens() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let user = app.user().await;
    let mut seen: Vec<String> = Vec::new();
    let mut keep = |answer: &Value| {
        for name in ["access_token", "refresh_token"] {
            let token = answer["data"][name].as_str().expect("a token").to_owned();
            assert!(!seen.contains(&token), "{name} came before");
            seen.push(token);
        }
    };
    let mut sessions = Vec::new();
    for _ in 0..4 {
        let mut answer = user.try_login().await.expect(200);
        sessions.push(session_of(&answer));
        keep(&answer.json());
        for _ in 0..3 {
            app.advance(chrono::Duration::seconds(40));
            let token = answer.json()["data"]["refresh_token"].as_str().expect("a token").to_owned();
            answer = app.anonymous().post("/auth/refresh", json!({ "refresh_token": token })).await.expect(200);
            assert_eq!(Some(&session_of(&answer)), sessions.last(), "a refresh stays in its session");
            keep(&answer.json());
        }
    }
    let count = sessions.len();
    sessions.dedup();
    assert_eq!(sessions.len(), count);
}

#[tokio::test]
async fn a_refresh_token_names_its_session_and_no_other_by_whatever_is_sent_beside_it() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let (user, other) = (app.user_named("maria").await, app.user_named("mallory").await);
    let (mine, theirs) = (user.refresh_token.clone().expect("one"), other.refresh_token.clone().expect("one"));
    let body = json!({
        "refresh_token": theirs, "user_id": user.user_id, "sub": user.user_id, "session_id": "sess_7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
    });
    // In the header and in the body: the body's counts, wholly.
    let answer =
        app.anonymous().request(Method::POST, "/auth/refresh").bearer(&mine).json(&body).send().await.expect(200);
    let mut renewed: Actor = app.anonymous();
    renewed.access_token = answer.json()["data"]["access_token"].as_str().map(str::to_owned);
    assert_eq!(renewed.get("/api/protected").await.expect(200).json()["data"]["user"]["username"], "mallory");
    // One token's session with the other's secret.
    for (a, b) in [(&mine, &theirs), (&theirs, &mine)] {
        for cut in (4..a.len().min(b.len())).step_by(3) {
            let mixed = format!("{}{}", &a[..cut], &b[cut..]);
            if mixed == **a || mixed == **b {
                continue;
            }
            let answer = app.anonymous().post("/auth/refresh", json!({ "refresh_token": mixed })).await;
            assert_eq!(answer.code(), 401, "cut at {cut}: {}", answer.text());
        }
    }
    // Guesses end nobody's session.
    user.get("/api/protected").await.expect(200);
    app.anonymous().post("/auth/refresh", json!({ "refresh_token": mine })).await.expect(200);
}

#[tokio::test]
async fn an_access_token_ends_with_its_session_and_the_next_login_does_not_revive_it() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let mut user = app.user().await;
    let old = user.clone();
    user.post("/auth/logout", json!({})).await.expect(200);
    app.advance(chrono::Duration::seconds(11));
    user.sign_in().await;
    old.get("/api/protected").await.expect_problem(401, "token_revoked");
    let refresh = json!({"refresh_token": old.refresh_token});
    app.anonymous().post("/auth/refresh", refresh).await.expect_problem(401, "token_revoked");
    user.get("/api/protected").await.expect(200);
}

/// What a form or a script of another origin can send without being asked for leave (a `simple` request of the Fetch
/// standard).
const SIMPLE: &[&str] = &[
    "text/plain",
    "text/plain;charset=UTF-8",
    "text/plain; application/json",
    "text/plain;x=application/json",
    "application/x-www-form-urlencoded",
    "application/x-www-form-urlencoded; charset=utf-8",
    "multipart/form-data; boundary=application/json",
    "",
];

#[tokio::test]
async fn a_page_of_another_origin_cannot_sign_anybody_in_or_send_json_unasked() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    app.leave_unfinished();
    let (user, admin) = (app.user_named("maria").await, app.admin().await);
    for route in table::routes() {
        let Some(body) = route.line.body else { continue };
        // Who may not is told so before the body is looked at.
        let caller = if route.line.needs.is_some() { &admin } else { &user };
        // The original's client cancels without a content type; the route asks for a bearer token, which no page can add.
        if route.key == "POST /tasks/cancel/{id}" {
            assert!(route.is_protected());
            continue;
        }
        let mut body = body(1);
        if route.key == "POST /auth/login" {
            body = json!({"username": "maria", "password": PASSWORD});
        }
        for kind in SIMPLE {
            let mut draft = caller.request(route.method.clone(), &route.path_to_nothing());
            if !kind.is_empty() {
                draft = draft.header("content-type", kind);
            }
            let answer = draft.header("origin", "https://evil.example").body(body.to_string()).send().await;
            assert_eq!(answer.code(), 415, "{} as {kind:?}: {}", route.key, answer.text());
        }
    }
    let form = user.request(Method::POST, "/auth/login").header("content-type", "application/x-www-form-urlencoded");
    form.body(format!("username=maria&password={PASSWORD}")).send().await.expect(415);
    assert_eq!(app.count("select login_count from users where username = 'maria'").await, 1);
    for path in ["/auth/login", "/auth/refresh", "/auth/register", "/auth/logout"] {
        let get = user.get(&format!("{path}?username=maria&password=guess")).await;
        assert!(matches!(get.code(), 404 | 405), "{path}: {}", get.text());
    }
}
