//! Keys: one private key that signs, a set of public keys that verify.
//!
//! Ed25519 only (RFC 8037). The algorithm belongs to the key: a token's header can name it, not choose it (RFC 8725,
//! section 3.1). Everything that is not an Ed25519 key with a `kid` is refused when it is read, so a set that exists
//! is a set that can be trusted.

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    error::KeyRejected,
    hkdf,
    signature::{ED25519, Ed25519KeyPair, KeyPair as _, ParsedPublicKey},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::encoding::{array_from_base64url, to_base64url};

/// The only algorithm, as JOSE names it.
pub const ALGORITHM: &str = "EdDSA";

/// Where a key is in its life. A set carries it as the member `state`; a key without one is `current`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// Published ahead of its first use. It verifies: a signer may be a moment ahead of a verifier.
    Standby,
    /// Signs and verifies.
    #[default]
    Current,
    /// Signs no more; verifies until the last token that it signed has expired.
    Previous,
    /// Known to be lost: what it signed is refused.
    Revoked,
}

/// Why a text is no key or key set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not the JSON that is expected.
    #[error("not a JSON Web Key{0}")]
    Json(&'static str),
    /// Another kind of key than Ed25519 for `EdDSA` signatures.
    #[error("key {0:?}: only OKP keys on Ed25519 for EdDSA signatures are accepted")]
    NotEd25519(String),
    /// `x` or `d` are not the bytes of a key, or do not belong together.
    #[error("key {0:?}: the key material is not valid")]
    Material(String),
    /// No `kid`, or one of more than 128 characters.
    #[error("a key without a kid of 1 to 128 characters")]
    NoKid,
    /// Two keys of one name.
    #[error("key {0:?} is there twice")]
    Duplicate(String),
    /// The private part stands where a public key belongs.
    #[error("key {0:?}: a private key in a public set")]
    PrivateInPublic(String),
    /// No key that verifies.
    #[error("the set holds no usable key")]
    Empty,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    kid: String,
    #[serde(default)]
    x: String,
    d: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    #[serde(default)]
    state: KeyState,
}

impl Jwk {
    fn check(&self) -> Result<(), KeyError> {
        if self.kid.is_empty() || self.kid.len() > 128 {
            return Err(KeyError::NoKid);
        }
        let fits = self.kty == "OKP"
            && self.crv == "Ed25519"
            && self.alg.as_deref().is_none_or(|alg| alg == ALGORITHM || alg == "Ed25519")
            && self.usage.as_deref().is_none_or(|usage| usage == "sig");
        fits.then_some(()).ok_or_else(|| KeyError::NotEd25519(self.kid.clone()))
    }

    fn public(&self) -> Result<[u8; 32], KeyError> {
        array_from_base64url(&self.x).ok_or_else(|| KeyError::Material(self.kid.clone()))
    }
}

/// A public key with its name and state.
#[derive(Clone)]
pub struct VerifyingKey {
    kid: String,
    state: KeyState,
    public: [u8; 32],
    parsed: Arc<ParsedPublicKey>,
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey").field("kid", &self.kid).field("state", &self.state).finish_non_exhaustive()
    }
}

impl VerifyingKey {
    fn new(kid: String, state: KeyState, public: [u8; 32]) -> Result<Self, KeyError> {
        let parsed = ParsedPublicKey::new(&ED25519, public).map_err(|_| KeyError::Material(kid.clone()))?;
        Ok(Self { kid, state, public, parsed: Arc::new(parsed) })
    }

    /// The key's name.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Where it is in its life.
    pub fn state(&self) -> KeyState {
        self.state
    }

    /// Is `signature` this key's over `message`?
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.parsed.verify_sig(message, signature).is_ok()
    }

    fn to_jwk(&self) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": ALGORITHM, "kid": self.kid, "x": to_base64url(self.public)})
    }
}

/// The public keys that tokens are verified with.
#[derive(Debug, Clone)]
pub struct KeySet(Vec<VerifyingKey>);

