//! JSON bodies.

use axum::{
    body::Body,
    extract::{FromRequest, Request},
};
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::field_error;
use crate::{FieldError, Problem, Validate, Violations};

/// Lambda's limit on a request's payload, in bytes. Source: AWS Lambda Developer Guide, "Lambda quotas".
const LIMIT: usize = 6 * 1024 * 1024;

/// A JSON body that parses into `T` and keeps its rules: else 415, 400 (not JSON), 413 or 422 (which fields, and why).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Valid<T>(pub T);

/// The same, or nothing when the body is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaybeValid<T>(pub Option<T>);

/// The same, whatever the `Content-Type` says: the original's clients send some bodies without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lenient<T>(pub Option<T>);

impl<T: DeserializeOwned + Validate, S: Sync> FromRequest<S> for Lenient<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let body = read(request.into_body()).await?;
        let empty = body.iter().all(u8::is_ascii_whitespace);
        if empty { Ok(Self(None)) } else { parse(&body).map(|value| Self(Some(value))) }
    }
}

impl<T: DeserializeOwned + Validate, S: Sync> FromRequest<S> for Valid<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        check_type(request.headers())?;
        parse(&read(request.into_body()).await?).map(Self)
    }
}

impl<T: DeserializeOwned + Validate, S: Sync> FromRequest<S> for MaybeValid<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let body = read(body).await?;
        if body.is_empty() {
            return Ok(Self(None));
        }
        check_type(&parts.headers)?;
        parse(&body).map(|value| Self(Some(value)))
    }
}

fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let is_json =
        kind.eq_ignore_ascii_case("application/json") || (kind.starts_with("application/") && kind.ends_with("+json"));
    if is_json { Ok(()) } else { Err(Problem::unsupported_media_type("the body must be application/json")) }
}

/// A whole body, unless it is too large.
pub(crate) async fn read(body: Body) -> Result<Bytes, Problem> {
    match Limited::new(body, LIMIT).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Problem::too_large("the body is larger than 6 MiB")),
        Err(error) => {
            Err(Problem::bad_request("unreadable_body", "the body could not be read").with_source(error.to_string()))
        }
    }
}

fn parse<T: DeserializeOwned + Validate>(body: &[u8]) -> Result<T, Problem> {
    // With the path at once: decoding by one deserializer and, to say where it went wrong, by another would be every type's
    // code twice in every function.
    let mut json = serde_json::Deserializer::from_slice(body);
    let value: T = match serde_path_to_error::deserialize(&mut json) {
        Ok(value) => value,
        Err(error) if error.inner().is_data() => {
            return Err(Problem::unprocessable(vec![field_error(error.path(), &error.inner().to_string())]));
        }
        Err(error) => return Err(malformed(error.inner())),
    };
    json.end().map_err(|error| malformed(&error))?;
    // serde reads a struct out of a list, too: its fields in the order in which they happen to be written.
    if body.trim_ascii_start().starts_with(b"[") {
        let error = FieldError::new("", "invalid_type", "must be an object");
        return Err(Problem::unprocessable(vec![error]));
    }
    let mut violations = Violations::default();
    value.validate(&mut violations);
    violations.into_result()?;
    Ok(value)
}

fn malformed(error: &serde_json::Error) -> Problem {
    Problem::bad_request("malformed_json", format!("the body is not JSON: {error}"))
}
