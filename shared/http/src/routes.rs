//! A function's routes, with who may call them and how often.

use std::sync::Arc;

use axum::{
    Router,
    handler::Handler,
    response::{IntoResponse as _, Response},
    routing::{MethodFilter, MethodRouter, on},
};
use http::{Method, Uri, header};

use crate::{HttpContext, Problem, guard::GuardLayer};

/// Which authorizer stands in front of a route, as the template says it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// `bearer`: an access token.
    Bearer,
    /// `cookie`: the dashboard's session cookie.
    Cookie,
    /// `optional`: public, and says more to some.
    Optional,
    /// None.
    Public,
}

/// How often a route may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// As often as the flood shields in front allow; no round trip.
    Unlimited,
    /// This often a minute by one caller: the principal, or without one the address. The guard sees to it.
    PerCaller(u32),
    /// This often a minute for one account from one address. The handler sees to it: [`crate::Throttle`].
    PerAccount(u32),
}

impl Rate {
    /// No limit.
    pub const fn none() -> Self {
        Self::Unlimited
    }

    /// `n` a minute by one caller.
    pub const fn per_minute(n: u32) -> Self {
        Self::PerCaller(n)
    }

    /// `n` a minute for one account from one address, through [`crate::Throttle`].
    pub const fn per_account(n: u32) -> Self {
        Self::PerAccount(n)
    }
}

/// What becomes of a POST that is sent twice, because the answer to the first was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeats {
    /// Nothing was said. Other methods need not; a POST must, and a test asks.
    Unsaid,
    /// It takes an `Idempotency-Key`: the first answer is given again.
    Keyed,
    /// Likewise, but its answer holds a secret and is not kept: the second is told that there was a first.
    KeyedSecret,
    /// It takes no key, for this reason.
    Unkeyed(&'static str),
}

/// One route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteInfo {
    /// The method.
    pub method: Method,
    /// The path as the template writes it: `/tasks/status/{id}`.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// How often.
    pub rate: Rate,
    /// What becomes of it when it is sent twice.
    pub repeats: Repeats,
    /// `GET /tasks/status/{id}`: the route key, which limits and live metrics go by.
    pub id: Arc<str>,
}

/// The routes of one function; records what it serves, for the test that compares code and template.
#[derive(Debug)]
pub struct Routes<S = ()> {
    infos: Vec<RouteInfo>,
    handlers: Vec<MethodRouter<S>>,
    elsewhere: &'static [Elsewhere],
}

/// A path of the API that another function may serve, as the template writes it, and the methods that it takes:
/// `("/tasks/status/{id}", "GET")`.
pub type Elsewhere = (&'static str, &'static str);

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// None yet.
    pub fn new() -> Self {
        Self { infos: Vec::new(), handlers: Vec::new(), elsewhere: &[] }
    }

    /// Serves GET (and HEAD).
    #[must_use]
    pub fn get<H: Handler<T, S>, T: 'static>(self, path: &'static str, access: Access, rate: Rate, h: H) -> Self {
        self.route(Method::GET, path, access, rate, on(MethodFilter::GET, h))
    }

    /// Serves POST.
    #[must_use]
    pub fn post<H: Handler<T, S>, T: 'static>(self, path: &'static str, access: Access, rate: Rate, h: H) -> Self {
        self.route(Method::POST, path, access, rate, on(MethodFilter::POST, h))
    }

    /// Serves PUT.
    #[must_use]
    pub fn put<H: Handler<T, S>, T: 'static>(self, path: &'static str, access: Access, rate: Rate, h: H) -> Self {
        self.route(Method::PUT, path, access, rate, on(MethodFilter::PUT, h))
    }

    /// Serves PATCH.
    #[must_use]
    pub fn patch<H: Handler<T, S>, T: 'static>(self, path: &'static str, access: Access, rate: Rate, h: H) -> Self {
        self.route(Method::PATCH, path, access, rate, on(MethodFilter::PATCH, h))
    }

    /// Serves DELETE.
    #[must_use]
    pub fn delete<H: Handler<T, S>, T: 'static>(self, path: &'static str, access: Access, rate: Rate, h: H) -> Self {
        self.route(Method::DELETE, path, access, rate, on(MethodFilter::DELETE, h))
    }

    fn route(
        mut self,
        method: Method,
        path: &'static str,
        access: Access,
        rate: Rate,
        handler: MethodRouter<S>,
    ) -> Self {
        let id = format!("{method} {path}").into();
        self.infos.push(RouteInfo { method, path, access, rate, repeats: Repeats::Unsaid, id });
        self.handlers.push(handler);
        self
    }

    /// The route before takes an `Idempotency-Key`. Its handler makes ids with [`crate::NewIds`].
    #[must_use]
    pub fn keyed(self) -> Self {
        self.repeated(Repeats::Keyed)
    }

    /// The route before takes an `Idempotency-Key`, and its answer is not kept, as it holds a secret.
    #[must_use]
    pub fn keyed_secret(self) -> Self {
        self.repeated(Repeats::KeyedSecret)
    }

    /// The route before is a POST that takes no `Idempotency-Key`, for this reason.
    #[must_use]
    pub fn unkeyed(self, why: &'static str) -> Self {
        self.repeated(Repeats::Unkeyed(why))
    }

    fn repeated(mut self, repeats: Repeats) -> Self {
        if let Some(info) = self.infos.last_mut() {
            info.repeats = repeats;
        }
        self
    }

    /// Knows all paths of the API, for the function that answers where no route does: another method on one of them is
    /// 405 and says which it takes, and not 404.
    #[must_use]
    pub fn knowing(mut self, elsewhere: &'static [Elsewhere]) -> Self {
        self.elsewhere = elsewhere;
        self
    }

    /// What is served.
    pub fn list(&self) -> &[RouteInfo] {
        &self.infos
    }

    /// The router, with the guard in front of every handler, of unknown paths and of wrong methods.
    pub fn into_router(self, state: S, ctx: HttpContext) -> Router {
        let mut router = Router::new();
        for (info, handler) in self.infos.into_iter().zip(self.handlers) {
            let path = info.path;
            router = router.route(path, handler.layer(GuardLayer::new(ctx.clone(), Arc::new(info))));
        }
        let rest = GuardLayer::new(ctx, Arc::new(default_route()));
        router
            .fallback((move |uri: Uri| async move { unknown_path(self.elsewhere, &uri) }).layer(rest.clone()))
            .method_not_allowed_fallback(wrong_method.layer(rest))
            .with_state(state)
    }
}

/// What answers when no route does.
fn default_route() -> RouteInfo {
    let path = "$default";
    let (access, rate, repeats) = (Access::Public, Rate::Unlimited, Repeats::Unsaid);
    RouteInfo { method: Method::GET, path, access, rate, repeats, id: path.into() }
}

fn unknown_path(elsewhere: &[Elsewhere], uri: &Uri) -> Response {
    match elsewhere.iter().find(|(pattern, _)| fits(pattern, uri.path())) {
        // RFC 9110, section 15.5.6: with `Allow`.
        Some((_, methods)) => ([(header::ALLOW, *methods)], Problem::method_not_allowed()).into_response(),
        None => Problem::not_found("there is nothing at this path").into_response(),
    }
}

/// Is it a path of this pattern? A variable stands for one part that is not empty.
fn fits(pattern: &str, path: &str) -> bool {
    let (mut patterns, mut parts) = (pattern.split('/'), path.split('/'));
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) if pattern == part || (pattern.starts_with('{') && !part.is_empty()) => {}
            _ => return false,
        }
    }
}

async fn wrong_method() -> Problem {
    Problem::method_not_allowed()
}
