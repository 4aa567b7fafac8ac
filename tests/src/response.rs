//! An answer, as tests look at it.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

/// Headers that a snapshot shows when they are there: those that the contract speaks of.
const SHOWN: &[&str] = &[
    "allow",
    "content-type",
    "etag",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "traceparent",
    "www-authenticate",
    "x-auth-api-key-id",
    "x-auth-permissions",
    "x-auth-role",
    "x-auth-session-id",
    "x-auth-user-id",
    "x-auth-username",
    "x-request-id",
];

/// An answer with its body read.
#[derive(Debug, Clone)]
pub struct TestResponse {
    /// The status code.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, not decompressed.
    pub body: Bytes,
}

impl TestResponse {
    /// The status code as a number.
    pub fn code(&self) -> u16 {
        self.status.as_u16()
    }

    /// The body as JSON. Panics when it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{} without a JSON body ({e}): {}", self.status, self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }

    /// Panics unless the status is `code`.
    #[track_caller]
    pub fn expect(self, code: u16) -> Self {
        assert_eq!(self.code(), code, "answer: {}", self.text());
        self
    }

    /// Panics unless the answer is a problem of this status with this stable code in `error`.
    #[track_caller]
    pub fn expect_problem(self, code: u16, error: &str) -> Self {
        let this = self.expect(code);
        assert_eq!(this.header("content-type"), "application/problem+json", "answer: {}", this.text());
        assert_eq!(this.json()["error"], error, "answer: {}", this.text());
        this
    }

    /// What a snapshot shows: status, the contract's headers, and the body with tokens taken apart.
    pub fn snapshot(&self) -> Value {
        let mut headers = Map::new();
        for &name in SHOWN {
            let values: Vec<&str> = self.headers.get_all(name).iter().filter_map(|v| v.to_str().ok()).collect();
            if !values.is_empty() {
                headers.insert(name.to_owned(), Value::from(values.join(", ")));
            }
        }
        let body = match serde_json::from_slice(&self.body) {
            Ok(json) => readable(json),
            Err(_) => Value::from(self.text()),
        };
        json!({"status": self.code(), "headers": headers, "body": body})
    }
}

/// Replaces each JSON Web Token in a value by what it says.
fn readable(value: Value) -> Value {
    match value {
        Value::String(text) => token(&text).unwrap_or(Value::String(text)),
        Value::Array(items) => items.into_iter().map(readable).collect(),
        Value::Object(entries) => entries.into_iter().map(|(k, v)| (k, readable(v))).collect(),
        other => other,
    }
}

/// A token's header and claims; `None` when the text is no token.
pub fn token(text: &str) -> Option<Value> {
    let parts: Vec<&str> = text.split('.').collect();
    let [header, claims, _signature] = parts.as_slice() else { return None };
    let part = |text: &str| -> Option<Value> {
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok().filter(Value::is_object)
    };
    Some(json!({"header": part(header)?, "claims": part(claims)?}))
}
