//! `GET /.well-known/jwks.json`

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use halyard_auth::{encoding::fingerprint, keys::PUBLISHED_FOR};
use halyard_http::{ApiResult, openapi::Operation};
use http::{HeaderMap, StatusCode, header};
use schemars::JsonSchema;
use serde_json::json;

use crate::{error::AuthError, state::AppState};

/// The public keys (RFC 7517), to be kept for as long as the header says: a new key is published as `standby` for longer
/// than that before it signs. With an `ETag`, so that whoever asks again gets them only when they have changed.
pub async fn handler(State(state): State<AppState>, headers: HeaderMap) -> ApiResult<Response> {
    let set = state.verifier.keys().present().await.map_err(AuthError::from)?.to_jwks();
    let tag = format!("\"{}\"", fingerprint(&set.to_string()));
    let cache = format!("public, max-age={}", PUBLISHED_FOR.num_seconds());
    let answer = [(header::CACHE_CONTROL, cache), (header::ETAG, tag.clone())];
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known.is_some_and(|known| known == "*" || known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag))
    {
        return Ok((StatusCode::NOT_MODIFIED, answer).into_response());
    }
    Ok((answer, [(header::CONTENT_TYPE, "application/jwk-set+json")], Json(set)).into_response())
}

/// What a client sees of the key set (RFC 7517).
#[derive(JsonSchema)]
#[schemars(rename = "KeySet")]
#[expect(dead_code, reason = "only its schema is of use")]
struct Published {
    keys: Vec<Key>,
}

#[derive(JsonSchema)]
#[schemars(rename = "PublicKey", extend("additionalProperties" = true))]
#[expect(dead_code, reason = "only its schema is of use")]
struct Key {
    kty: String,
    kid: String,
    alg: Option<String>,
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("getKeys", "The public keys that tokens are signed with")
        .detail("A new key is published for longer than they may be kept before it signs.")
        .answers_bare::<Published>(200, "application/jwk-set+json", "The key set.")
        .header("Cache-Control", "For how long to keep it.")
        .header("ETag", "Changes with the keys.")
        .reads_header("If-None-Match", "The `ETag` of what is known already.", &json!({"type": "string"}))
        .answers_nothing(304, "What is known is good still.")
        .problem(503, "unavailable", "the keys cannot be read");
}
