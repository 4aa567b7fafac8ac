//! What the guard found out about a request, for handlers and extractors.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::FromRequestParts;
use chrono::{DateTime, Utc};
use halyard_auth::Principal;
use halyard_domain::RequestId;
use http::request::Parts;

use crate::{
    HttpContext, Problem, RouteInfo, TraceContext,
    limit::{Decision, Limit, rate_limit, rate_limit_policy},
};

/// The request as the guard sees it. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct RequestInfo(Arc<State>);

#[derive(Debug)]
struct State {
    ctx: HttpContext,
    route: Arc<RouteInfo>,
    request_id: RequestId,
    trace: TraceContext,
    principal: Option<Principal>,
    address: Option<String>,
    /// What was decided, once limits were applied.
    rate: Mutex<Option<(Vec<Limit>, Vec<Decision>)>>,
}

impl RequestInfo {
    pub(crate) fn new(
        ctx: HttpContext,
        route: Arc<RouteInfo>,
        request_id: RequestId,
        trace: TraceContext,
        principal: Option<Principal>,
        address: Option<String>,
    ) -> Self {
        Self(Arc::new(State { ctx, route, request_id, trace, principal, address, rate: Mutex::default() }))
    }

    /// The request's id, the client's or ours.
    pub fn request_id(&self) -> &RequestId {
        &self.0.request_id
    }

    /// Where the request stands in its trace.
    pub fn trace(&self) -> TraceContext {
        self.0.trace
    }

    /// The same as a `traceparent` value, for messages and rows.
    pub fn traceparent(&self) -> String {
        self.0.trace.header()
    }

    /// The caller, if any.
    pub fn principal(&self) -> Option<&Principal> {
        self.0.principal.as_ref()
    }

    /// The client's address as the gateway saw it.
    pub fn address(&self) -> Option<&str> {
        self.0.address.as_deref()
    }

    /// The route.
    pub fn route(&self) -> &RouteInfo {
        &self.0.route
    }

    /// What the guard of every route shares.
    pub(crate) fn context(&self) -> &HttpContext {
        &self.0.ctx
    }

    /// The wall clock's time.
    pub fn now(&self) -> DateTime<Utc> {
        self.0.ctx.clock().now()
    }

    /// Applies limits and remembers what to say about them in the answer's headers.
    pub(crate) async fn apply(&self, limits: &[Limit]) -> Vec<Decision> {
        let user = self.principal().map(|principal| principal.user_id);
        let decisions = self.0.ctx.check(&self.0.route.id, user, limits).await;
        *self.rate() = Some((limits.to_vec(), decisions.clone()));
        decisions
    }

    /// Charges a limit whatever it has left; the answer's headers tell of that, too.
    pub(crate) async fn penalise(&self, limit: &Limit) {
        let decision = self.0.ctx.penalise(limit).await;
        if let Some((limits, decisions)) = &mut *self.rate() {
            let told = limits.iter().zip(decisions).find(|(other, _)| other.key == limit.key);
            if let Some((_, told)) = told {
                (told.remaining, told.reset) = (decision.remaining, decision.reset);
            }
        }
        tracing::debug!(remaining = decision.remaining, limit = limit.name, "a failure was charged");
    }

    /// `RateLimit-Policy` and `RateLimit`, once limits were applied.
    pub(crate) fn take_rate_headers(&self) -> Option<(String, String)> {
        let (limits, decisions) = self.rate().take()?;
        Some((rate_limit_policy(&limits), rate_limit(&limits, &decisions)))
    }

    fn rate(&self) -> MutexGuard<'_, Option<(Vec<Limit>, Vec<Decision>)>> {
        self.0.rate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn of(parts: &Parts) -> Result<&Self, Problem> {
        parts.extensions.get::<Self>().ok_or_else(|| Problem::internal_text("a route without its guard"))
    }
}

impl<S: Sync> FromRequestParts<S> for RequestInfo {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(parts).cloned()
    }
}
