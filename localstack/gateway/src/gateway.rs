//! One request through the gateway: route, throttle, authorizer, function, answer.

use std::{net::IpAddr, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use halyard_cloud::objects::ObjectTwin;
use halyard_domain::{Clock, Entropy};
use halyard_platform::function::{Answer, Event};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header, request::Parts};
use url::Url;

use crate::{
    authorizer::{Authorizers, Refusal},
    bare::{self, Bare},
    client::{TrustedPeers, caller},
    cors,
    event::{Caller, RequestFacts, Response, function_event, response_from_json, response_from_typed},
    inbox::{self, Inbox},
    invoke::{Invoke, InvokeError},
    objects,
    routing::Router,
    template::{Api, Route},
    throttle::Bucket,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("apigw-requestid");
/// The request line and the headers together.
/// Source: <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>.
const HEADER_LIMIT: usize = 10_240;

/// The HTTP API of a stack.
#[derive(Debug)]
pub(crate) struct HttpApi {
    pub api: Api,
    pub region: String,
    pub account: String,
    pub router: Router,
    pub buckets: Vec<Option<Bucket>>,
    pub authorizers: Authorizers,
    pub invoke: Arc<dyn Invoke>,
    pub inbox: Option<Arc<dyn Inbox>>,
    pub objects: Option<ObjectTwin>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<Entropy>,
    pub trusted: Vec<TrustedPeers>,
    pub port: u16,
}

impl HttpApi {
    /// Answers a request whose body has arrived.
    pub async fn answer(&self, parts: Parts, body: Bytes, peer: IpAddr) -> Response {
        if let Some(inbox) = &self.inbox
            && inbox::is_asked_for(&parts, peer)
        {
            return inbox::answer(inbox.as_ref(), &parts).await;
        }
        if let Some(twin) = &self.objects
            && objects::is_asked_for(&parts)
        {
            return objects::answer(twin, &parts).await;
        }
        let is_head = parts.method == Method::HEAD;
        let origin = parts.headers.get(header::ORIGIN).cloned();
        let request_id = STANDARD.encode(self.entropy.bytes::<11>());
        let mut response = match &self.api.cors {
            Some(cors) if cors::is_preflight(&parts.method, &parts.headers) => cors::preflight(cors, &parts.headers),
            configured => {
                let routed = self.route(parts, body, peer, &request_id).await;
                let mut response = routed.unwrap_or_else(|refused| refused());
                if let Some(cors) = configured {
                    cors::decorate(cors, origin.as_ref(), response.headers_mut());
                }
                response
            }
        };
        let headers = response.headers_mut();
        if !is_head {
            // The server knows the length; only the answer to HEAD may speak of a body that is not there.
            headers.remove(header::CONTENT_LENGTH);
        }
        if let Ok(id) = HeaderValue::try_from(request_id) {
            headers.insert(REQUEST_ID, id);
        }
        response
    }

    async fn route(&self, parts: Parts, body: Bytes, peer: IpAddr, request_id: &str) -> Result<Response, Bare> {
        check(&parts)?;
        let found = self.router.find(&parts.method, parts.uri.path()).ok_or(bare::not_found as Bare)?;
        let route = &self.api.routes[found.route];
        if self.buckets[found.route].as_ref().is_some_and(|bucket| !bucket.take()) {
            return Err(bare::too_many_requests);
        }
        let now = self.clock.now();
        let route_key = route.key.to_string();
        let facts = RequestFacts {
            api_id: &self.api.id,
            account: &self.account,
            route_key: &route_key,
            stage_variables: &self.api.stage.variables,
            path_parameters: found.parameters,
            request_id: request_id.to_owned(),
            trace_id: self.trace_id(now.timestamp()),
            now,
            caller: caller(peer, &parts.headers, &self.trusted, self.port),
        };
        let mut event = function_event(parts, body, facts);
        if let Some(id) = &route.authorizer {
            let authorizer = &self.api.authorizers[id];
            let method = event.request_context.http.method.clone();
            let path = event.raw_path.clone();
            let arn = || self.route_arn(&method, path.as_deref().unwrap_or_default());
            match self.authorizers.authorize(authorizer, &event, arn, self.invoke.as_ref()).await {
                Ok(context) => Caller::authorize(&mut event, context.as_ref().clone()),
                Err(Refusal::Unauthorized) => return Err(bare::unauthorized),
                Err(Refusal::Forbidden) => return Err(bare::forbidden),
                Err(Refusal::Failed(reason)) => {
                    tracing::error!(authorizer = authorizer.id, reason, "an authorizer failed");
                    return Err(bare::internal_error);
                }
            }
        }
        self.integrate(route, Event::Http(Box::new(event))).await
    }

    /// The function's answer, or what API Gateway says in its place.
    /// Source: <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-troubleshooting-lambda.html>.
    async fn integrate(&self, route: &Route, event: Event) -> Result<Response, Bare> {
        let invoked = tokio::time::timeout(route.timeout, self.invoke.invoke(&route.function, event));
        let (refused, reason): (Bare, String) = match invoked.await {
            Ok(Ok(Answer::Http(response))) => match response_from_typed(response) {
                Ok(response) => return Ok(response),
                Err(e) => (bare::internal_error, e.to_string()),
            },
            Ok(Ok(Answer::Plain(json))) => match response_from_json(json) {
                Ok(response) => return Ok(response),
                Err(e) => (bare::internal_error, e.to_string()),
            },
            Ok(Ok(_)) => (bare::internal_error, "the answer is not a response".to_owned()),
            Ok(Err(InvokeError::RequestTooLarge)) => return Err(bare::request_too_long),
            Ok(Err(e @ (InvokeError::Throttled | InvokeError::Unavailable(_)))) => {
                (bare::service_unavailable, e.to_string())
            }
            Ok(Err(e)) => (bare::internal_error, e.to_string()),
            Err(_) => (bare::service_unavailable, "the integration's limit has passed".to_owned()),
        };
        tracing::warn!(function = route.function, route = %route.key, reason, "an integration failed");
        Err(refused)
    }

    fn route_arn(&self, method: &Method, path: &str) -> String {
        format!("arn:aws:execute-api:{}:{}:{}/$default/{method}{path}", self.region, self.account, self.api.id)
    }

    fn trace_id(&self, seconds: i64) -> String {
        let random = u128::from_be_bytes(self.entropy.bytes::<16>()) >> 32;
        format!("Root=1-{seconds:08x}-{random:024x}")
    }
}

/// What no request may be: too much in its headers, or a header, a target or a host that JSON and the functions cannot read.
fn check(parts: &Parts) -> Result<(), Bare> {
    let line = parts.uri.path_and_query().map_or(0, |path| path.as_str().len()) + parts.method.as_str().len();
    let headers: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if line + headers > HEADER_LIMIT {
        return Err(bare::headers_too_large);
    }
    // `*` and an authority alone have no path.
    let readable = parts.uri.path().starts_with('/') && parts.headers.values().all(|value| value.to_str().is_ok());
    if readable && host_is_plausible(&parts.headers) { Ok(()) } else { Err(bare::bad_request) }
}

/// One host at most, of characters that a host may have, and one that `lambda_http` can put before the path: it makes a
/// URL of the two, and an empty host would take the path's first segment for its own.
fn host_is_plausible(headers: &HeaderMap) -> bool {
    let fits = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    let is_host = |host: &HeaderValue| {
        let text = host.to_str().unwrap_or_default();
        !text.is_empty() && text.as_bytes().iter().all(fits) && Url::parse(&format!("http://{text}/")).is_ok()
    };
    let mut hosts = headers.get_all(header::HOST).iter();
    hosts.next().is_none_or(is_host) && hosts.next().is_none()
}
