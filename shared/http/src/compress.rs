//! gzip, for answers that are worth it.

use std::io::Write as _;

use axum::{body::Body, response::Response};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderValue, header};
use http_body_util::BodyExt as _;

/// Answers up to this many bytes fit a packet anyway.
const WORTH_IT: u64 = 1_000;

/// Does `Accept-Encoding` (RFC 9110, section 12.5.3) take gzip?
pub(crate) fn accepts_gzip(header: &HeaderValue) -> bool {
    let Ok(text) = header.to_str() else { return false };
    text.split(',').any(|item| {
        let mut parts = item.split(';');
        let coding = parts.next().unwrap_or_default().trim();
        let refused = parts.any(|p| {
            let weight = p.trim().strip_prefix("q=").map(str::trim);
            weight.is_some_and(|q| q.parse().is_ok_and(|q: f32| q <= 0.0))
        });
        (coding.eq_ignore_ascii_case("gzip") || coding == "*") && !refused
    })
}

/// Compresses a text body above 1,000 bytes that is not encoded yet. The client is known to accept gzip.
pub(crate) async fn gzip(response: Response) -> Response {
    let big = http_body::Body::size_hint(response.body()).exact().is_some_and(|n| n > WORTH_IT);
    if !big || response.headers().contains_key(header::CONTENT_ENCODING) || !is_text(&response) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // The exact size is known, so the body is in memory already: nothing is waited for here.
    let Ok(body) = body.collect().await else { return Response::from_parts(parts, Body::empty()) };
    let plain = body.to_bytes();
    let Some(packed) = pack(&plain) else { return Response::from_parts(parts, Body::from(plain)) };
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    Response::from_parts(parts, Body::from(packed))
}

fn pack(plain: &Bytes) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 3), Compression::fast());
    encoder.write_all(plain).ok()?;
    encoder.finish().ok()
}

fn is_text(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.starts_with("text/") || kind == "application/json" || kind.ends_with("+json")
}
