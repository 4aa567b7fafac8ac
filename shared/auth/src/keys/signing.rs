//! Private keys.

use std::fmt;

use aws_lc_rs::{
    error::KeyRejected,
    hkdf,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use serde_json::{Value, json};

use super::{ALGORITHM, Jwk, KeyError, KeySet, KeyState, VerifyingKey};
use crate::encoding::{array_from_base64url, to_base64url};

/// A private key that tokens are signed with.
pub struct SigningKey {
    kid: String,
    pair: Ed25519KeyPair,
    public: [u8; 32],
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
        serde_json::from_str(text).map_err(|_| KeyError::Json("")).and_then(Self::new)
    }

    fn new(jwk: Jwk) -> Result<Self, KeyError> {
        jwk.check()?;
        let seed: Option<[u8; 32]> = jwk.d.as_deref().and_then(array_from_base64url);
        let seed = seed.ok_or_else(|| KeyError::Material(jwk.kid.clone()))?;
        let public = jwk.public()?;
        let pair = Ed25519KeyPair::from_seed_and_public_key(&seed, &public);
        let pair = pair.map_err(|_| KeyError::Material(jwk.kid.clone()))?;
        Ok(Self { refresh_secret: derive_refresh_secret(&seed), kid: jwk.kid, pair, public })
    }

    /// The key's name.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Is `public` its public part, under its name?
    pub fn belongs_to(&self, public: &VerifyingKey) -> bool {
        self.kid == public.kid && self.public == public.public
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

/// The private keys that an issuer holds: the one that signs, and those that did or will.
#[derive(Debug)]
pub struct SigningKeys(Vec<SigningKey>);

impl SigningKeys {
    /// Reads one private JWK, or a set of them.
    ///
    /// # Errors
    /// When any is not a private Ed25519 key with a name of its own, or there is none.
    pub fn from_json(text: &str) -> Result<Self, KeyError> {
        let value: Value = serde_json::from_str(text).map_err(|_| KeyError::Json(""))?;
        let jwks = match value.get("keys") {
            None => vec![value],
            Some(Value::Array(keys)) => keys.clone(),
            Some(_) => return Err(KeyError::Json(" set")),
        };
        let mut keys: Vec<SigningKey> = Vec::with_capacity(jwks.len());
        for jwk in jwks {
            let key = serde_json::from_value(jwk).map_err(|_| KeyError::Json("")).and_then(SigningKey::new)?;
            if keys.iter().any(|held| held.kid == key.kid) {
                return Err(KeyError::Duplicate(key.kid));
            }
            keys.push(key);
        }
        if keys.is_empty() { Err(KeyError::Empty) } else { Ok(Self(keys)) }
    }

    /// The key to sign with by what the public set says: its current one. An issuer that was not given that one yet goes
    /// on with a previous one, which verifies for as long as the set has it. `None`: nobody would believe a signature.
    pub fn signer(&self, set: &KeySet) -> Option<&SigningKey> {
        let of = |state: KeyState| set.iter().filter(move |key| key.state() == state);
        of(KeyState::Current).chain(of(KeyState::Previous)).find_map(|public| {
            // The name alone is not enough: another key under it would sign what nobody verifies.
            self.0.iter().find(|held| held.belongs_to(public))
        })
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &SigningKey> {
        self.0.iter()
    }
}

impl From<SigningKey> for SigningKeys {
    fn from(key: SigningKey) -> Self {
        Self(vec![key])
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
