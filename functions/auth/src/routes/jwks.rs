//! `GET /.well-known/jwks.json`

use axum::{Json, extract::State, response::IntoResponse};
use http::header;

use crate::state::AppState;

/// The public keys (RFC 7517), to be kept for five minutes: a new key is published as `standby` for longer than that
/// before it signs.
pub async fn handler(State(state): State<AppState>) -> impl IntoResponse {
    let headers = [(header::CACHE_CONTROL, "public, max-age=300"), (header::CONTENT_TYPE, "application/jwk-set+json")];
    (headers, Json(state.verifier.keys().to_jwks()))
}
