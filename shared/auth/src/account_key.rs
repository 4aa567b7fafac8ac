//! The secret of the accounts: what it encrypts, what it signs.
//!
//! It is a text of at least 32 characters; every use takes a key of its own out of it (HKDF, RFC 5869), so that they never
//! meet. Several texts, separated by white space, are its successors: the first encrypts and signs, all of them open and
//! verify, and so it can be changed.

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf, hmac,
};
use halyard_domain::{Entropy, UserId};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::encoding::{array_from_base64url, to_base64url};

/// Fewest characters of one text.
pub const SHORTEST: usize = 32;
/// How a device token begins.
const DEVICE: &str = "hd_";
/// Bytes of a key's name in front of what it has encrypted.
const NAME: usize = 4;

/// Why a text is no such secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must hold one or more texts of at least {SHORTEST} characters, separated by white space")]
pub struct InvalidAccountKey;

/// The secret, ready for use.
pub struct AccountKey(Vec<Keys>);

struct Keys {
    name: [u8; NAME],
    seal: LessSafeKey,
    webhooks: LessSafeKey,
    device: hmac::Key,
}

/// What is encrypted: each kind under a key of its own, so that one cannot be put in the place of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sealed {
    /// The secret of a second factor.
    SecondFactor,
    /// What a user's webhooks are signed with.
    WebhookSecret,
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountKey").field("texts", &self.0.len()).finish_non_exhaustive()
    }
}

impl AccountKey {
    /// Reads the secret.
    ///
    /// # Errors
    /// When it is empty, or a text of it too short.
    pub fn new(texts: &str) -> Result<Self, InvalidAccountKey> {
        let keys: Option<Vec<Keys>> = texts.split_whitespace().map(Keys::new).collect();
        keys.filter(|keys| !keys.is_empty()).map(Self).ok_or(InvalidAccountKey)
    }

    /// Encrypts (AES-256-GCM) what belongs to `user`: the key's name, a nonce, the text, the tag.
    pub fn seal(&self, user: UserId, secret: &[u8], entropy: &Entropy) -> Vec<u8> {
        self.seal_as(Sealed::SecondFactor, user, secret, entropy)
    }

    /// Likewise, for any use.
    pub fn seal_as(&self, what: Sealed, user: UserId, secret: &[u8], entropy: &Entropy) -> Vec<u8> {
        let keys = self.first();
        let nonce: [u8; NONCE_LEN] = entropy.bytes();
        let mut text = secret.to_vec();
        keys.of(what)
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), owner(user), &mut text)
            .expect("a text below 64 GiB");
        [&keys.name[..], &nonce, &text].concat()
    }

    /// Opens what [`Self::seal`] made for the same user; `None` for anything else.
    pub fn open(&self, user: UserId, sealed: &[u8]) -> Option<Vec<u8>> {
        self.open_as(Sealed::SecondFactor, user, sealed)
    }

    /// Opens what [`Self::seal_as`] made for the same use and user; `None` for anything else.
    pub fn open_as(&self, what: Sealed, user: UserId, sealed: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = sealed.split_first_chunk::<NAME>()?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>()?;
        let keys = self.0.iter().find(|keys| keys.name == *name)?;
        let mut text = text.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        keys.of(what).open_in_place(nonce, owner(user), &mut text).ok().map(|opened| opened.to_vec())
    }

    /// Was it sealed under the present text, the first one?
    pub fn is_present(&self, sealed: &[u8]) -> bool {
        sealed.starts_with(&self.first().name)
    }

    /// A token for a device that has signed in to `user`'s account. It opens nothing: who shows it is only told apart from
    /// strangers, who cannot lock it out.
    pub fn device_token(&self, user: UserId, entropy: &Entropy) -> String {
        let device: [u8; 16] = entropy.bytes();
        let tag = hmac::sign(&self.first().device, &message(user, &device));
        format!("{DEVICE}{}", to_base64url([&device[..], tag.as_ref()].concat()))
    }

    /// The device that a token of `user` names; `None` for a token that is not ours, or somebody else's.
    pub fn device(&self, user: UserId, token: &str) -> Option<Uuid> {
        let bytes: [u8; 48] = array_from_base64url(token.strip_prefix(DEVICE)?)?;
        let (device, tag) = bytes.split_first_chunk::<16>()?;
        let message = message(user, device);
        let ours = self.0.iter().any(|keys| hmac::verify(&keys.device, &message, tag).is_ok());
        ours.then(|| Uuid::from_bytes(*device))
    }

    fn first(&self) -> &Keys {
        &self.0[0]
    }
}

impl Keys {
    fn of(&self, what: Sealed) -> &LessSafeKey {
        match what {
            Sealed::SecondFactor => &self.seal,
            Sealed::WebhookSecret => &self.webhooks,
        }
    }

    fn new(text: &str) -> Option<Self> {
        if text.chars().count() < SHORTEST {
            return None;
        }
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, b"halyard").extract(text.as_bytes());
        let derive = |label: &[u8]| {
            let mut out = [0; 32];
            secret.expand(&[label], hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut out)).ok().map(|()| out)
        };
        let name = Sha256::digest(derive(b"account key name, v1")?);
        let aead = |label| Some(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &derive(label)?).ok()?));
        Some(Self {
            name: *name.first_chunk()?,
            seal: aead(b"second factors, v1")?,
            webhooks: aead(b"webhook secrets, v1")?,
            device: hmac::Key::new(hmac::HMAC_SHA256, &derive(b"device tokens, v1")?),
        })
    }
}

/// What was sealed for one user cannot be put into another's row.
fn owner(user: UserId) -> Aad<[u8; 8]> {
    Aad::from(user.0.to_be_bytes())
}

fn message(user: UserId, device: &[u8; 16]) -> [u8; 24] {
    let mut out = [0; 24];
    out[..8].copy_from_slice(&user.0.to_be_bytes());
    out[8..].copy_from_slice(device);
    out
}
