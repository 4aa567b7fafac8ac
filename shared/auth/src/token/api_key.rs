//! API keys as text: `hk_` and the base64url of 60 bytes: owner (8), name (16), secret (32), checksum (4).
//!
//! Owner and name find the record without an index; the secret has 256 random bits and is nowhere but in the text. The
//! checksum is for typing errors and for programs that look for secrets in the wrong places: both can tell a key from
//! something like it without asking anybody. It keeps nobody out.

use std::fmt;

use halyard_domain::{ApiKeyId, Entropy, UserId};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{
    encoding::{array_from_base64url, to_base64url},
    verifier::AuthnFailure,
};

/// How every API key begins.
pub const PREFIX: &str = "hk_";

const BODY: usize = 56;
const LENGTH: usize = BODY + 4;

/// An API key, taken apart. Its text is a secret: `Debug` leaves it out.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKeyText {
    /// Whose it says it is.
    pub user_id: UserId,
    /// Which it says it is.
    pub id: ApiKeyId,
    bytes: [u8; LENGTH],
}

impl fmt::Debug for ApiKeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeyText").field("user_id", &self.user_id).field("id", &self.id).finish_non_exhaustive()
    }
}

impl ApiKeyText {
    /// A new one.
    pub fn new(user_id: UserId, id: ApiKeyId, entropy: &Entropy) -> Self {
        let mut bytes = [0; LENGTH];
        bytes[..8].copy_from_slice(&user_id.0.to_be_bytes());
        bytes[8..24].copy_from_slice(id.0.as_bytes());
        entropy.fill(&mut bytes[24..BODY]);
        let sum = checksum(&bytes);
        bytes[BODY..].copy_from_slice(&sum);
        Self { user_id, id, bytes }
    }

    /// Takes a key apart. Nothing in it is believed before its hash was compared with the record's.
    ///
    /// # Errors
    /// `Malformed` for what cannot be a key: another length, other characters, a checksum that is wrong.
    pub fn parse(text: &str) -> Result<Self, AuthnFailure> {
        let code = text.strip_prefix(PREFIX).filter(|code| code.len() == LENGTH / 3 * 4);
        code.and_then(array_from_base64url).and_then(Self::from_bytes).ok_or(AuthnFailure::Malformed)
    }

    fn from_bytes(bytes: [u8; LENGTH]) -> Option<Self> {
        let (user, rest) = bytes.split_first_chunk::<8>()?;
        let (id, _) = rest.split_first_chunk::<16>()?;
        let (user_id, id) = (UserId(i64::from_be_bytes(*user)), ApiKeyId(Uuid::from_bytes(*id)));
        (bytes[BODY..] == checksum(&bytes)).then_some(Self { user_id, id, bytes })
    }

    /// The key as its owner gets it, once.
    pub fn to_text(&self) -> String {
        format!("{PREFIX}{}", to_base64url(self.bytes))
    }

    /// What is stored of it: base64url of the SHA-256.
    pub fn hash(&self) -> String {
        to_base64url(Sha256::digest(self.bytes))
    }
}

/// The first four bytes of the SHA-256 of the prefix and the rest of the key.
fn checksum(bytes: &[u8; LENGTH]) -> [u8; 4] {
    let digest = Sha256::new().chain_update(PREFIX).chain_update(&bytes[..BODY]).finalize();
    std::array::from_fn(|at| digest[at])
}
