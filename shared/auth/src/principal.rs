//! The verified caller.

use chrono::{DateTime, Utc};
use halyard_domain::{
    ApiKeyId, SessionId, UserId,
    authz::{Grants, Permission},
    user::Role,
};
use serde::{Deserialize, Serialize};

/// What a caller showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Credential {
    /// An access token, or the dashboard's cookie: somebody signed in.
    Session {
        /// The session that it belongs to.
        id: SessionId,
        /// How they signed in (`amr`, RFC 8176): `pwd`, `otp`.
        methods: Vec<String>,
    },
    /// An API key: a program.
    ApiKey {
        /// Which key.
        id: ApiKeyId,
    },
}

/// A caller whose credential was verified. It is made in two places only: by the verifier, and from
/// `requestContext.authorizer.lambda`, which the authorizer filled with the verifier's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// Who.
    pub user_id: UserId,
    /// Their name.
    pub username: String,
    /// Their role.
    pub role: Role,
    /// What they may do.
    pub permissions: Grants,
    /// What they showed.
    pub credential: Credential,
    /// When they last proved who they are.
    pub authenticated_at: DateTime<Utc>,
    /// When the credential ends.
    pub expires_at: DateTime<Utc>,
}

impl Principal {
    /// May the caller do that?
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions.allow(permission)
    }

    /// The session, unless the caller showed an API key.
    pub fn session_id(&self) -> Option<SessionId> {
        match &self.credential {
            Credential::Session { id, .. } => Some(*id),
            Credential::ApiKey { .. } => None,
        }
    }
}
