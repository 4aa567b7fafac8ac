//! A router behind guards, with a limiter that tests hold.
#![allow(dead_code, reason = "not every test file uses all of it")]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use aws_lambda_events::apigw::{ApiGatewayRequestAuthorizer, ApiGatewayV2httpRequestContext};
use axum::{Router, body::Body};
use chrono::{DateTime, Utc};
use halyard_auth::context::Authn;
use halyard_domain::{Entropy, ManualClock};
use halyard_http::{Decision, HttpContext, Limit, Limiter, LimiterDown, LocalLimiter, Outcome, Visit};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use lambda_http::request::RequestContext;
use serde_json::Value;
use tower::ServiceExt as _;

/// A call of the limiter: route, limits, outcomes.
type Call = (String, Vec<Limit>, Vec<Outcome>);

/// What the limiter was asked, and whether it is up.
#[derive(Debug, Default)]
pub struct Probe {
    pub local: LocalLimiter,
    pub down: Mutex<bool>,
    pub calls: Mutex<Vec<Call>>,
}

#[async_trait]
impl Limiter for Probe {
    async fn check(
        &self,
        visit: Visit<'_>,
        limits: &[Limit],
        now: DateTime<Utc>,
    ) -> Result<Vec<Decision>, LimiterDown> {
        if *self.down.lock().unwrap() {
            return Err(LimiterDown("stopped by the test".to_owned()));
        }
        self.calls.lock().unwrap().push((visit.route.to_owned(), limits.to_vec(), visit.outcomes.to_vec()));
        Ok(self.local.apply(limits, now))
    }

    async fn penalise(&self, limit: &Limit, now: DateTime<Utc>) -> Result<Decision, LimiterDown> {
        Ok(self.local.charge(limit, now))
    }
}

pub struct World {
    pub clock: Arc<ManualClock>,
    pub limiter: Arc<Probe>,
    pub ctx: HttpContext,
}

pub fn world() -> World {
    let clock = Arc::new(ManualClock::new(DateTime::from_timestamp(1_800_000_000, 0).unwrap()));
    let limiter = Arc::new(Probe::default());
    let ctx = HttpContext::new(Arc::clone(&clock) as _, Arc::new(Entropy::seeded(7)), Arc::clone(&limiter) as _, true);
    World { clock, limiter, ctx }
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap()
    }
}

pub async fn send(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    Answer { status: parts.status, headers: parts.headers, body }
}

pub fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

pub fn post(path: &str, content_type: &str, body: &str) -> Request<Body> {
    let builder = Request::post(path);
    let builder = if content_type.is_empty() { builder } else { builder.header("content-type", content_type) };
    builder.body(Body::from(body.to_owned())).unwrap()
}

/// The request as it comes from a gateway whose authorizer said so.
pub fn with(mut request: Request<Body>, authn: Option<&Authn>, address: &str) -> Request<Body> {
    let mut context = ApiGatewayV2httpRequestContext::default();
    context.http.source_ip = Some(address.to_owned());
    if let Some(authn) = authn {
        let Value::Object(fields) = authn.to_context() else { panic!("a context is an object") };
        let mut authorizer = ApiGatewayRequestAuthorizer::default();
        authorizer.fields = fields.into_iter().collect();
        context.authorizer = Some(authorizer);
    }
    request.extensions_mut().insert(RequestContext::ApiGatewayV2(context));
    request
}

pub fn alice() -> Authn {
    Authn::Ok(Box::new(halyard_auth::Principal {
        user_id: halyard_domain::UserId(42),
        username: "alice".to_owned(),
        role: halyard_domain::user::Role::User,
        permissions: halyard_domain::authz::Grants::default(),
        credential: halyard_auth::Credential::Session {
            id: halyard_domain::SessionId("01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap()),
            methods: vec!["pwd".to_owned()],
        },
        authenticated_at: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
        expires_at: DateTime::from_timestamp(1_800_003_600, 0).unwrap(),
    }))
}
