//! The body of a request inside an event.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, header};

/// A body as the event carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestBody {
    /// There is none.
    None,
    /// As it is.
    Text(String),
    /// In base64.
    Base64(String),
}

/// Text stays text when its content type says so and it is UTF-8; everything else, forms included, is sent in base64,
/// as HTTP APIs do.
pub fn encode_body(headers: &HeaderMap, body: Bytes) -> RequestBody {
    if body.is_empty() {
        return RequestBody::None;
    }
    if !is_text(headers) {
        return RequestBody::Base64(STANDARD.encode(&body));
    }
    match String::from_utf8(body.into()) {
        Ok(text) => RequestBody::Text(text),
        Err(binary) => RequestBody::Base64(STANDARD.encode(binary.as_bytes())),
    }
}

fn is_text(headers: &HeaderMap) -> bool {
    if headers.contains_key(header::CONTENT_ENCODING) {
        return false;
    }
    let Some(content_type) = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default()) else {
        return true;
    };
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let starts = |prefix: &str| essence.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let ends = |suffix: &str| {
        essence
            .len()
            .checked_sub(suffix.len())
            .and_then(|at| essence.get(at..))
            .is_some_and(|end| end.eq_ignore_ascii_case(suffix))
    };
    starts("text/")
        || ["application/json", "application/javascript", "application/xml"]
            .iter()
            .any(|t| essence.eq_ignore_ascii_case(t))
        || ends("+json")
        || ends("+xml")
}
