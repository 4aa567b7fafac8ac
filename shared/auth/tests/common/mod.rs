//! What several tests here need.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its own part; a panic is a failed test")]

use chrono::{DateTime, Duration, Utc};
use halyard_auth::{
    KeySet, SigningKey,
    encoding::to_base64url,
    keys::generate,
    token::{Grant, TokenRules},
};
use halyard_domain::{Entropy, SessionId, UserId, authz::Grants, session::Session, user::Role};
use serde_json::{Value, json};

pub const KID: &str = "2026-11";

pub fn now() -> DateTime<Utc> {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

pub const TTL: Duration = Duration::hours(1);

pub fn rules() -> TokenRules {
    TokenRules { issuer: "https://halyard.test".into(), audience: "halyard".into() }
}

pub fn key_pair(kid: &str, seed: u8) -> (SigningKey, Value) {
    let (private, public) = generate(kid, [seed; 32]).unwrap();
    (SigningKey::from_jwk(&private.to_string()).unwrap(), public)
}

pub fn key_set(keys: &[Value]) -> KeySet {
    KeySet::from_jwks(&json!({ "keys": keys }).to_string()).unwrap()
}

pub fn session_id() -> SessionId {
    SessionId(Entropy::seeded(7).ulid(now()))
}

pub fn session() -> Session {
    Session {
        id: session_id(),
        user_id: UserId(42),
        username: "ada".into(),
        role: Role::Operator,
        permissions: Grants::of(Role::Operator, &["users:write".into()]),
        auth_epoch: 0,
        refresh_counter: 0,
        refresh_hash: String::new(),
        device: "test".into(),
        ip: "192.0.2.1".into(),
        created_at: now(),
        last_used_at: now(),
        expires_at: now() + Duration::days(30),
        authenticated_at: now(),
        methods: vec!["pwd".into()],
        revoked_at: None,
    }
}

pub fn grant(session: &Session) -> Grant<'_> {
    Grant {
        user_id: session.user_id,
        username: &session.username,
        role: session.role,
        permissions: &session.permissions,
        session_id: session.id,
        authenticated_at: session.authenticated_at,
        methods: &session.methods,
    }
}

pub fn good_header() -> Value {
    json!({"typ": "at+jwt", "alg": "EdDSA", "kid": KID})
}

pub fn good_claims() -> Value {
    json!({
        "iss": "https://halyard.test", "aud": "halyard", "sub": "42", "client_id": "halyard",
        "exp": now().timestamp() + 3600, "nbf": now().timestamp(), "iat": now().timestamp(),
        "jti": "j", "sid": session_id().to_string(), "username": "ada", "role": "operator", "scope": "users:read",
        "auth_time": now().timestamp(), "amr": ["pwd"],
    })
}

/// A token of any header and any claims, truly signed.
pub fn forge(key: &SigningKey, header: &str, claims: &str) -> String {
    let signed = format!("{}.{}", to_base64url(header), to_base64url(claims));
    let signature = to_base64url(key.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}
