//! `GET /openapi.json`, `GET /docs`: the API's document, and the same as a page. Both were made when this was built.

use axum::response::{IntoResponse, Response};
use halyard_http::openapi::Operation;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value, json};

const DOCUMENT: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));
const PAGE: &str = include_str!(concat!(env!("OUT_DIR"), "/docs.html"));
include!(concat!(env!("OUT_DIR"), "/reference.rs"));

/// A release changes them, so they are kept for minutes, and cheaply asked for again.
const KEPT: &str = "public, max-age=300";

/// The document.
pub async fn document(headers: HeaderMap) -> Response {
    respond(&headers, DOCUMENT_TAG, || ([(header::CONTENT_TYPE, "application/json")], DOCUMENT).into_response())
}

/// The page.
pub async fn page(headers: HeaderMap) -> Response {
    respond(&headers, PAGE_TAG, || {
        let own = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, PAGE_POLICY)];
        (own, PAGE).into_response()
    })
}

/// 304 for a client that has it already (RFC 9110, section 13.1.2), else the whole.
fn respond(headers: &HeaderMap, tag: &'static str, whole: impl FnOnce() -> Response) -> Response {
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let known = known.flat_map(|value| value.split(',')).map(|known| known.trim().trim_start_matches("W/"));
    let has_it = { known }.any(|known| known == tag || known == "*");
    let response = if has_it { StatusCode::NOT_MODIFIED.into_response() } else { whole() };
    ([(header::ETAG, tag), (header::CACHE_CONTROL, KEPT)], response).into_response()
}

/// For docs/openapi.json.
pub fn describe_document(op: &mut Operation<'_>) {
    op.named("getDocument", "This document").answers_bare::<Map<String, Value>>(
        200,
        "application/json",
        "The document.",
    );
    cacheable(op);
}

/// For docs/openapi.json.
pub fn describe_page(op: &mut Operation<'_>) {
    op.named("getReference", "This document as a page").answers_text("text/html", "The page.");
    cacheable(op);
}

fn cacheable(op: &mut Operation<'_>) {
    op.reads_header("If-None-Match", "The `ETag` of what is known already.", &json!({"type": "string"}))
        .answers_nothing(304, "What is known is good still.")
        .header("ETag", "Changes with the document.")
        .header("Cache-Control", "For how long to keep it.");
}
