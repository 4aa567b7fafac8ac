//! What a key may do.

use chrono::Duration;
use halyard_auth::{
    encoding::{from_base64url, to_base64url},
    token::ApiKeyText,
};
use halyard_domain::{ApiKeyId, Entropy, UserId};
use halyard_tests::{TestApp, Trips};
use http::Method;
use serde_json::{Value, json};

use super::{key_with, keys_of, make};

#[tokio::test]
async fn validate_says_which_key_it_was_and_takes_it_for_no_more_than_it_may_do() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    let (program, id) = make(&admin, json!({"name": "scraper", "permissions": ["metrics:read"]})).await;
    let answer = program.get("/auth/validate").await.expect(200);
    assert_eq!((answer.header("x-auth-api-key-id"), answer.header("x-auth-session-id")), (id.as_str(), ""));
    assert_eq!((answer.header("x-auth-user-id"), answer.header("x-auth-username")), ("1", "admin"));
    assert_eq!((answer.header("x-auth-role"), answer.header("x-auth-permissions")), ("user", "metrics:read"));
    assert_eq!(answer.json()["data"]["session_id"], Value::Null);
    let whole = key_with(&admin, &["*"]).await.get("/auth/validate").await.expect(200);
    assert_eq!((whole.header("x-auth-role"), whole.header("x-auth-permissions")), ("admin", "*"));
    let session = admin.get("/auth/validate").await.expect(200);
    assert!(session.headers.get("x-auth-api-key-id").is_none());
}

#[tokio::test]
async fn a_scope_is_kept_and_own_things_are_always_there() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let (admin, maria) = (app.admin().await, app.user_named("maria").await);
    let hers = maria.submit(json!({"task_type": "sample", "data": {}})).await;
    let path = format!("/tasks/status/{hers}");
    let (bare, reader, area) = (
        key_with(&admin, &[]).await,
        key_with(&admin, &["tasks:read_all"]).await,
        key_with(&admin, &["system:*"]).await,
    );
    for (key, queues, others) in [(&bare, 403, 404), (&reader, 403, 200), (&area, 200, 404)] {
        key.get("/tasks/queues").await.expect(queues);
        key.get(&path).await.expect(others);
        let own = key.submit(json!({"task_type": "sample", "data": {}})).await;
        key.get(&format!("/tasks/status/{own}")).await.expect(200);
        admin.get(&format!("/tasks/status/{own}")).await.expect(200);
    }
    app.drain().await;
}

#[tokio::test]
async fn a_key_cannot_do_what_only_a_person_may() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let admin = app.admin().await;
    let (program, id) = make(&admin, json!({"name": "everything", "permissions": ["*"]})).await;
    for (method, path) in [
        (Method::POST, "/auth/api-keys".to_owned()),
        (Method::GET, "/auth/api-keys".to_owned()),
        (Method::DELETE, format!("/auth/api-keys/{id}")),
        (Method::POST, "/auth/password".to_owned()),
        (Method::POST, "/auth/step-up".to_owned()),
        (Method::POST, "/auth/2fa/setup".to_owned()),
        (Method::DELETE, "/auth/2fa".to_owned()),
        (Method::POST, "/auth/logout".to_owned()),
        (Method::POST, "/auth/logout-all".to_owned()),
        (Method::GET, "/auth/sessions".to_owned()),
    ] {
        let answer = program.request(method, &path).json(&json!({})).send().await;
        answer.expect_problem(403, "session_required");
    }
    let text = program.access_token.clone().expect("a key");
    program.post("/auth/refresh", json!({"refresh_token": text})).await.expect_problem(401, "token_wrong_kind");
}

#[tokio::test]
async fn whatever_is_no_key_is_refused_and_what_cannot_be_one_costs_no_look_up() {
    let app = TestApp::builder().without_rate_limits().counting().spawn().await;
    let admin = app.admin().await;
    let program = key_with(&admin, &["*"]).await;
    program.get("/auth/validate").await.expect(200);
    let text = program.access_token.clone().expect("a key");
    let mut bytes = from_base64url(&text[3..]).expect("60 bytes");
    bytes[40] ^= 1;
    let garbled = [
        "hk_".to_owned(),
        format!("hk_{}", to_base64url(bytes)),
        format!("{text}A"),
        text[..82].to_owned(),
        text.to_lowercase(),
        format!("hk_{}", "A".repeat(80)),
        "hk_../../etc/passwd".to_owned(),
    ];
    let ask = async || {
        for token in &garbled {
            admin.with_token(token).get("/auth/validate").await.expect_problem(401, "token_malformed");
        }
    };
    assert_eq!(app.trips(1, ask).await, Trips::default());
    // Well formed, and nobody's: another secret under a name that exists, and names that do not.
    let id: ApiKeyId = keys_of(&admin).await[0]["id"].as_str().expect("a name").parse().expect("a name");
    let invented = |user, id| ApiKeyText::new(UserId(user), id, &Entropy::from_os().expect("randomness")).to_text();
    for (token, code) in [
        (invented(1, id), "token_invalid"),
        (invented(2, id), "token_revoked"),
        (invented(1, ApiKeyId(Entropy::seeded(9).ulid(app.now()))), "token_revoked"),
        (invented(-1, id), "token_revoked"),
    ] {
        for path in ["/auth/validate", "/api/protected"] {
            admin.with_token(&token).get(path).await.expect_problem(401, code);
        }
    }
    program.get("/auth/validate").await.expect(200);
}

#[tokio::test]
async fn the_last_use_is_known_to_the_minute_and_guesses_are_no_use() {
    let app = TestApp::builder().without_rate_limits().counting().spawn().await;
    let admin = app.admin().await;
    let (program, id) = make(&admin, json!({"name": "a program"})).await;
    let last = async || keys_of(&admin).await[0]["last_used_at"].clone();
    let id: ApiKeyId = id.parse().expect("a name");
    let guess = ApiKeyText::new(UserId(1), id, &Entropy::seeded(4)).to_text();
    admin.with_token(&guess).get("/auth/validate").await.expect_problem(401, "token_invalid");
    assert_eq!(last().await, Value::Null);
    app.advance(Duration::seconds(7));
    program.get("/auth/validate").await.expect(200);
    assert_eq!(last().await, "2026-01-01T12:00:07Z");
    app.advance(Duration::seconds(30));
    program.get("/auth/validate").await.expect(200);
    assert_eq!(last().await, "2026-01-01T12:00:07Z", "once a minute");
    app.advance(Duration::seconds(30));
    program.get("/api/protected").await.expect(200);
    assert_eq!(last().await, "2026-01-01T12:01:07Z");
    // In the same minute, with what the cache knows too old: key and epoch are read, nothing is written.
    app.advance(Duration::seconds(6));
    let read = async || {
        program.get("/auth/validate").await.expect(200);
    };
    read().await;
    app.advance(Duration::seconds(6));
    assert_eq!(app.trips(1, read).await.table, 2);
    assert_eq!(app.trips(5, read).await, Trips { redis: 5, ..Trips::default() });
}
