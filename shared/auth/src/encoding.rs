//! The one base 64 that tokens and hashes use: URL-safe, without padding, canonical (RFC 7515, section 2).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

/// Bytes as text.
pub fn to_base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Text as bytes; `None` for padding, foreign characters and non-canonical endings.
pub fn from_base64url(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Text as exactly `N` bytes.
pub fn array_from_base64url<const N: usize>(text: impl AsRef<[u8]>) -> Option<[u8; N]> {
    from_base64url(text)?.try_into().ok()
}

/// The SHA-256 of a text, as text: names a version of it.
pub fn fingerprint(text: &str) -> String {
    to_base64url(Sha256::digest(text))
}
