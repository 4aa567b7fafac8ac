//! `GET /.well-known/jwks.json`

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use halyard_auth::{encoding::fingerprint, keys::PUBLISHED_FOR};
use halyard_http::ApiResult;
use http::{HeaderMap, StatusCode, header};

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
