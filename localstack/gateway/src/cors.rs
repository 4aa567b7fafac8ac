//! Cross-origin requests, answered by the gateway where the template configures it.
//!
//! Source: <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-cors.html>: preflights are answered
//! without a function, even where a route takes OPTIONS; the configured headers are added to the answers of
//! cross-origin requests; and those that a function sets itself are ignored.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use crate::{event::Response, template::Cors};

const OF_CORS: [HeaderName; 6] = [
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_ALLOW_METHODS,
    header::ACCESS_CONTROL_ALLOW_HEADERS,
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
    header::ACCESS_CONTROL_MAX_AGE,
];

/// A preflight asks before the request: OPTIONS, an origin, and the method it is about.
pub fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a preflight: 204, and the configured headers if the origin is allowed.
pub fn preflight(cors: &Cors, request: &HeaderMap) -> Response {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    if let Some(origin) = allowed_origin(cors, request.get(header::ORIGIN)) {
        common(cors, origin, headers);
        let mut list = |name, items: &[String]| {
            if !items.is_empty()
                && let Ok(value) = HeaderValue::from_str(&items.join(","))
            {
                headers.insert(name, value);
            }
        };
        list(header::ACCESS_CONTROL_ALLOW_METHODS, &cors.allow_methods);
        list(header::ACCESS_CONTROL_ALLOW_HEADERS, &cors.allow_headers);
        if let Some(seconds) = cors.max_age {
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(seconds));
        }
    }
    response
}

/// Adds the configured headers to an answer, in place of the function's own.
pub fn decorate(cors: &Cors, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
    for name in OF_CORS {
        headers.remove(name);
    }
    if let Some(origin) = allowed_origin(cors, origin) {
        common(cors, origin, headers);
        if !cors.expose_headers.is_empty()
            && let Ok(value) = HeaderValue::from_str(&cors.expose_headers.join(","))
        {
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, value);
        }
    }
}

fn common(cors: &Cors, origin: HeaderValue, headers: &mut HeaderMap) {
    if origin != "*" {
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    if cors.allow_credentials {
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
}

/// `*` for everybody, else the origin itself if the list has it (`https://*` stands for any that begins so).
fn allowed_origin(cors: &Cors, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
    let origin = origin?;
    let text = origin.to_str().ok()?;
    if cors.allow_origins.iter().any(|allowed| allowed == "*") {
        return Some(HeaderValue::from_static("*"));
    }
    let fits = |allowed: &String| match allowed.strip_suffix('*') {
        Some(prefix) => text.starts_with(prefix),
        None => allowed.eq_ignore_ascii_case(text),
    };
    cors.allow_origins.iter().any(fits).then(|| origin.clone())
}
