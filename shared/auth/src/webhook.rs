//! What webhooks are signed with, after Standard Webhooks (<https://www.standardwebhooks.com>): `v1` is HMAC-SHA256 with a
//! secret that user and platform share, `v1a` is Ed25519, which whoever has the public key can verify. Both sign
//! `id.timestamp.body`.

use std::fmt;

use aws_lc_rs::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use halyard_domain::Entropy;

/// Bytes of the shared secret; the specification asks for 24 to 64.
const SECRET: usize = 32;
/// Bytes of an Ed25519 seed.
const SEED: usize = 32;
/// Characters of the secret's end that are shown again later.
const HINT: usize = 4;

/// A user's secret and key pair of one version.
pub struct WebhookKeys {
    bytes: [u8; SECRET + SEED],
    mac: hmac::Key,
    pair: Ed25519KeyPair,
}

impl fmt::Debug for WebhookKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookKeys").field("public_key", &self.public_key_text()).finish_non_exhaustive()
    }
}

impl WebhookKeys {
    /// New ones. `None` never happens: a seed is any 32 bytes.
    pub fn generate(entropy: &Entropy) -> Option<Self> {
        Self::from_bytes(&entropy.bytes::<{ SECRET + SEED }>())
    }

    /// From what [`Self::as_bytes`] gave; `None` for anything of another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; SECRET + SEED] = bytes.try_into().ok()?;
        let (secret, seed) = bytes.split_at(SECRET);
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        Some(Self { mac: hmac::Key::new(hmac::HMAC_SHA256, secret), pair, bytes })
    }

    /// Secret and seed, to be sealed before they are kept.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The shared secret as receivers take it: `whsec_` and base 64.
    pub fn secret_text(&self) -> String {
        format!("whsec_{}", STANDARD.encode(&self.bytes[..SECRET]))
    }

    /// How [`Self::secret_text`] ends: enough to tell which of two it is.
    pub fn hint(&self) -> String {
        let text = self.secret_text();
        text[text.len() - HINT..].to_owned()
    }

    /// The public key.
    pub fn public_key(&self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(self.pair.public_key().as_ref());
        out
    }

    /// The public key as receivers take it.
    pub fn public_key_text(&self) -> String {
        public_key_text(&self.public_key())
    }

    /// The signatures of one message, `v1` and `v1a`, as the header `webhook-signature` lists them. `timestamp` is in seconds
    /// since 1970.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let message = [id.as_bytes(), b".", timestamp.to_string().as_bytes(), b".", body].concat();
        let mac = hmac::sign(&self.mac, &message);
        let signature = self.pair.sign(&message);
        format!("v1,{} v1a,{}", STANDARD.encode(mac.as_ref()), STANDARD.encode(signature.as_ref()))
    }
}

/// An Ed25519 public key as receivers take it: `whpk_` and base 64.
pub fn public_key_text(key: &[u8]) -> String {
    format!("whpk_{}", STANDARD.encode(key))
}
