//! The verified caller.

use chrono::{DateTime, Utc};
use halyard_domain::{
    SessionId, UserId,
    authz::{Grants, Permission},
    user::Role,
};
use serde::{Deserialize, Serialize};

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
    /// The session that the credential belongs to.
    pub session_id: SessionId,
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
}
