//! The one layer in front of every handler. In one pass: request id and trace, identity, limits, the handler with its
//! panics caught, problems rendered, headers, compression, the outcome for the live metrics, and the log line.

use std::{
    convert::Infallible,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use futures::FutureExt as _;
use halyard_auth::{AuthnFailure, context::Authn};
use halyard_domain::RequestId;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use lambda_http::request::RequestContext;
use tower::{Layer, Service, ServiceExt as _};
use tracing::Instrument as _;

use crate::{
    Access, HttpContext, Problem, Rate, RequestInfo, RouteInfo, TraceContext, compress, idempotency,
    limit::Limit,
    problem::{Unrendered, rendered},
    throttle::{WINDOW, refuse},
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Seconds after which a credential that could not be checked may be sent again: as long as the gateway may keep the
/// authorizer's answer.
const AUTHN_RETRY: u32 = 5;

/// Puts a [`Guard`] in front of a handler.
#[derive(Debug, Clone)]
pub struct GuardLayer {
    ctx: HttpContext,
    route: Arc<RouteInfo>,
}

impl GuardLayer {
    pub(crate) fn new(ctx: HttpContext, route: Arc<RouteInfo>) -> Self {
        Self { ctx, route }
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;
    fn layer(&self, inner: S) -> Guard<S> {
        Guard { layer: self.clone(), inner }
    }
}

/// A handler behind its guard.
#[derive(Debug, Clone)]
pub struct Guard<S> {
    layer: GuardLayer,
    inner: S,
}

impl<S> Service<Request> for Guard<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (layer, inner) = (self.layer.clone(), self.inner.clone());
        Box::pin(async move { Ok(layer.serve(inner, request).await) })
    }
}

impl GuardLayer {
    async fn serve<S>(self, inner: S, mut request: Request) -> Response
    where
        S: Service<Request, Response = Response, Error = Infallible> + Send,
        S::Future: Send,
    {
        let started = Instant::now();
        let identity = Identity::take(&mut request);
        let (info, refusal) = self.introduce(identity, request.headers());
        let client = Client::of(&request);
        request.extensions_mut().insert(info.clone());
        let span = tracing::info_span!(
            "request",
            request_id = info.request_id().as_str(),
            trace_id = tracing::field::Empty,
            route = &*self.route.id,
            user_id = info.principal().map(|p| p.user_id.0),
        );
        if !span.is_disabled() {
            span.record("trace_id", info.trace().trace_id_hex());
        }
        async {
            let result = match refusal {
                Some(problem) => problem.into_response(),
                None => self.admit_and_call(inner, request, &info).await,
            };
            let response = self.finish(result, &info, &client).await;
            let (status, took) = (response.status(), started.elapsed());
            self.ctx.record(&self.route.id, status, took);
            tracing::info!(
                target: "halyard::request",
                method = client.method.as_str(),
                path = client.path,
                status = status.as_u16(),
                duration_ms = took.as_secs_f64() * 1e3,
                "request"
            );
            response
        }
        .instrument(span)
        .await
    }

    /// Names the request and its caller; says at once why the caller may not pass.
    fn introduce(&self, identity: Identity, headers: &HeaderMap) -> (RequestInfo, Option<Problem>) {
        let text = |name: HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
        let random: [u8; 40] = self.ctx.entropy().bytes();
        let request_id = text(REQUEST_ID).and_then(RequestId::parse);
        let request_id = request_id.unwrap_or_else(|| RequestId::from_bytes(part(&random, 0)));
        let trace = text(TRACEPARENT).and_then(TraceContext::parse);
        let trace = match trace {
            Some(parent) => parent.child(part(&random, 32)),
            None => TraceContext::root(part(&random, 16), part(&random, 32)),
        };
        let must_be_known = matches!(self.route.access, Access::Bearer | Access::Cookie);
        let (principal, refusal) = match identity.authn {
            Some(Authn::Ok(principal)) => (Some(*principal), None),
            Some(Authn::Invalid(failure)) => (None, Some(Problem::unauthorized(failure))),
            Some(Authn::Unavailable) => {
                (None, Some(Problem::unavailable("nobody can say now whether the credential is good", AUTHN_RETRY)))
            }
            Some(Authn::Anonymous) | None => {
                (None, must_be_known.then(|| Problem::unauthorized(AuthnFailure::Missing)))
            }
        };
        let ctx = self.ctx.clone();
        (RequestInfo::new(ctx, Arc::clone(&self.route), request_id, trace, principal, identity.address), refusal)
    }

    /// The limit of the guard's own kind, then the handler.
    async fn admit_and_call<S>(&self, inner: S, request: Request, info: &RequestInfo) -> Response
    where
        S: Service<Request, Response = Response, Error = Infallible> + Send,
        S::Future: Send,
    {
        if let Rate::PerCaller(quota) = self.route.rate {
            let key = match info.principal() {
                Some(principal) => format!("{}:u:{}", self.route.id, principal.user_id),
                None => format!("{}:a:{}", self.route.id, info.address().unwrap_or("unknown")),
            };
            let limits = [Limit { name: "caller", key, quota, window: WINDOW, cost: 1 }];
            if let Err(problem) = refuse(&info.apply(&limits).await) {
                return problem.into_response();
            }
        }
        let call = async |request| match AssertUnwindSafe(inner.oneshot(request)).catch_unwind().await {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(panic) => Problem::internal_text(format!("panic: {}", panic_text(&*panic))).into_response(),
        };
        idempotency::once(&self.ctx, info, request, call).await
    }

    /// Renders a problem, sets the headers of every answer, compresses.
    async fn finish(&self, mut response: Response, info: &RequestInfo, client: &Client) -> Response {
        if let Some(Unrendered(problem)) = response.extensions().get::<Unrendered>() {
            self.log_fault(problem, info);
        }
        response = rendered(response, &client.path, info.request_id().as_str());
        let headers = response.headers_mut();
        set(headers, REQUEST_ID, info.request_id().as_str());
        set(headers, TRACEPARENT, &info.traceparent());
        if let Some((policy, limit)) = info.take_rate_headers() {
            set(headers, RATE_LIMIT_POLICY, &policy);
            set(headers, RATE_LIMIT, &limit);
        }
        security(headers, client.over_tls);
        if client.takes_gzip { compress::gzip(response).await } else { response }
    }

    /// Server faults are logged here, once, with what the answer does not say.
    fn log_fault(&self, problem: &Problem, info: &RequestInfo) {
        if !problem.status().is_server_error() {
            return;
        }
        let (id, route) = (info.request_id().as_str(), &*self.route.id);
        let cause = problem.source_text().unwrap_or(problem.detail());
        if problem.status() == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(request_id = id, route, error = problem.code(), cause, "the server failed to answer");
        } else {
            tracing::warn!(request_id = id, route, error = problem.code(), cause, "a dependency is down");
        }
    }
}

