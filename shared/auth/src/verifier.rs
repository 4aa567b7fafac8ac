//! The one verifier of credentials, shared by the authorizer, `/auth/validate`, refresh and logout.

use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use chrono::DateTime;
use halyard_domain::{ApiKeyId, Clock, SessionId, UserId, api_key::ApiKey, session::Session};

use crate::{
    keys::Keys,
    principal::{Credential, Principal},
    token::{self, ApiKeyText, TokenRules},
};

/// Why a credential is not good. The code is what the 401 problem and its `WWW-Authenticate` header say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthnFailure {
    /// There is none.
    #[error("no credential was sent")]
    Missing,
    /// Not a token at all.
    #[error("the credential is malformed")]
    Malformed,
    /// Signature, algorithm, key, issuer or audience are wrong.
    #[error("the token is not valid")]
    Invalid,
    /// Past its `exp`.
    #[error("the token has expired")]
    Expired,
    /// The session it belongs to has ended.
    #[error("the token has been revoked")]
    Revoked,
    /// A refresh token where an access token is asked for, or the reverse.
    #[error("this kind of token is not accepted here")]
    WrongKind,
}

impl AuthnFailure {
    /// The stable code: the problem's `error`, and the authorizer context's `reason`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Missing => "token_missing",
            Self::Malformed => "token_malformed",
            Self::Invalid => "token_invalid",
            Self::Expired => "token_expired",
            Self::Revoked => "token_revoked",
            Self::WrongKind => "token_wrong_kind",
        }
    }

    /// The failure that a code stands for.
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Missing, Self::Malformed, Self::Invalid, Self::Expired, Self::Revoked, Self::WrongKind]
            .into_iter()
            .find(|f| f.code() == code)
    }
}

/// Why a credential could not be accepted.
#[derive(Debug, thiserror::Error)]
pub enum AuthnError {
    /// It is not good.
    #[error(transparent)]
    Failure(#[from] AuthnFailure),
    /// Nobody can say: what the verifier depends on is down. Never an open door.
    #[error("sessions or keys cannot be read: {0}")]
    Unavailable(String),
}

/// What the verifier asks about a session: the record and the user's present epoch.
#[async_trait]
pub trait SessionSource: Send + Sync + std::fmt::Debug {
    /// The session and the user's `auth_epoch` (0 when none was ever written); `None` when there is no such session.
    /// A cached answer may be stale by no more than the stated bound.
    async fn lookup(&self, user: UserId, session: SessionId) -> Result<Option<(Session, i64)>, AuthnError>;

    /// The same for an API key. A source that knows of none has none.
    async fn lookup_key(&self, _user: UserId, _key: ApiKeyId) -> Result<Option<FoundKey>, AuthnError> {
        Ok(None)
    }

    /// A key that was found in the store turned out to be good. Nothing depends on its being noted.
    async fn key_used(&self, _key: &ApiKey) {}
}

/// An API key's record as a source found it.
#[derive(Debug, Clone)]
pub struct FoundKey {
    /// The record.
    pub key: ApiKey,
    /// The owner's present epoch.
    pub epoch: i64,
    /// Whether the store was asked, and not only a cache.
    pub from_store: bool,
}

/// Verifies access tokens and asks whether their sessions are live.
#[derive(Debug)]
pub struct Verifier {
    keys: Arc<Keys>,
    rules: TokenRules,
    sessions: Arc<dyn SessionSource>,
    clock: Arc<dyn Clock>,
}

impl Verifier {
    /// A verifier of tokens that were signed by one of `keys` under `rules`.
    pub fn new(
        keys: impl Into<Arc<Keys>>,
        rules: TokenRules,
        sessions: Arc<dyn SessionSource>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { keys: keys.into(), rules, sessions, clock }
    }

    /// The keys it trusts.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Verifies the value of an `Authorization` header: `Bearer`, in any case, spaces, an access token or an API key
    /// (RFC 6750).
    ///
    /// # Errors
    /// Why it is not good, or that nobody can say.
    pub async fn verify_bearer(&self, header: &str) -> Result<Principal, AuthnError> {
        let token = bearer_token(header)?;
        if token.starts_with(token::api_key::PREFIX) { self.verify_key(token).await } else { self.verify(token).await }
    }

    /// Verifies an API key: first its form, which costs no look-up, then its record.
    ///
    /// # Errors
    /// Why it is not good, or that nobody can say.
    async fn verify_key(&self, text: &str) -> Result<Principal, AuthnError> {
        let (given, now) = (ApiKeyText::parse(text)?, self.clock.now());
        let found = self.sessions.lookup_key(given.user_id, given.id).await?.ok_or(AuthnFailure::Revoked)?;
        let FoundKey { key, epoch, from_store } = found;
        let is_it = key.user_id == given.user_id
            && key.id == given.id
            && verify_slices_are_equal(given.hash().as_bytes(), key.hash.as_bytes()).is_ok();
        if !is_it {
            return Err(AuthnFailure::Invalid.into());
        }
        if !key.is_live(now, epoch) {
            return Err(AuthnFailure::Revoked.into());
        }
        if from_store {
            // A warm way stays one round trip; whoever came this way knows that the store answers.
            self.sessions.key_used(&key).await;
        }
        Ok(Principal {
            user_id: key.user_id,
            role: key.role(),
            permissions: key.permissions(),
            username: key.owner.username,
            credential: Credential::ApiKey { id: key.id },
            authenticated_at: key.created_at,
            expires_at: key.expires_at,
        })
    }

    /// Verifies an access token: first what can be known from it alone, then its session.
    ///
    /// # Errors
    /// Why it is not good, or that nobody can say.
    pub async fn verify(&self, token: &str) -> Result<Principal, AuthnError> {
        let now = self.clock.now();
        let token = token::Unverified::parse(token)?;
        let keys = match token.public_key() {
            Some(kid) => self.keys.knowing(kid).await?,
            None => self.keys.present().await?,
        };
        let claims = token.verify(&keys, &self.rules, now)?;
        let user = claims.user_id().ok_or(AuthnFailure::Invalid)?;
        let (session, epoch) = self.sessions.lookup(user, claims.sid).await?.ok_or(AuthnFailure::Revoked)?;
        if session.user_id != user || session.id != claims.sid || !session.is_live(now, epoch) {
            return Err(AuthnFailure::Revoked.into());
        }
        let token_end = DateTime::from_timestamp(claims.exp, 0).ok_or(AuthnFailure::Invalid)?;
        // Name, role and permissions are the session's: it is at least as fresh as the token.
        Ok(Principal {
            user_id: user,
            username: session.username,
            role: session.role,
            permissions: session.permissions,
            credential: Credential::Session { id: session.id, methods: session.methods },
            authenticated_at: session.authenticated_at,
            expires_at: token_end.min(session.expires_at),
        })
    }
}

/// The token of an `Authorization` header's value.
///
/// # Errors
/// `Missing` for an empty value, `Malformed` for another scheme or anything but one token.
pub fn bearer_token(header: &str) -> Result<&str, AuthnFailure> {
    let header = header.trim();
    if header.is_empty() {
        return Err(AuthnFailure::Missing);
    }
    let (scheme, token) = header.split_once(' ').ok_or(AuthnFailure::Malformed)?;
    let token = token.trim_start();
    let is_bearer = scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && !token.contains(char::is_whitespace);
    is_bearer.then_some(token).ok_or(AuthnFailure::Malformed)
}
