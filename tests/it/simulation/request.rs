//! What a client asks, as the gateway would hand it on.

use std::fmt;

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use chrono::{DateTime, Utc};
use halyard_auth::{Credential, Principal, context};
use halyard_domain::{SessionId, UserId, authz::Grants, user::Role};
use serde_json::{Value, json};
use uuid::Uuid;

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    /// 1 is the administrator.
    pub user: i64,
    pub method: &'static str,
    pub path: String,
    pub body: Value,
    /// Its `Idempotency-Key`.
    pub key: Option<u32>,
}

impl Request {
    pub fn new(user: i64, method: &'static str, path: impl Into<String>, body: Value) -> Self {
        Self { user, method, path: path.into(), body, key: None }
    }

    pub fn post(user: i64, path: impl Into<String>, body: Value) -> Self {
        Self::new(user, "POST", path, body)
    }

    /// The event.
    pub fn event(&self, now: DateTime<Utc>) -> ApiGatewayV2httpRequest {
        let (role, grants) =
            if self.user == 1 { (Role::Admin, vec!["*".to_owned()]) } else { (Role::User, Vec::new()) };
        let principal = Principal {
            user_id: UserId(self.user),
            username: format!("user-{}", self.user),
            role,
            permissions: Grants(grants),
            credential: Credential::Session { id: SessionId(Uuid::from_u128(7)), methods: vec!["pwd".to_owned()] },
            authenticated_at: now,
            expires_at: now + chrono::Duration::days(1_000),
        };
        let mut headers = json!({"content-type": "application/json", "host": "localhost"});
        if let Some(key) = self.key {
            headers["idempotency-key"] = format!("key-{key}").into();
        }
        let http = json!({
            "method": self.method, "path": self.path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "client",
        });
        let event = json!({
            "version": "2.0", "routeKey": "$default", "rawPath": self.path, "rawQueryString": "",
            "headers": headers,
            "requestContext": {
                "accountId": "1", "apiId": "simulated", "domainName": "localhost", "domainPrefix": "localhost", "http": http,
                "authorizer": {"lambda": context::to_context(&principal)}, "requestId": "simulated",
                "routeKey": "$default", "stage": "$default", "time": "", "timeEpoch": now.timestamp_millis(),
            },
            "body": self.body.to_string(), "isBase64Encoded": false,
        });
        serde_json::from_value(event).expect("an event")
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user {}: {} {} {}", self.user, self.method, self.path, self.body)?;
        self.key.map_or(Ok(()), |key| write!(f, " under key {key}"))
    }
}
