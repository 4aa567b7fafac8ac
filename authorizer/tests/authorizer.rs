//! The authorizer's answers to events as API Gateway sends them.
#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Duration, Utc};
use halyard_auth::{
    AuthnError, AuthnFailure, KeySet, SigningKey, Verifier,
    context::Authn,
    keys::generate,
    token::{self, Grant, TokenRules},
    verifier::SessionSource,
};
use halyard_authorizer::{Authorizer, COOKIE};
use halyard_domain::{Entropy, ManualClock, SessionId, UserId, authz::Grants, session::Session, user::Role};
use halyard_platform::{Handler as _, Invocation, function::AuthorizerRequest};
use serde_json::{Value, json};

#[derive(Debug)]
struct Store {
    session: Option<Session>,
    down: bool,
}

#[async_trait]
impl SessionSource for Store {
    async fn lookup(&self, _: UserId, _: SessionId) -> Result<Option<(Session, i64)>, AuthnError> {
        if self.down {
            return Err(AuthnError::Unavailable("down".into()));
        }
        Ok(self.session.clone().map(|session| (session, 0)))
    }
}

fn now() -> DateTime<Utc> {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn rules() -> TokenRules {
    TokenRules { issuer: "halyard".into(), audience: "halyard-api".into() }
}

fn session() -> Session {
    Session {
        id: SessionId(Entropy::seeded(1).ulid(now())),
        user_id: UserId(7),
        username: "ada".into(),
        role: Role::User,
        permissions: Grants::default(),
        auth_epoch: 0,
        refresh_counter: 0,
        refresh_hash: String::new(),
        device: String::new(),
        ip: String::new(),
        created_at: now(),
        last_used_at: now(),
        expires_at: now() + Duration::days(1),
        authenticated_at: now(),
        methods: vec!["pwd".into()],
        revoked_at: None,
    }
}

fn authorizer(store: Store) -> Authorizer {
    let (_, public) = generate("k", [1; 32]).unwrap();
    let keys = KeySet::from_jwks(&json!({ "keys": [public] }).to_string()).unwrap();
    let clock = Arc::new(ManualClock::new(now()));
    Authorizer::new(Arc::new(Verifier::new(keys, rules(), Arc::new(store), clock)))
}

fn live() -> Authorizer {
    authorizer(Store { session: Some(session()), down: false })
}

fn access_token() -> String {
    let (private, _) = generate("k", [1; 32]).unwrap();
    let key = SigningKey::from_jwk(&private.to_string()).unwrap();
    let session = session();
    let grant = Grant {
        user_id: session.user_id,
        username: &session.username,
        role: session.role,
        permissions: &session.permissions,
        session_id: session.id,
        authenticated_at: session.authenticated_at,
        methods: &session.methods,
    };
    token::issue(&key, &rules(), Duration::hours(1), &grant, now(), &Entropy::seeded(2)).0
}

/// An event of payload 2.0. Source: API Gateway Developer Guide, "Working with AWS Lambda authorizers for HTTP APIs".
fn event(identity: Option<&str>, headers: &Value, cookies: &[&str]) -> AuthorizerRequest {
    serde_json::from_value(json!({
        "version": "2.0",
        "type": "REQUEST",
        "routeArn": "arn:aws:execute-api:eu-central-1:123456789012:abcdef/$default/GET/api/protected",
        "identitySource": identity.map(|value| [value]),
        "routeKey": "GET /api/protected",
        "rawPath": "/api/protected",
        "rawQueryString": "",
        "cookies": cookies,
        "headers": headers,
        "queryStringParameters": {},
        "requestContext": {
            "accountId": "123456789012", "apiId": "abcdef", "domainName": "abcdef.example", "requestId": "r",
            "http": {"method": "GET", "path": "/api/protected", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "t"},
            "routeKey": "GET /api/protected", "stage": "$default", "time": "23/Nov/2026:12:00:00 +0000", "timeEpoch": 0,
        },
        "pathParameters": {},
        "stageVariables": {},
    }))
    .unwrap()
}

async fn context(authorizer: &Authorizer, event: AuthorizerRequest) -> Value {
    let invocation = Invocation { aws_request_id: "i".into(), deadline: now() };
    let response = authorizer.handle(event, invocation).await.unwrap();
    assert!(response.is_authorized, "a bad credential must reach the function, which answers 401");
    response.context
}

#[tokio::test]
async fn a_good_bearer_token_names_the_caller() {
    let header = format!("Bearer {}", access_token());
    let context = context(&live(), event(Some(&header), &json!({"authorization": header}), &[])).await;
    assert_eq!(context["authn"], "ok");
    assert_eq!((&context["user_id"], &context["username"]), (&json!("7"), &json!("ada")));
    assert!(context.as_object().unwrap().values().all(Value::is_string));
}

#[tokio::test]
async fn a_bad_bearer_token_is_allowed_with_its_reason() {
    for (header, reason) in [
        ("Bearer nonsense", "token_malformed"),
        ("Basic YTpi", "token_malformed"),
        ("Bearer hr_AAAA", "token_wrong_kind"),
        ("Bearer a.b.c", "token_malformed"),
    ] {
        let context = context(&live(), event(Some(header), &json!({"authorization": header}), &[])).await;
        assert_eq!(context, json!({"authn": "invalid", "reason": reason}), "{header}");
    }
}

#[tokio::test]
async fn an_ended_session_is_revoked() {
    let header = format!("Bearer {}", access_token());
    let event = event(Some(&header), &json!({"authorization": header}), &[]);
    let gone = authorizer(Store { session: None, down: false });
    assert_eq!(context(&gone, event).await, json!({"authn": "invalid", "reason": "token_revoked"}));
}

#[tokio::test]
async fn a_session_store_that_is_down_names_nobody_and_denies_nobody() {
    let header = format!("Bearer {}", access_token());
    let event = event(Some(&header), &json!({"authorization": header}), &[]);
    let down = authorizer(Store { session: None, down: true });
    assert_eq!(context(&down, event).await, json!({"authn": "unavailable"}));
}

#[tokio::test]
async fn the_cookie_authorizer_reads_the_session_cookie_only() {
    let header = format!("theme=dark; {COOKIE}={}; x=y", access_token());
    // In the identity source, in the list of cookies, or in both.
    let listed: Vec<&str> = header.split("; ").collect();
    for cookies in [&listed[..], &[]] {
        let event = event(Some(&header), &json!({}), cookies);
        assert_eq!(context(&live(), event).await["authn"], "ok");
    }
    let none = event(Some("theme=dark"), &json!({}), &["theme=dark"]);
    assert_eq!(context(&live(), none).await, json!({"authn": "invalid", "reason": "token_missing"}));
    // A good header does not help: it is not what the gateway caches by.
    let both =
        event(Some("theme=dark"), &json!({"authorization": format!("Bearer {}", access_token())}), &["theme=dark"]);
    assert_eq!(context(&live(), both).await["authn"], "invalid");
}

#[tokio::test]
async fn a_cookie_does_not_help_where_a_bearer_token_is_asked_for() {
    let cookie = format!("{COOKIE}={}", access_token());
    let event = event(Some("Bearer nonsense"), &json!({"authorization": "Bearer nonsense"}), &[&cookie]);
    assert_eq!(context(&live(), event).await["authn"], "invalid");
}

#[tokio::test]
async fn the_optional_authorizer_takes_a_token_or_none() {
    assert_eq!(context(&live(), event(None, &json!({}), &[])).await, json!({"authn": "anonymous"}));
    let header = format!("Bearer {}", access_token());
    assert_eq!(context(&live(), event(None, &json!({"Authorization": header}), &[])).await["authn"], "ok");
    let bad = event(None, &json!({"authorization": "Bearer nonsense"}), &[]);
    assert_eq!(live().authenticate(&bad).await, Authn::Invalid(AuthnFailure::Malformed));
}
