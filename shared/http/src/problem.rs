//! Problem details (RFC 9457): the one form of every error answer.

use std::{borrow::Cow, fmt, sync::Arc};

use axum::response::{IntoResponse, Response};
use halyard_auth::AuthnFailure;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// What a handler returns.
pub type ApiResult<T> = Result<T, Problem>;

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// JSON Pointer (RFC 6901) into the body; for a query parameter, `/` and its name.
    pub pointer: Cow<'static, str>,
    /// Stable, in `snake_case`.
    pub code: Cow<'static, str>,
    /// For people.
    pub detail: Cow<'static, str>,
}

impl FieldError {
    /// Puts an error together.
    pub fn new(
        pointer: impl Into<Cow<'static, str>>,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { pointer: pointer.into(), code: code.into(), detail: detail.into() }
    }
}

/// An error answer. As a response it travels unrendered to the guard, which knows the request's path and id.
#[derive(Clone, PartialEq, Eq)]
pub struct Problem(Box<Inner>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    retry_after: Option<u32>,
    challenge: Option<String>,
    source: Option<String>,
}

impl Problem {
    /// A problem with a stable `snake_case` code.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = detail.into();
        let (errors, retry_after, challenge, source) = (Vec::new(), None, None, None);
        Self(Box::new(Inner { status, code, detail, errors, retry_after, challenge, source }))
    }

    /// 400: the request cannot be read.
    pub fn bad_request(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 401, with the challenge of RFC 6750, section 3.
    pub fn unauthorized(failure: AuthnFailure) -> Self {
        let challenge = match failure {
            // Section 3.1: no error information when no credential was sent.
            AuthnFailure::Missing => "Bearer realm=\"halyard\"".to_owned(),
            _ => format!("Bearer realm=\"halyard\", error=\"invalid_token\", error_description=\"{failure}\""),
        };
        Self::new(StatusCode::UNAUTHORIZED, failure.code(), failure.to_string()).with_challenge(challenge)
    }

    /// 403: known, but not allowed.
    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// 404: not there, or not the caller's.
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path does not take this method")
    }

    /// 409: the state of the thing forbids it.
    pub fn conflict(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 412: `If-Match` does not match.
    pub fn precondition_failed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", detail)
    }

    /// 413.
    pub fn too_large(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", detail)
    }

    /// 415.
    pub fn unsupported_media_type(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
    }

    /// 422: readable, but these values are not acceptable.
    pub fn unprocessable(errors: Vec<FieldError>) -> Self {
        let mut problem =
            Self::new(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", "some values are not acceptable");
        problem.0.errors = errors;
        problem
    }

    /// 429, to be tried again after some seconds.
    pub fn too_many(retry_after: u32) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "too many requests").with_retry_after(retry_after)
    }

    /// 503: something that the answer depends on is down; to be tried again after some seconds.
    pub fn unavailable(detail: impl Into<Cow<'static, str>>, retry_after: u32) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail).with_retry_after(retry_after)
    }

    /// 500. The error is logged by the guard and never shown.
    pub fn internal(error: &dyn std::error::Error) -> Self {
        Self::internal_text(chain(error))
    }

    /// 500, from a text, which is logged and never shown.
    pub fn internal_text(text: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server failed to answer").with_source(text)
    }

    /// Sets `Retry-After`, in seconds, at least 1.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after = Some(seconds.max(1));
        self
    }

    /// Sets `errors`.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.0.errors = errors;
        self
    }

    /// Sets `WWW-Authenticate`, which every 401 carries; without one it is a bare `Bearer` challenge.
    #[must_use]
    pub fn with_challenge(mut self, challenge: String) -> Self {
        self.0.challenge = Some(challenge);
        self
    }

    /// What the guard logs, and nobody is shown.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<String>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable code (`error`).
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// The detail.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The errors by field.
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// What is only logged.
    pub fn source_text(&self) -> Option<&str> {
        self.0.source.as_deref()
    }

    /// The problem as the client sees it. `instance` is the request's path.
    pub fn render(&self, instance: &str, request_id: &str) -> Response {
        let inner = &*self.0;
        let body = Body {
            r#type: format_args!("urn:halyard:problem:{}", inner.code),
            title: inner.status.canonical_reason().unwrap_or("Error"),
            status: inner.status.as_u16(),
            detail: &inner.detail,
            instance,
            error: inner.code,
            request_id,
            errors: &inner.errors,
        };
        // Strings, numbers and lists of them: serialisation cannot fail.
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = Response::new(axum::body::Body::from(body));
        *response.status_mut() = inner.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = inner.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if inner.status == StatusCode::UNAUTHORIZED {
            let challenge = inner.challenge.as_deref().and_then(|c| HeaderValue::from_str(c).ok());
            let bare = HeaderValue::from_static("Bearer realm=\"halyard\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge.unwrap_or(bare));
        }
        response
    }
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: fmt::Arguments<'a>,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    error: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    errors: &'a [FieldError],
}

/// The unrendered problem in a response's extensions.
#[derive(Clone)]
pub(crate) struct Unrendered(pub Arc<Problem>);

/// The response with its problem rendered, if it has one.
pub(crate) fn rendered(mut response: Response, instance: &str, request_id: &str) -> Response {
    let Some(Unrendered(problem)) = response.extensions_mut().remove::<Unrendered>() else { return response };
    let mut rendered = problem.render(instance, request_id);
    // The problem's own headers win over those that a handler put around it.
    let mut headers = std::mem::take(response.headers_mut());
    headers.extend(std::mem::take(rendered.headers_mut()));
    *rendered.headers_mut() = headers;
    rendered
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(axum::body::Body::empty());
        *response.status_mut() = self.status();
        response.extensions_mut().insert(Unrendered(Arc::new(self)));
        response
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
