//! Refresh tokens: opaque, and used once.
//!
//! `hr_` and the base64url of 96 bytes: session (16), user (8), counter (8), secret (32), tag (32). The first three
//! find the session without an index; the secret is what is kept secret (256 bits); the tag is an HMAC over all of it
//! that tells a token of ours from an invention without storing anything.
//!
//! **Rotation.** The session stores the SHA-256 of the one token that is good, and its counter. A refresh replaces it
//! by the next token, whose secret is an HMAC over the present one: only who holds the present token *and* the server's
//! secret can know the next. The counter grows by one, in a conditional write.
//!
//! **A replayed token and a lost answer** look alike: a token that was good once comes again. They are told apart so:
//! - The token just before the present one, within [`REPEAT_GRACE`] of its first use: the answer was lost, or two
//!   tabs asked at once. It gets the *same* next token again, computed anew, and nothing is written; whoever asked twice
//!   ends with one and the same token.
//! - Any older token, or the same one later: somebody holds a copy. The family ends, for both.
//! - A token whose tag is not ours: an invention by somebody who knows a session's id. Refused, and the family lives:
//!   otherwise anybody could end anybody's session.
//!
//! **Rotated signing keys.** The server's secret is derived from a signing key, and there may be several. A family stays
//! with the secret that its tokens are tagged with, so that whoever holds that one gives the same answers, whichever key
//! signs access tokens at the moment. When the secret is gone for good, the one present token is still known by its hash and
//! the family goes on under another secret; only the grace and the recognition of old tokens do not reach across that.
//!
//! A thief inside the grace gains no more than a copy of the token, which the next rotation by either side exposes.
//!
//! Source: RFC 9700 (OAuth 2.0 Security Best Current Practice), section 4.14.

use std::fmt;

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use chrono::{DateTime, Duration, Utc};
use halyard_domain::{Entropy, SessionId, UserId, session::Session};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::api_key;
use crate::{
    encoding::{array_from_base64url, to_base64url},
    keys::{SigningKey, SigningKeys},
    verifier::AuthnFailure,
};

/// How every refresh token begins.
pub const PREFIX: &str = "hr_";
/// How long after a rotation the token before may come again and get the same answer.
pub const REPEAT_GRACE: Duration = Duration::seconds(30);

const BODY: usize = 64;
const LENGTH: usize = BODY + 32;

/// A refresh token, taken apart. Its text is a secret: `Debug` leaves it out.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// The session it belongs to.
    pub session_id: SessionId,
    /// Whose.
    pub user_id: UserId,
    /// Which of the family: the first has 0.
    pub counter: i64,
    bytes: [u8; LENGTH],
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshToken")
            .field("session_id", &self.session_id)
            .field("counter", &self.counter)
            .finish_non_exhaustive()
    }
}

impl RefreshToken {
    /// Takes a token apart. Nothing in it is believed before [`RefreshTokens::judge`].
    ///
    /// # Errors
    /// `WrongKind` for what looks like an access token, `Malformed` for anything else that is no refresh token.
    pub fn parse(text: &str) -> Result<Self, AuthnFailure> {
        let Some(code) = text.strip_prefix(PREFIX) else {
            let looks_like_jwt = text.starts_with("ey") && text.bytes().filter(|&b| b == b'.').count() == 2;
            return Err(match text {
                "" => AuthnFailure::Missing,
                _ if looks_like_jwt || text.starts_with(api_key::PREFIX) => AuthnFailure::WrongKind,
                _ => AuthnFailure::Malformed,
            });
        };
        if code.len() != LENGTH / 3 * 4 {
            return Err(AuthnFailure::Malformed);
        }
        array_from_base64url(code).and_then(Self::from_bytes).ok_or(AuthnFailure::Malformed)
    }

    /// The token as the client gets it.
    pub fn to_text(&self) -> String {
        format!("{PREFIX}{}", to_base64url(self.bytes))
    }

    /// What the session record stores: base64url of the SHA-256.
    pub fn hash(&self) -> String {
        to_base64url(Sha256::digest(self.bytes))
    }

    fn from_bytes(bytes: [u8; LENGTH]) -> Option<Self> {
        let (session, rest) = bytes.split_first_chunk::<16>()?;
        let (user, rest) = rest.split_first_chunk::<8>()?;
        let (counter, _) = rest.split_first_chunk::<8>()?;
        let session_id = SessionId(Uuid::from_bytes(*session));
        Some(Self {
            session_id,
            user_id: UserId(i64::from_be_bytes(*user)),
            counter: i64::from_be_bytes(*counter),
            bytes,
        })
    }