impl KeySet {
    /// Reads a JWK set (RFC 7517, section 5).
    ///
    /// # Errors
    /// When any key in it is not a public Ed25519 key with a name of its own, or none verifies.
    pub fn from_jwks(text: &str) -> Result<Self, KeyError> {
        #[derive(Deserialize)]
        struct Jwks {
            keys: Vec<Jwk>,
        }
        let set: Jwks = serde_json::from_str(text).map_err(|_| KeyError::Json(" set"))?;
        let mut keys: Vec<VerifyingKey> = Vec::with_capacity(set.keys.len());
        for jwk in set.keys {
            jwk.check()?;
            if jwk.d.is_some() {
                return Err(KeyError::PrivateInPublic(jwk.kid));
            }
            if keys.iter().any(|key| key.kid == jwk.kid) {
                return Err(KeyError::Duplicate(jwk.kid));
            }
            let public = jwk.public()?;
            keys.push(VerifyingKey::new(jwk.kid, jwk.state, public)?);
        }
        if keys.iter().all(|key| key.state == KeyState::Revoked) {
            return Err(KeyError::Empty);
        }
        Ok(Self(keys))
    }

    /// The key of that name, unless it was revoked. Names are compared, never looked up anywhere else.
    pub fn find(&self, kid: &str) -> Option<&VerifyingKey> {
        self.0.iter().find(|key| key.kid == kid && key.state != KeyState::Revoked)
    }

    /// The set as `/.well-known/jwks.json` publishes it: without revoked keys.
    pub fn to_jwks(&self) -> Value {
        let keys: Vec<Value> =
            self.0.iter().filter(|key| key.state != KeyState::Revoked).map(VerifyingKey::to_jwk).collect();
        json!({ "keys": keys })
    }
}

/// The private key that tokens are signed with.
pub struct SigningKey {
    kid: String,
    pair: Ed25519KeyPair,
    refresh_secret: [u8; 32],
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// Reads a private JWK (RFC 8037, section 2); its public part must belong to the private one.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn from_jwk(text: &str) -> Result<Self, KeyError> {
        let jwk: Jwk = serde_json::from_str(text).map_err(|_| KeyError::Json(""))?;
        jwk.check()?;
        let seed: Option<[u8; 32]> = jwk.d.as_deref().and_then(array_from_base64url);
        let seed = seed.ok_or_else(|| KeyError::Material(jwk.kid.clone()))?;
        let public = jwk.public()?;
        let pair = Ed25519KeyPair::from_seed_and_public_key(&seed, &public);
        let pair = pair.map_err(|_| KeyError::Material(jwk.kid.clone()))?;
        Ok(Self { refresh_secret: derive_refresh_secret(&seed), kid: jwk.kid, pair })
    }

    /// The key's name.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Signs `message`.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature = self.pair.sign(message);
        let mut out = [0; 64];
        out.copy_from_slice(signature.as_ref());
        out
    }

    /// The secret that refresh tokens are chained and tagged with; says nothing about the signing key.
    pub(crate) fn refresh_secret(&self) -> &[u8; 32] {
        &self.refresh_secret
    }
}

/// A new key from 32 random bytes: the private JWK for [`SigningKey::from_jwk`] and the public one for a set's `keys`.
///
/// # Errors
/// When the library refuses the bytes.
pub fn generate(kid: &str, seed: [u8; 32]) -> Result<(Value, Value), KeyError> {
    let rejected = |_: KeyRejected| KeyError::Material(kid.to_owned());
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(rejected)?;
    let public = json!({
        "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": ALGORITHM, "kid": kid,
        "x": to_base64url(pair.public_key().as_ref()),
    });
    let mut private = public.clone();
    private["d"] = Value::String(to_base64url(seed));
    Ok((private, public))
}

/// HKDF-SHA256 (RFC 5869) with a label of its own, so that the derived secret and the key never meet in one use.
fn derive_refresh_secret(seed: &[u8; 32]) -> [u8; 32] {
    let mut out = [0; 32];
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"halyard").extract(seed);
    prk.expand(&[b"refresh tokens, v1"], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut out))
        .expect("32 bytes are one block of HKDF-SHA256");
    out
}