/// What API Gateway says of the caller. Nothing else is believed.
struct Identity {
    authn: Option<Authn>,
    address: Option<String>,
}

impl Identity {
    fn take(request: &mut Request) -> Self {
        // lambda_http's context takes any origin; only this one is deployed.
        let Some(RequestContext::ApiGatewayV2(context)) = request.extensions_mut().remove::<RequestContext>() else {
            return Self { authn: None, address: None };
        };
        let authn = context.authorizer.and_then(|authorizer| {
            let fields = serde_json::Value::Object(authorizer.fields.into_iter().collect());
            Authn::from_context(&fields)
        });
        Self { authn, address: context.http.source_ip }
    }
}

/// What is needed of the request after the handler has consumed it.
struct Client {
    method: http::Method,
    path: String,
    takes_gzip: bool,
    over_tls: bool,
}

impl Client {
    fn of(request: &Request) -> Self {
        let headers = request.headers();
        Self {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            takes_gzip: headers.get(header::ACCEPT_ENCODING).is_some_and(compress::accepts_gzip),
            over_tls: headers.get(FORWARDED_PROTO).is_some_and(|v| v == "https"),
        }
    }
}

fn security(headers: &mut HeaderMap, over_tls: bool) {
    const fn value(text: &'static str) -> HeaderValue {
        HeaderValue::from_static(text)
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, value("nosniff"));
    headers.insert(header::REFERRER_POLICY, value("no-referrer"));
    let policy = || value("default-src 'none'; frame-ancestors 'none'");
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert_with(policy);
    headers.entry(header::CACHE_CONTROL).or_insert_with(|| value("no-store"));
    if over_tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value("max-age=31536000; includeSubDomains"));
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

fn part<const N: usize>(random: &[u8; 40], at: usize) -> [u8; N] {
    std::array::from_fn(|i| random[at + i])
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("?")
}
