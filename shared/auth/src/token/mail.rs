//! Tokens that travel by mail: 256 random bits, of which the database keeps the SHA-256 only.
//!
//! Source: OWASP, "Forgot Password Cheat Sheet", URL tokens.

use std::fmt;

use halyard_domain::Entropy;
use sha2::{Digest as _, Sha256};

use crate::encoding::{array_from_base64url, to_base64url};

/// How every mail token begins.
pub const PREFIX: &str = "hm_";

/// A mail token. Its text is a secret: `Debug` leaves it out.
#[derive(Clone, PartialEq, Eq)]
pub struct MailToken([u8; 32]);

impl fmt::Debug for MailToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailToken(..)")
    }
}

impl MailToken {
    /// A new one.
    pub fn new(entropy: &Entropy) -> Self {
        Self(entropy.bytes())
    }

    /// Reads a token; white space around it, as copying from a mail brings along, does not count.
    pub fn parse(text: &str) -> Option<Self> {
        text.trim().strip_prefix(PREFIX).and_then(array_from_base64url).map(Self)
    }

    /// The token as the mail carries it: 46 characters.
    pub fn to_text(&self) -> String {
        format!("{PREFIX}{}", to_base64url(self.0))
    }

    /// What is stored of it.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }
}
