//! The answers that are no success: problems of the functions, and the bare answers of the gateway.

use std::collections::BTreeMap;

use halyard_auth::AuthnFailure;
use http::StatusCode;
use serde_json::{Value, json};

/// What can go wrong with one status: code and occasion.
pub(super) type Codes = BTreeMap<&'static str, &'static str>;

/// The form of every problem.
pub(super) fn schema() -> Value {
    json!({
        "type": "object",
        "description": "Problem details (RFC 9457).",
        "properties": {
            "type": { "type": "string", "format": "uri", "description": "`urn:halyard:problem:` and the code." },
            "title": { "type": "string", "description": "The status in words." },
            "status": { "type": "integer", "minimum": 400, "maximum": 599 },
            "detail": { "type": "string", "description": "For people." },
            "instance": { "type": "string", "description": "The request's path." },
            "error": { "type": "string", "pattern": "^[a-z][a-z0-9_]*$", "description": "A stable code." },
            "request_id": { "type": "string", "description": "As in `X-Request-Id`." },
            "errors": {
                "type": "array",
                "description": "What is wrong with which field.",
                "items": { "$ref": "#/components/schemas/FieldError" }
            }
        },
        "required": ["type", "title", "status", "detail", "instance", "error", "request_id"]
    })
}

/// The form of an entry of `errors`.
pub(super) fn field_error() -> Value {
    json!({
        "type": "object",
        "properties": {
            "pointer": {
                "type": "string",
                "description": "JSON Pointer (RFC 6901) into the body; for a query parameter, `/` and its name."
            },
            "code": { "type": "string", "pattern": "^[a-z][a-z0-9_]*$", "description": "A stable code." },
            "detail": { "type": "string", "description": "The rule, for people." }
        },
        "required": ["pointer", "code", "detail"]
    })
}

/// The form of the gateway's own answers.
pub(super) fn gateway_message() -> Value {
    json!({
        "type": "object",
        "description": "What the API gateway answers itself.",
        "properties": { "message": { "type": "string" } },
        "required": ["message"]
    })
}

/// Why a credential is refused.
pub(super) fn authentication() -> Codes {
    use AuthnFailure::{Expired, Invalid, Malformed, Missing, Revoked, WrongKind};
    let occasion = |failure| match failure {
        Missing => "no credential was sent",
        Malformed => "the credential is malformed",
        Invalid => "the credential is not valid",
        Expired => "the credential has expired",
        Revoked => "its session has ended, or it has been revoked",
        WrongKind => "this kind of token is not accepted here",
    };
    [Missing, Malformed, Invalid, Expired, Revoked, WrongKind].map(|failure| (failure.code(), occasion(failure))).into()
}

/// The answer of one status: its problems, and whether the gateway may give it as well.
pub(super) fn answer(status: u16, codes: &Codes, bare: bool, mut headers: Value) -> Value {
    let title = StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or("Error");
    let occasions: Vec<String> = codes.iter().map(|(code, occasion)| format!("- `{code}`: {occasion}")).collect();
    let description = format!("{title}\n\n{}", occasions.join("\n"));
    let description = description.trim_end();
    let mut content = json!({});
    if !codes.is_empty() {
        let names: Vec<&str> = codes.keys().copied().collect();
        content["application/problem+json"] = json!({
            "schema": {
                "$ref": "#/components/schemas/Problem",
                "properties": { "status": { "const": status }, "error": { "enum": names } }
            }
        });
    }
    if bare {
        content["application/json"] = json!({ "schema": { "$ref": "#/components/schemas/GatewayMessage" } });
    }
    if bare {
        headers["X-Request-Id"] = json!({ "$ref": "#/components/headers/OptionalRequestId" });
    }
    let mut add = |name: &str, component: &str| {
        headers[name] = json!({ "$ref": format!("#/components/headers/{component}") });
    };
    match status {
        401 => add("WWW-Authenticate", "WwwAuthenticate"),
        429 | 503 => add("Retry-After", "RetryAfter"),
        _ => {}
    }
    json!({ "description": description, "headers": headers, "content": content })
}