    fn secret(&self) -> &[u8] {
        &self.bytes[32..BODY]
    }
}

/// What is to be done with a refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefreshVerdict {
    /// It is the good one: replace it by this one.
    Rotate(RefreshToken),
    /// Its answer was lost: give this one, the present one, again.
    Repeat(RefreshToken),
    /// A copy: end the family.
    Replayed,
    /// Not one of ours.
    Unknown,
}

/// Makes and judges refresh tokens.
#[derive(Debug)]
pub struct RefreshTokens {
    /// For new families, and for those whose secret is gone.
    primary: Chain,
    others: Vec<Chain>,
}

impl RefreshTokens {
    /// With the secret that goes with one signing key.
    pub fn new(key: &SigningKey) -> Self {
        Self { primary: Chain::new(key), others: Vec::new() }
    }

    /// With the secrets that go with all of them. New families begin with the first one's; where each of them is held, all
    /// issuers agree about all families.
    pub fn of(keys: &SigningKeys) -> Option<Self> {
        let mut chains = keys.iter().map(Chain::new);
        Some(Self { primary: chains.next()?, others: chains.collect() })
    }

    /// The first token of a session.
    pub fn first(&self, session_id: SessionId, user_id: UserId, entropy: &Entropy) -> RefreshToken {
        self.primary.assemble(session_id, user_id, 0, &entropy.bytes::<32>())
    }

    /// Judges `token` against the session that it names, at `now`. Whether the session is live at all is for the
    /// caller to ask first ([`Session::is_live`]).
    pub fn judge(&self, token: &RefreshToken, session: &Session, now: DateTime<Utc>) -> RefreshVerdict {
        if token.session_id != session.id || token.user_id != session.user_id {
            return RefreshVerdict::Unknown;
        }
        let is_present = |t: &RefreshToken| {
            t.counter == session.refresh_counter
                && verify_slices_are_equal(t.hash().as_bytes(), session.refresh_hash.as_bytes()).is_ok()
        };
        let chain = self.chain_of(token);
        if is_present(token) {
            return RefreshVerdict::Rotate(chain.unwrap_or(&self.primary).next(token));
        }
        let Some(chain) = chain.filter(|_| token.counter < session.refresh_counter) else {
            return RefreshVerdict::Unknown;
        };
        let next = chain.next(token);
        if is_present(&next) && now - session.last_used_at <= REPEAT_GRACE {
            return RefreshVerdict::Repeat(next);
        }
        RefreshVerdict::Replayed
    }

    /// The secret that a token was made with; `None` for an invention, or one whose secret is gone.
    fn chain_of(&self, token: &RefreshToken) -> Option<&Chain> {
        std::iter::once(&self.primary).chain(&self.others).find(|chain| chain.made(token))
    }
}

/// One secret, and the tokens that follow from it.
#[derive(Debug)]
struct Chain(hmac::Key);

impl Chain {
    fn new(key: &SigningKey) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.refresh_secret()))
    }

    /// The token after `token`: the same answer whenever it is asked.
    fn next(&self, token: &RefreshToken) -> RefreshToken {
        let secret = self.mac(b"next", &[token.secret(), &token.counter.to_be_bytes()]);
        self.assemble(token.session_id, token.user_id, token.counter.saturating_add(1), secret.as_ref())
    }

    fn made(&self, token: &RefreshToken) -> bool {
        let (body, tag) = token.bytes.split_at(BODY);
        verify_slices_are_equal(self.mac(b"tag", &[body]).as_ref(), tag).is_ok()
    }

    fn assemble(&self, session_id: SessionId, user_id: UserId, counter: i64, secret: &[u8]) -> RefreshToken {
        let mut bytes = [0; LENGTH];
        bytes[..16].copy_from_slice(session_id.0.as_bytes());
        bytes[16..24].copy_from_slice(&user_id.0.to_be_bytes());
        bytes[24..32].copy_from_slice(&counter.to_be_bytes());
        bytes[32..BODY].copy_from_slice(secret);
        let tag = self.mac(b"tag", &[&bytes[..BODY]]);
        bytes[BODY..].copy_from_slice(tag.as_ref());
        RefreshToken { session_id, user_id, counter, bytes }
    }

    /// HMAC-SHA256 over a label, which keeps the two uses apart, and parts of fixed length.
    fn mac(&self, label: &[u8], parts: &[&[u8]]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(label);
        for part in parts {
            context.update(part);
        }
        context.sign()
    }
}
