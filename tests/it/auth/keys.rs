//! The rotation of token keys, as clients and other verifiers see it.

use chrono::{DateTime, Duration, Utc};
use halyard_tests::{Actor, TestApp, Trips, response, seed};
use http::{Method, StatusCode};
use serde_json::{Value, json};

/// Short, so that a rotation takes minutes of the test's clock.
const TTL: i64 = 600;

fn kid_of(token: &str) -> String {
    response::token(token).expect("a JWT")["header"]["kid"].as_str().expect("a name").to_owned()
}

async fn app_with(names: &[&str]) -> TestApp {
    let (private, public) = seed::token_keys_named(names);
    let builder = TestApp::builder().without_rate_limits().var("TOKEN_SIGNING_KEY", &private);
    builder.var("TOKEN_KEY_SET", &public).var("ACCESS_TOKEN_TTL", &TTL.to_string()).spawn().await
}

async fn published(app: &TestApp) -> Vec<String> {
    let keys = app.anonymous().get("/.well-known/jwks.json").await.expect(200).json();
    let names = keys["keys"].as_array().expect("keys").iter();
    names.map(|key| key["kid"].as_str().expect("a name").to_owned()).collect()
}

/// A client that keeps every token it was given until it expires.
struct Client {
    actor: Actor,
    tokens: Vec<(String, DateTime<Utc>)>,
}

impl Client {
    async fn sign_in(app: &TestApp, mut actor: Actor) -> Self {
        actor.sign_in().await;
        let token = actor.access_token.clone().expect("a token");
        Self { actor, tokens: vec![(token, app.now())] }
    }

    /// Uses every token that should be good; refreshes from two tabs at once.
    async fn visit(&mut self, app: &TestApp) {
        let now = app.now();
        self.tokens.retain(|(_, since)| now < *since + Duration::seconds(TTL));
        for (token, _) in &self.tokens {
            let path = if token.len().is_multiple_of(2) { "/api/protected" } else { "/auth/validate" };
            self.actor.with_token(token).get(path).await.expect(200);
        }
        let body = json!({"refresh_token": self.actor.refresh_token});
        let (one, other) =
            tokio::join!(self.actor.post("/auth/refresh", body.clone()), self.actor.post("/auth/refresh", body));
        let (one, other) = (one.expect(200).json(), other.expect(200).json());
        assert_eq!(one["data"]["refresh_token"], other["data"]["refresh_token"], "one chain");
        self.actor.refresh_token = one["data"]["refresh_token"].as_str().map(str::to_owned);
        for answer in [one, other] {
            let token = answer["data"]["access_token"].as_str().expect("a token").to_owned();
            self.actor.with_token(&token).get("/api/protected").await.expect(200);
            self.tokens.push((token, now));
        }
    }
}

/// Some minutes of traffic, a round a minute, the first of them at the same time as `step`.
async fn minutes(app: &TestApp, clients: &mut [Client], minutes: i64, step: Option<Value>) {
    let mut step = step;
    for _ in 0..minutes {
        let load = futures::future::join_all(clients.iter_mut().map(|client| client.visit(app)));
        let asked = step.take();
        let ask = async {
            if let Some(step) = asked {
                app.keys(step).await.expect("a lawful step");
            }
        };
        let sign_in = app.admin();
        let (_, (), newcomer) = tokio::join!(load, ask, sign_in);
        newcomer.get("/api/protected").await.expect(200);
        app.advance(Duration::minutes(1));
    }
}

#[tokio::test]
async fn a_rotation_under_load_refuses_nobody() {
    let app = app_with(&["first", "second"]).await;
    let mut clients = Vec::new();
    for name in ["ada", "berta", "carla"] {
        let user = app.user_named(name).await;
        clients.push(Client::sign_in(&app, user).await);
    }
    let signs = |clients: &[Client]| kid_of(&clients[0].tokens.last().expect("a token").0);
    // Six minutes ahead of its use, then until the last token of the first key has ended.
    minutes(&app, &mut clients, 6, Some(json!("publish"))).await;
    assert_eq!(signs(&clients), "first");
    minutes(&app, &mut clients, 1, Some(json!("promote"))).await;
    minutes(&app, &mut clients, 15, None).await;
    assert_eq!(signs(&clients), "second");
    let refused = app.keys(json!({"retire": "second"})).await.expect_err("it signs");
    assert!(refused.contains("promote another one first"), "{refused}");
    minutes(&app, &mut clients, 3, Some(json!({"retire": "first"}))).await;
    assert_eq!(published(&app).await, ["second"]);
}

