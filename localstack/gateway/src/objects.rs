//! Links to objects of the twin of S3, at `/_objects/`. They are no part of the API: only a gateway that was given an
//! [`ObjectTwin`] has them. Whoever has a link may follow it, as on AWS, and is answered as S3 would.

use bytes::Bytes;
use halyard_cloud::objects::{ObjectTwin, Redeemed};
use http::{HeaderValue, Method, StatusCode, header, request::Parts};

use crate::event::Response;

/// Where they are.
const PATH: &str = "/_objects/";

/// Is this request for an object?
pub(crate) fn is_asked_for(parts: &Parts) -> bool {
    parts.uri.path().starts_with(PATH)
}

/// Answers a request for an object.
pub(crate) async fn answer(objects: &ObjectTwin, parts: &Parts) -> Response {
    let with_body = match parts.method {
        Method::GET => true,
        Method::HEAD => false,
        _ => return refused(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
    };
    let link = parts.uri.path_and_query().map(|link| link.as_str().to_owned()).unwrap_or_default();
    let objects = objects.clone();
    match tokio::task::spawn_blocking(move || objects.redeem(&link)).await {
        Ok(Some(Redeemed::Found { body, content_type })) => found(body, &content_type, with_body),
        Ok(Some(Redeemed::Forbidden)) => refused(StatusCode::FORBIDDEN, "AccessDenied"),
        Ok(Some(Redeemed::Missing) | None) => refused(StatusCode::NOT_FOUND, "NoSuchKey"),
        Err(error) => {
            tracing::error!(%error, "an object cannot be read");
            refused(StatusCode::INTERNAL_SERVER_ERROR, "InternalError")
        }
    }
}

fn found(body: Bytes, content_type: &str, with_body: bool) -> Response {
    let length = body.len();
    let mut response = Response::new(if with_body { body } else { Bytes::new() });
    let headers = response.headers_mut();
    let content_type = HeaderValue::from_str(content_type);
    headers.insert(header::CONTENT_TYPE, content_type.unwrap_or(HeaderValue::from_static("application/octet-stream")));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // What a task wrote is data, whatever it says.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    if !with_body {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    response
}

fn refused(status: StatusCode, code: &str) -> Response {
    let mut response = Response::new(Bytes::from(format!("<Error><Code>{code}</Code></Error>")));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}
