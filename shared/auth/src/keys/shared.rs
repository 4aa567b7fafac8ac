//! A secret that is shared with services which sign tokens themselves: HS256, for those that came along from the
//! original. Off unless configured, and accepted only: Halyard signs nothing with it.

use std::fmt;

use aws_lc_rs::hmac;

use super::KeyError;
use crate::encoding::to_base64url;

/// The least that RFC 7518, section 3.2, allows for HS256, in bytes.
const LEAST: usize = 32;
/// Beginnings of secrets that tutorials and tools hand out.
const WELL_KNOWN: &[&str] = &[
    "your-256-bit-secret",
    "your_jwt_secret",
    "your-secret-key",
    "jwt-secret-string",
    "super-secret",
    "changeme",
    "secret",
];
/// A random secret of 32 bytes has about 30 different ones; one of 32 hex digits at least 10.
const LEAST_VARIETY: usize = 8;

/// A shared secret.
#[derive(Clone)]
pub struct SharedSecret {
    bytes: Vec<u8>,
    key: hmac::Key,
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(..)")
    }
}

impl SharedSecret {
    /// The `kid` that its tokens may carry; they may also carry none. No public key has this name.
    pub const KID: &str = "hs256";
    /// Its algorithm, as JOSE names it.
    pub const ALGORITHM: &str = "HS256";

    /// Takes a secret.
    ///
    /// # Errors
    /// When it is short, or one that can be guessed.
    pub fn new(text: &str) -> Result<Self, KeyError> {
        let bytes = text.as_bytes();
        if bytes.len() < LEAST {
            return Err(KeyError::Shared("must have at least 32 bytes"));
        }
        let lower = text.to_ascii_lowercase();
        let mut different = bytes.to_vec();
        different.sort_unstable();
        different.dedup();
        if different.len() < LEAST_VARIETY || WELL_KNOWN.iter().any(|known| lower.starts_with(known)) {
            return Err(KeyError::Shared("is one that can be guessed"));
        }
        if lower.contains("-----begin") || lower.contains("\"kty\"") {
            return Err(KeyError::Shared("is a key of another kind"));
        }
        Ok(Self { bytes: bytes.to_vec(), key: hmac::Key::new(hmac::HMAC_SHA256, bytes) })
    }

    /// Is `tag` its HMAC over `message`? In constant time.
    pub fn verify(&self, message: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&self.key, message, tag).is_ok()
    }

    /// Is the secret nothing but this public key, in one of its spellings?
    pub(super) fn is_made_of(&self, public: &[u8; 32]) -> bool {
        self.bytes == public || self.bytes == to_base64url(public).as_bytes()
    }
}
