//! The one verifier of credentials, shared by the authorizer, `/auth/validate`, refresh and logout.

use async_trait::async_trait;
use halyard_domain::{SessionId, UserId, session::Session};

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
    #[error("the session store is unavailable: {0}")]
    Unavailable(String),
}

/// What the verifier asks about a session: the record and the user's present epoch.
#[async_trait]
pub trait SessionSource: Send + Sync + std::fmt::Debug {
    /// The session and the user's `auth_epoch` (0 when none was ever written); `None` when there is no such session.
    /// A cached answer may be stale by no more than the stated bound.
    async fn lookup(&self, user: UserId, session: SessionId) -> Result<Option<(Session, i64)>, AuthnError>;
}
