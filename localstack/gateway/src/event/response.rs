//! From a function's answer to a response.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use lambda_http::Body;
use serde_json::Value;

use super::Response;

/// A function answered something that is no response: on AWS the client gets a bare 500.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the function's answer is not a response: {0}")]
pub struct BadPayload(pub String);

/// Headers that belong to one connection, or that the server computes itself.
const NOT_PASSED_ON: [HeaderName; 5] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TRAILER,
    HeaderName::from_static("keep-alive"),
];

/// The response of an in-process function, brought into the form that it would have after a trip through payload 2.0:
/// of a repeated header the first value remains, cookies excepted.
pub fn response_from_typed(response: http::Response<Body>) -> Result<Response, BadPayload> {
    let (mut parts, body) = response.into_parts();
    if parts.headers.len() != parts.headers.keys_len() {
        drop_repeated(&mut parts.headers);
    }
    for value in parts.headers.values() {
        if std::str::from_utf8(value.as_bytes()).is_err() {
            return Err(BadPayload("a header is not UTF-8".to_owned()));
        }
    }
    let body = match body {
        Body::Text(text) => Bytes::from(text),
        Body::Binary(bytes) => Bytes::from(bytes),
        _ => Bytes::new(),
    };
    finish(parts.status, parts.headers, body)
}

/// The response that a payload stands for: with a `statusCode` as it says, without one inferred.
pub fn response_from_json(payload: Value) -> Result<Response, BadPayload> {
    let Value::Object(mut fields) = payload else { return inferred(payload) };
    let Some(status) = fields.remove("statusCode") else { return inferred(Value::Object(fields)) };
    let status = match &status {
        Value::Number(n) => n.as_u64(),
        Value::String(s) => s.parse().ok(),
        _ => None,
    };
    let status = status
        .and_then(|n| u16::try_from(n).ok())
        .and_then(|n| StatusCode::from_u16(n).ok())
        .ok_or_else(|| BadPayload("statusCode is not a status".to_owned()))?;
    let mut headers = HeaderMap::new();
    if let Some(Value::Object(given)) = fields.remove("headers") {
        for (name, value) in given {
            let text = match value {
                Value::String(text) => text,
                Value::Number(n) => n.to_string(),
                Value::Bool(b) => b.to_string(),
                _ => return Err(BadPayload(format!("header {name} is not text"))),
            };
            headers.insert(header_name(&name)?, header_value(&text)?);
        }
    }
    if let Some(Value::Array(cookies)) = fields.remove("cookies") {
        for cookie in cookies {
            let text = cookie.as_str().ok_or_else(|| BadPayload("a cookie is not text".to_owned()))?;
            headers.append(header::SET_COOKIE, header_value(text)?);
        }
    }
    let encoded = matches!(fields.get("isBase64Encoded"), Some(Value::Bool(true)));
    let body = match fields.remove("body") {
        None | Some(Value::Null) => Bytes::new(),
        Some(Value::String(text)) if encoded => {
            STANDARD.decode(text).map_err(|_| BadPayload("the body is not base64".to_owned()))?.into()
        }
        Some(Value::String(text)) => text.into(),
        Some(_) => return Err(BadPayload("the body is not text".to_owned())),
    };
    finish(status, headers, body)
}

/// No `statusCode`: 200, JSON, and the answer is the body.
fn inferred(payload: Value) -> Result<Response, BadPayload> {
    let body = match payload {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let json = HeaderValue::from_static("application/json");
    finish(StatusCode::OK, HeaderMap::from_iter([(header::CONTENT_TYPE, json)]), body.into())
}

fn finish(status: StatusCode, mut headers: HeaderMap, body: Bytes) -> Result<Response, BadPayload> {
    if status.is_informational() {
        return Err(BadPayload(format!("{status} is not final")));
    }
    for name in NOT_PASSED_ON {
        headers.remove(name);
    }
    if !body.is_empty() {
        headers.remove(header::CONTENT_LENGTH);
        headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("text/plain; charset=utf-8"));
    }
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

fn drop_repeated(headers: &mut HeaderMap) {
    let repeated: Vec<HeaderName> =
        headers.keys().filter(|name| headers.get_all(*name).iter().count() > 1).cloned().collect();
    for name in repeated.into_iter().filter(|name| name != header::SET_COOKIE) {
        if let Some(first) = headers.get(&name).cloned() {
            headers.insert(name, first);
        }
    }
}

fn header_name(text: &str) -> Result<HeaderName, BadPayload> {
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| BadPayload(format!("{text:?} is not the name of a header")))
}

fn header_value(text: &str) -> Result<HeaderValue, BadPayload> {
    HeaderValue::from_bytes(text.as_bytes()).map_err(|_| BadPayload(format!("{text:?} is not a header's value")))
}
