//! The page at `/docs`: an `OpenAPI` 3.1 document as one HTML page that needs nothing else, not even a script. Made when the
//! function that serves it is built; no function links this.

mod curl;
mod html;
mod markdown;
mod operation;
mod page;
mod schema;

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// A page and what a browser may do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The page.
    pub html: String,
    /// Its `Content-Security-Policy`: its own style and script by their hashes (CSP 3, section 2.3.1), and nothing else.
    pub policy: String,
}

/// The page of a document.
pub fn render(document: &Value) -> Page {
    let (style, script) = (include_str!("style.css"), include_str!("script.js"));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
        BASE64_STANDARD.encode(digest(style.as_bytes())),
        BASE64_STANDARD.encode(digest(script.as_bytes())),
    );
    Page { html: page::page(document, style, script), policy }
}

/// SHA-256.
pub fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// An entity tag for these bytes.
pub fn entity_tag(bytes: &[u8]) -> String {
    format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(&digest(bytes)[..16]))
}

/// What a reference inside the document refers to; anything else stands for itself.
fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let target = value.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
    target.and_then(|pointer| document.pointer(pointer)).unwrap_or(value)
}

/// The text of a member; empty when there is none.
fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}
