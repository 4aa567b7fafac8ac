//! The answers that API Gateway makes itself: `{"message":"..."}` and nothing else.

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};

use crate::event::Response;

/// One of the answers below, not made yet.
pub type Bare = fn() -> Response;

fn bare(status: StatusCode, body: &'static str) -> Response {
    let mut response = Response::new(Bytes::from_static(body.as_bytes()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// 400: a request that cannot be put into an event.
pub fn bad_request() -> Response {
    bare(StatusCode::BAD_REQUEST, r#"{"message":"Bad Request"}"#)
}

/// 401: an identity source is missing.
pub fn unauthorized() -> Response {
    bare(StatusCode::UNAUTHORIZED, r#"{"message":"Unauthorized"}"#)
}

/// 403: an authorizer said no.
pub fn forbidden() -> Response {
    bare(StatusCode::FORBIDDEN, r#"{"message":"Forbidden"}"#)
}

/// 404: no route, and no `$default`.
pub fn not_found() -> Response {
    bare(StatusCode::NOT_FOUND, r#"{"message":"Not Found"}"#)
}

/// 413: the body is above 10 MB.
pub fn body_too_large() -> Response {
    bare(StatusCode::PAYLOAD_TOO_LARGE, r#"{"message":"Request Entity Too Large"}"#)
}

/// 413: the event is above what Lambda takes (6 MB).
pub fn request_too_long() -> Response {
    bare(StatusCode::PAYLOAD_TOO_LARGE, r#"{"message":"Request Too Long"}"#)
}

/// 429: the route's throttle.
pub fn too_many_requests() -> Response {
    bare(StatusCode::TOO_MANY_REQUESTS, r#"{"message":"Too Many Requests"}"#)
}

/// 431: the headers are above 10,240 bytes.
pub fn headers_too_large() -> Response {
    bare(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, r#"{"message":"Request Header Fields Too Large"}"#)
}

/// 500: a function or an authorizer failed.
pub fn internal_error() -> Response {
    bare(StatusCode::INTERNAL_SERVER_ERROR, r#"{"message":"Internal Server Error"}"#)
}

/// 503: the function is throttled, away, or too slow.
pub fn service_unavailable() -> Response {
    bare(StatusCode::SERVICE_UNAVAILABLE, r#"{"message":"Service Unavailable"}"#)
}
