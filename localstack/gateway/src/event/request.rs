//! From a request to an event.

use std::{collections::HashMap, net::IpAddr};

use aws_lambda_events::{
    apigw::{ApiGatewayRequestAuthorizer, ApiGatewayV2httpRequest, ApiGatewayV2httpRequestContext},
    query_map::QueryMap,
};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use halyard_platform::function::AuthorizerRequest;
use http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts};
use serde_json::Value;

use super::body::{RequestBody, encode_body};
use crate::encoding::{log_time, query_pairs};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// Who sent the request, after trusted proxies were believed.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The client's address.
    pub address: IpAddr,
    /// What `X-Forwarded-For` becomes: what came, and the address appended.
    pub forwarded_for: String,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The port the request came in by.
    pub port: u16,
}

/// What the gateway knows of a request besides the request.
#[derive(Debug, Clone)]
pub struct RequestFacts<'a> {
    /// The API's id.
    pub api_id: &'a str,
    /// The account's id.
    pub account: &'a str,
    /// The route key, as written in the template.
    pub route_key: &'a str,
    /// The stage's variables.
    pub stage_variables: &'a std::collections::BTreeMap<String, String>,
    /// The path's variables, decoded.
    pub path_parameters: Vec<(String, String)>,
    /// The request's id.
    pub request_id: String,
    /// `X-Amzn-Trace-Id`, unless the client sent one.
    pub trace_id: String,
    /// When it came.
    pub now: DateTime<Utc>,
    /// Who sent it.
    pub caller: Caller,
}

/// The event for a function: payload 2.0, everything but the authorizer's context.
pub fn function_event(parts: Parts, body: Bytes, facts: RequestFacts<'_>) -> ApiGatewayV2httpRequest {
    let encoded = encode_body(&parts.headers, body);
    let (path, query) = (parts.uri.path().to_owned(), parts.uri.query().unwrap_or_default().to_owned());
    let mut headers = parts.headers;
    let cookies = take_cookies(&mut headers);
    join_repeated(&mut headers);
    add_own_headers(&mut headers, &facts);
    let mut event = ApiGatewayV2httpRequest::default();
    event.version = Some("2.0".to_owned());
    event.route_key = Some(facts.route_key.to_owned());
    event.query_string_parameters = query_map(&query);
    event.raw_query_string = Some(query);
    event.cookies = (!cookies.is_empty()).then_some(cookies);
    event.stage_variables = facts.stage_variables.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    event.request_context = request_context(&parts.method, &path, parts.version, &headers, &facts);
    event.raw_path = Some(path);
    event.path_parameters = facts.path_parameters.into_iter().collect();
    event.headers = headers;
    (event.body, event.is_base64_encoded) = match encoded {
        RequestBody::None => (None, false),
        RequestBody::Text(text) => (Some(text), false),
        RequestBody::Base64(text) => (Some(text), true),
    };
    event
}

/// The event for an authorizer, payload 2.0, out of the function's event.
/// Source: <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html>.
pub fn authorizer_event(
    event: &ApiGatewayV2httpRequest,
    route_arn: String,
    identity_source: Option<Vec<String>>,
) -> AuthorizerRequest {
    let mut out = AuthorizerRequest::default();
    out.version = Some("2.0".to_owned());
    out.type_ = Some("REQUEST".to_owned());
    out.route_arn = Some(route_arn);
    out.identity_source = identity_source;
    out.route_key.clone_from(&event.route_key);
    out.raw_path.clone_from(&event.raw_path);
    out.raw_query_string.clone_from(&event.raw_query_string);
    out.cookies = event.cookies.clone().unwrap_or_default();
    out.headers = event.headers.clone();
    out.query_string_parameters = joined_query(event.raw_query_string.as_deref().unwrap_or_default());
    out.request_context = event.request_context.clone();
    out.path_parameters.clone_from(&event.path_parameters);
    out.stage_variables.clone_from(&event.stage_variables);
    out
}

/// The values of an authorizer's identity sources; `None` when one of them is missing or empty.
pub fn identity_values(sources: &[String], event: &ApiGatewayV2httpRequest) -> Option<Vec<String>> {
    sources.iter().map(|source| identity_value(source, event).filter(|value| !value.is_empty())).collect()
}