#[tokio::test]
async fn a_key_is_published_ahead_of_its_use_and_steps_wait_for_their_time() {
    let app = app_with(&["first", "second"]).await;
    let admin = app.admin().await;
    let listed = app.keys(json!("publish")).await.expect("published");
    assert_eq!(listed[1]["state"], "standby");
    assert_eq!(published(&app).await, ["first", "second"], "before anything is signed with it");
    let early = app.keys(json!("promote")).await.expect_err("too early");
    assert!(early.contains("too early for second: not before 2026-01-01 12:06:00"), "{early}");
    app.advance(Duration::minutes(6));
    app.keys(json!("promote")).await.expect("promoted");
    let early = app.keys(json!({"retire": "first"})).await.expect_err("too early");
    assert!(early.contains("too early for first"), "{early}");
    let nothing = app.keys(json!("promote")).await.expect_err("nothing left to promote");
    assert!(nothing.contains("publish one first"), "{nothing}");
    // What a later deployment brings along changes nothing that is known.
    let listed = app.keys(json!("publish")).await.expect("nothing new");
    assert_eq!((&listed[0]["state"], &listed[1]["state"]), (&json!("previous"), &json!("current")));
    admin.get("/api/protected").await.expect(200);
}

#[tokio::test]
async fn a_revoked_key_and_its_tokens_end_within_the_bound_and_sessions_go_on() {
    let app = app_with(&["first", "second"]).await;
    let admin = app.admin().await;
    admin.get("/api/protected").await.expect(200);
    app.keys(json!({"revoke": "first"})).await.expect("revoked");
    // A copy of the keys counts for 60 s, the gateway's answer for 5 s on top; this token lives for ten minutes.
    app.advance(Duration::seconds(65));
    for path in ["/api/protected", "/auth/validate", "/auth/profile"] {
        admin.get(path).await.expect_problem(401, "token_invalid");
    }
    assert_eq!(published(&app).await, ["second"]);
    let body = json!({"refresh_token": admin.refresh_token});
    let answer = admin.post("/auth/refresh", body).await.expect(200).json();
    let token = answer["data"]["access_token"].as_str().expect("a token");
    assert_eq!(kid_of(token), "second");
    admin.with_token(token).get("/api/protected").await.expect(200);
    // It does not come back.
    let again = app.keys(json!("publish")).await.expect("nothing new");
    assert_eq!(again[0]["state"], "revoked");
    let refused = app.keys(json!({"revoke": "second"})).await.expect_err("nobody would sign");
    assert!(refused.contains("publish one first"), "{refused}");
}

#[tokio::test]
async fn the_key_set_has_cache_headers_and_is_sent_only_when_it_has_changed() {
    let app = app_with(&["first", "second"]).await;
    let anonymous = app.anonymous();
    let answer = anonymous.get("/.well-known/jwks.json").await.expect(200);
    assert_eq!(answer.header("cache-control"), "public, max-age=300");
    let tag = answer.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.len() > 20, "{tag}");
    let ask = async |value: &str| {
        let draft = anonymous.request(Method::GET, "/.well-known/jwks.json");
        draft.header("if-none-match", value).send().await
    };
    for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let answer = ask(&known).await;
        assert_eq!(answer.status, StatusCode::NOT_MODIFIED, "{known}");
        assert!(answer.body.is_empty() && answer.header("etag") == tag);
    }
    ask("\"other\"").await.expect(200);
    app.keys(json!({"revoke": "second"})).await.expect("revoked");
    app.advance(Duration::seconds(61));
    assert_ne!(ask(&tag).await.expect(200).header("etag"), tag);
}

/// Invariant 10: the key set is the one thing that a warm request may read beside the session, and it does so once in half
/// a minute for each environment.
#[tokio::test]
async fn the_key_set_costs_a_warm_environment_one_read_in_half_a_minute() {
    let app = TestApp::builder().without_rate_limits().counting().spawn().await;
    let user = app.user().await;
    let visit = async || {
        user.get("/auth/validate").await.expect(200);
    };
    visit().await;
    app.advance(Duration::seconds(31));
    // The session's entry in the cache has aged as well: two reads for session and epoch, one for the keys.
    assert_eq!(app.trips(1, visit).await.table, 3);
    assert_eq!(app.trips(20, visit).await, Trips { redis: 20, database: 0, queue: 0, table: 0 });
    // Names that nobody has are read for once in ten seconds, however many come.
    app.advance(Duration::seconds(11));
    visit().await;
    let genuine = user.access_token.clone().expect("a token");
    let flood = async || {
        for n in 0..50 {
            let header =
                halyard_auth::encoding::to_base64url(format!(r#"{{"typ":"at+jwt","alg":"EdDSA","kid":"k{n}"}}"#));
            let token = format!("{header}.{}", genuine.split_once('.').expect("a token").1);
            user.with_token(&token).get("/auth/validate").await.expect_problem(401, "token_invalid");
        }
    };
    assert_eq!(app.trips(1, flood).await, Trips { redis: 0, database: 0, queue: 0, table: 1 });
}
