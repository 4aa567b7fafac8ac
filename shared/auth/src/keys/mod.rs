//! Keys: private ones that sign, a set of public ones that verify, their rotation.
//!
//! Ed25519 only (RFC 8037), and HS256 where a shared secret is configured ([`SharedSecret`]). The algorithm belongs to
//! the key: a token's header can name it, not choose it (RFC 8725, section 3.1). Everything that is not an Ed25519 key
//! with a `kid` is refused when it is read, so a set that exists is a set that can be trusted.

mod held;
mod roster;
mod shared;
mod signing;

use std::{fmt, sync::Arc};

use aws_lc_rs::signature::{ED25519, ParsedPublicKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use self::{
    held::{KeySource, Keys},
    roster::{Entry, PUBLISHED_FOR, Roster, RosterError, Timing},
    shared::SharedSecret,
    signing::{SigningKey, SigningKeys, generate},
};
use crate::encoding::{array_from_base64url, to_base64url};

/// The algorithm of every key of a set, as JOSE names it.
pub const ALGORITHM: &str = "EdDSA";

/// Characters that a key's name may have.
pub const MAX_KID: usize = 128;

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
    /// A name that belongs to the shared secret.
    #[error("key {0:?}: this name is taken by tokens of the shared secret")]
    Reserved(String),
    /// A shared secret that is short, known or public.
    #[error("the shared secret {0}")]
    Shared(&'static str),
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
        if self.kid.is_empty() || self.kid.len() > MAX_KID {
            return Err(KeyError::NoKid);
        }
        if self.kid == SharedSecret::KID {
            return Err(KeyError::Reserved(self.kid.clone()));
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

    /// The public key, base64url.
    fn encoded(&self) -> String {
        to_base64url(self.public)
    }

    fn to_jwk(&self) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": ALGORITHM, "kid": self.kid, "x": self.encoded()})
    }
}

/// The public keys that tokens are verified with, and the shared secret, if there is one.
#[derive(Debug, Clone)]
pub struct KeySet {
    keys: Vec<VerifyingKey>,
    shared: Option<SharedSecret>,
}

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
        Ok(Self { keys, shared: None })
    }

    /// The same set, which also accepts tokens of a shared secret.
    ///
    /// # Errors
    /// When the secret is what everybody can read in the set.
    pub fn with_shared(self, secret: Option<SharedSecret>) -> Result<Self, KeyError> {
        let is_public = |secret: &SharedSecret| self.keys.iter().any(|key| secret.is_made_of(&key.public));
        if secret.as_ref().is_some_and(is_public) {
            return Err(KeyError::Shared("is a public key"));
        }
        Ok(Self { shared: secret, ..self })
    }

    /// The key of that name, unless it was revoked. Names are compared, never looked up anywhere else.
    pub fn find(&self, kid: &str) -> Option<&VerifyingKey> {
        self.keys.iter().find(|key| key.kid == kid && key.state != KeyState::Revoked)
    }

    /// Is there a key of that name, a revoked one included?
    pub fn knows(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid == kid)
    }

    /// Every key, in the set's order.
    pub fn iter(&self) -> impl Iterator<Item = &VerifyingKey> {
        self.keys.iter()
    }

    /// What tokens without a name, or with [`SharedSecret::KID`], are verified with.
    pub(crate) fn shared(&self) -> Option<&SharedSecret> {
        self.shared.as_ref()
    }

    /// The set as `/.well-known/jwks.json` publishes it: without revoked keys.
    pub fn to_jwks(&self) -> Value {
        let keys: Vec<Value> =
            self.keys.iter().filter(|key| key.state != KeyState::Revoked).map(VerifyingKey::to_jwk).collect();
        json!({ "keys": keys })
    }
}