fn identity_value(source: &str, event: &ApiGatewayV2httpRequest) -> Option<String> {
    if let Some(name) = source.strip_prefix("$request.header.") {
        if name.eq_ignore_ascii_case("cookie") {
            return event.cookies.as_ref().map(|cookies| cookies.join("; "));
        }
        return event.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    }
    if let Some(name) = source.strip_prefix("$request.querystring.") {
        let raw = event.raw_query_string.as_deref().unwrap_or_default();
        let values: Vec<_> = query_pairs(raw).filter(|(key, _)| key == name).map(|(_, value)| value).collect();
        return (!values.is_empty()).then(|| values.join(","));
    }
    if let Some(name) = source.strip_prefix("$stageVariables.") {
        return event.stage_variables.get(name).cloned();
    }
    let context = &event.request_context;
    match source.strip_prefix("$context.")? {
        "routeKey" => context.route_key.clone(),
        "httpMethod" => Some(context.http.method.to_string()),
        "path" => context.http.path.clone(),
        "domainName" => context.domain_name.clone(),
        "stage" => context.stage.clone(),
        "identity.sourceIp" => context.http.source_ip.clone(),
        _ => None,
    }
}

impl Caller {
    /// Puts the authorizer's context where handlers find it.
    pub fn authorize(event: &mut ApiGatewayV2httpRequest, context: HashMap<String, Value>) {
        let mut authorizer = ApiGatewayRequestAuthorizer::default();
        authorizer.fields = context;
        event.request_context.authorizer = Some(authorizer);
    }
}

fn request_context(
    method: &http::Method,
    path: &str,
    version: http::Version,
    headers: &HeaderMap,
    facts: &RequestFacts<'_>,
) -> ApiGatewayV2httpRequestContext {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let host = text(header::HOST);
    let domain = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let mut context = ApiGatewayV2httpRequestContext::default();
    context.route_key = Some(facts.route_key.to_owned());
    context.account_id = Some(facts.account.to_owned());
    context.stage = Some("$default".to_owned());
    context.request_id = Some(facts.request_id.clone());
    context.apiid = Some(facts.api_id.to_owned());
    context.domain_name = Some(if domain.is_empty() { "localhost" } else { domain }.to_owned());
    context.domain_prefix = Some(domain.split('.').next().unwrap_or_default().to_owned());
    context.time = Some(log_time(facts.now));
    context.time_epoch = facts.now.timestamp_millis();
    context.http.method = method.clone();
    context.http.path = Some(path.to_owned());
    context.http.protocol = Some(if version == http::Version::HTTP_10 { "HTTP/1.0" } else { "HTTP/1.1" }.to_owned());
    context.http.source_ip = Some(facts.caller.address.to_string());
    context.http.user_agent = Some(text(header::USER_AGENT).to_owned());
    context
}

/// Cookies leave the headers and become a list.
fn take_cookies(headers: &mut HeaderMap) -> Vec<String> {
    let cookies = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .map(str::trim)
        .filter(|cookie| !cookie.is_empty())
        .map(str::to_owned)
        .collect();
    headers.remove(header::COOKIE);
    cookies
}

/// A header that came several times becomes one, joined by commas.
fn join_repeated(headers: &mut HeaderMap) {
    if headers.len() == headers.keys_len() {
        return;
    }
    let repeated: Vec<HeaderName> =
        headers.keys().filter(|name| headers.get_all(*name).iter().count() > 1).cloned().collect();
    for name in repeated {
        let values: Vec<&[u8]> = headers.get_all(&name).iter().map(HeaderValue::as_bytes).collect();
        if let Ok(joined) = HeaderValue::from_bytes(&values.join(b",".as_slice())) {
            headers.insert(name, joined);
        }
    }
}

fn add_own_headers(headers: &mut HeaderMap, facts: &RequestFacts<'_>) {
    headers.remove(header::CONNECTION);
    headers.remove(header::TRANSFER_ENCODING);
    let mut set = |name, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(FORWARDED_FOR, &facts.caller.forwarded_for);
    set(FORWARDED_PROTO, facts.caller.scheme);
    set(FORWARDED_PORT, itoa(facts.caller.port).as_str());
    if !headers.contains_key(TRACE_ID)
        && let Ok(value) = HeaderValue::from_str(&facts.trace_id)
    {
        headers.insert(TRACE_ID, value);
    }
}

fn itoa(port: u16) -> String {
    port.to_string()
}

fn query_map(raw: &str) -> QueryMap {
    if raw.is_empty() {
        return QueryMap::default();
    }
    let mut map: HashMap<String, Vec<String>> = HashMap::new();
    for (name, value) in query_pairs(raw) {
        map.entry(name.into_owned()).or_default().push(value.into_owned());
    }
    QueryMap::from(map)
}

fn joined_query(raw: &str) -> HashMap<String, String> {
    let mut map: HashMap<String, String> = HashMap::new();
    for (name, value) in query_pairs(raw) {
        map.entry(name.into_owned())
            .and_modify(|joined| {
                joined.push(',');
                joined.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    map
}
